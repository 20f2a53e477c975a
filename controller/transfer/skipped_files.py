"""Files of a pod's manifest that are not downloaded, because local tools would execute them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from remote.contract import Left, Manifest
from remote.globs import Globs
from remote.outputs import matches
from remote.tool_files import left_out, suspects


def without_programs(
    manifest: Manifest, outputs: Sequence[str], targets: Iterable[Path]
) -> Manifest:
    """The manifest without files that local tools would run or read; its notes list them.

    `targets` are the folders that would receive the files; the names in them count too.
    """
    paths, roots = [entry.path for entry in manifest.files], tuple(targets)
    existing = {
        folder: [name for root in roots for name in _names(root / folder)]
        for folder in suspects(paths)
    }
    skipped = left_out(paths, Globs(outputs).wanted, matches, existing)
    noted = {note.path for note in manifest.notes}
    added = sorted((root, reason) for root, reason in set(skipped.values()) if root not in noted)
    return replace(
        manifest,
        files=tuple(entry for entry in manifest.files if entry.path not in skipped),
        notes=(*manifest.notes, *(Left(root, reason) for root, reason in added)),
    )


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
