"""May a manifest from a pod be received? Decided on the list alone, before anything is written.

Whatever a file system can hold may come (`remote.names`); what is refused is what no honest job
writes. Under which name a file comes here is decided in `controller.transfer.local_names`.
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
    """The pod's list holds what no honest job writes; nothing of it was received."""

    code = "unsafe-manifest"


@dataclass(frozen=True)
class Caps:
    """What one pull may be at most."""

    files: int = 100_000
    file_bytes: int = 10**12
    total_bytes: int = 4 * 10**12


def check_files(manifest: Manifest, caps: Caps | None = None) -> None:
    """Raises UnsafeManifest for the first entry that may not be received."""
    caps, files = caps or Caps(), manifest.files
    if len(files) > caps.files:
        raise UnsafeManifest(f"{len(files)} files, over the cap of {caps.files}")
    for file in files:
        why = wrong(file.path) or wrong(manifest.local(file.path)) or _wrong_facts(file, caps)
        if why:
            text = f"the pod lists a file that is refused: {why}"
            raise UnsafeManifest(text, where=encode(file.path[:SHOWN]))
    total = sum(file.size for file in files)
    if total > caps.total_bytes:
        raise UnsafeManifest(f"{total} bytes, over the cap of {caps.total_bytes}")
    if clash := _clash(file.path for file in files):
        raise UnsafeManifest("the pod lists one place twice", where=encode(clash[:SHOWN]))


def _wrong_facts(entry: FileEntry, caps: Caps) -> str | None:
    if not 0 <= entry.size <= caps.file_bytes:
        return f"a size of {entry.size} bytes"
    return None if HASH.fullmatch(entry.sha256) else "its sha256 is none"


def _clash(paths: Iterable[str]) -> str | None:
    """A path that is listed twice, or is both a file and a folder."""
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        if path in files or path in folders:
            return path
        files.add(path)
        above = path.rpartition("/")[0]
        while above and above not in folders:
            if above in files:
                return path
            folders.add(above)
            above = above.rpartition("/")[0]
    return None


def undeclared(paths: Iterable[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """The paths that no glob of `outputs` matches, or that one of them excludes."""
    globs = Globs(outputs)
    return tuple(path for path in paths if not globs.match(path))


def own(manifest: Manifest, inputs: Mapping[str, str]) -> Manifest:
    """The manifest without what is no job's: what podctl and git keep for themselves, and the
    `inputs` (path → sha256) that are on the pod as they were sent."""
    sent = set(manifest.untouched)

    def made(entry: FileEntry) -> bool:
        as_sent = entry.path in sent and inputs.get(entry.path) == entry.sha256
        return not as_sent and not reserved(entry.path)

    return replace(manifest, files=tuple(filter(made, manifest.files)))


def check_declared(paths: Iterable[str], outputs: Sequence[str]) -> None:
    """Raises: ArtifactsNotSafe naming what the pod wants to put where it must not."""
    wrong = undeclared(paths, outputs)
    if wrong:
        raise ArtifactsNotSafe(
            f"the pod's manifest names {len(wrong)} files that the stage does not declare",
            where=", ".join(encode(path) for path in wrong[:5]),
            cause="its outputs are " + ", ".join(outputs),
            hint="podctl ssh to look at the pod; podctl stop --terminate --abandon REASON",
        )
