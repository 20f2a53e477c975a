"""Which paths of a pod's manifest may ever become files of the project. Pure.

A pod is not trusted to stay within what its stage declared: a path that no output glob matches is
refused before a byte of it is fetched, and what podctl and git keep for themselves is left there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from controller.errors import ArtifactsNotSafe
from remote.contract import FileEntry, Manifest
from remote.globs import Globs
from remote.names import encode
from remote.reserved_names import reserved


def undeclared(paths: Iterable[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """The paths that no glob of `outputs` matches, or that one of them excludes."""
    globs = Globs(outputs)
    return tuple(path for path in paths if not globs.match(path))


def own(manifest: Manifest, inputs: Mapping[str, str]) -> Manifest:
    """The manifest without what is no job's: what podctl and git keep for themselves, and the
    `inputs` (path → sha256) that are on the pod as they were sent."""
    sent = set(manifest.untouched)

    def made(one: FileEntry) -> bool:
        as_sent = one.path in sent and inputs.get(one.path) == one.sha256
        return not as_sent and not reserved(one.path)

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
