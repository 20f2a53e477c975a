"""Decides whether a pod's manifest may be downloaded, from the list alone, before any write.

Every name that a file system can hold is accepted (`remote.names`); entries that no honest job
writes are refused. `controller.transfer.local_names` chooses the local name of each file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.errors import ArtifactsNotSafe
from remote.contract import FileEntry, Manifest
from remote.globs import Globs
from remote.names import encode, wrong
from remote.reserved_names import reserved

HASH = re.compile(r"[0-9a-f]{64}")
STAGING = ".partial"  # the receiver's own folder, at the top
SHOWN = 200  # characters of a path in a message


class UnsafeManifest(ArtifactsNotSafe):
    """The manifest has an entry that no honest job writes; nothing was downloaded."""

    code = "unsafe-manifest"


@dataclass(frozen=True)
class Caps:
    """Upper limits of one pull."""

    files: int = 100_000
    file_bytes: int = 10**12
    total_bytes: int = 4 * 10**12


def check_files(manifest: Manifest, caps: Caps | None = None) -> None:
    """Raises UnsafeManifest for the first entry that may not be received."""
    caps, files = caps or Caps(), manifest.files
    if len(files) > caps.files:
        raise UnsafeManifest(f"{len(files)} files, over the cap of {caps.files}")
    for file in files:
        reason = wrong(file.path) or wrong(manifest.local(file.path)) or _invalid_entry(file, caps)
        if reason:
            text = f"the pod lists a file that is refused: {reason}"
            raise UnsafeManifest(text, where=encode(file.path[:SHOWN]))
    total = sum(file.size for file in files)
    if total > caps.total_bytes:
        raise UnsafeManifest(f"{total} bytes, over the cap of {caps.total_bytes}")
    if clash := _clash(file.path for file in files):
        raise UnsafeManifest("the pod lists one path twice", where=encode(clash[:SHOWN]))


def _invalid_entry(entry: FileEntry, caps: Caps) -> str | None:
    if not 0 <= entry.size <= caps.file_bytes:
        return f"a size of {entry.size} bytes"
    return None if HASH.fullmatch(entry.sha256) else "an invalid sha256"


def _clash(paths: Iterable[str]) -> str | None:
    """A path that is listed twice, or is both a file and a folder."""
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in files or path in folders:
            return path
        files.add(path)
        parent = path.rpartition("/")[0]
        while parent and parent not in folders:
            if parent in files:
                return path
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    return None


def undeclared(paths: Iterable[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """The paths that no glob of `outputs` matches, or that one of them excludes."""
    globs = Globs(outputs)
    return tuple(path for path in paths if not globs.match(path))


def job_outputs(manifest: Manifest, inputs: Mapping[str, str]) -> Manifest:
    """The manifest without files that the job did not write: those of podctl and git, and the
    `inputs` (path → sha256) that are unchanged on the pod."""
    sent = set(manifest.untouched)

    def written_by_job(entry: FileEntry) -> bool:
        unchanged = entry.path in sent and inputs.get(entry.path) == entry.sha256
        return not unchanged and not reserved(entry.path)

    return replace(manifest, files=tuple(filter(written_by_job, manifest.files)))


def check_declared(paths: Iterable[str], outputs: Sequence[str]) -> None:
    """Raises ArtifactsNotSafe naming the paths that the stage does not declare as outputs."""
    extra_paths = undeclared(paths, outputs)
    if extra_paths:
        raise ArtifactsNotSafe(
            f"the pod's manifest names {len(extra_paths)} files that the stage does not declare",
            where=", ".join(encode(path) for path in extra_paths[:5]),
            cause="its outputs are " + ", ".join(outputs),
            hint="podctl ssh to look at the pod; podctl stop --terminate --abandon REASON",
        )
