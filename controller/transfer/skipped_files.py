"""What of a pod's list stays there, because tools here would run or read it by themselves."""

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
    manifest: Manifest, outputs: Sequence[str], places: Iterable[Path]
) -> Manifest:
    """The manifest without such files, which are among its notes: whatever the pod says.

    `places` are the folders that they would come into: what stands there already counts.
    """
    paths, roots = [entry.path for entry in manifest.files], tuple(places)
    here = {
        folder: [name for root in roots for name in _names(root / folder)]
        for folder in suspects(paths)
    }
    out = left_out(paths, Globs(outputs).wanted, matches, here)
    named = {note.path for note in manifest.notes}
    more = sorted((root, why) for root, why in set(out.values()) if root not in named)
    return replace(
        manifest,
        files=tuple(entry for entry in manifest.files if entry.path not in out),
        notes=(*manifest.notes, *(Left(root, why) for root, why in more)),
    )


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
