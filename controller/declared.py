"""Which paths of a pod's manifest may ever become files of the project. Pure.

A pod is not trusted to stay within what its stage declared: a path that no output glob matches, or
that podctl and git keep for themselves, is refused before a byte of it is fetched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.errors import ArtifactsNotSafe
from remote.names import encode
from remote.outputs import matcher

RESERVED_FOLDERS = (".git", ".podctl", "locks")  # at the top of the project
RESERVED_FILES = ("podctl.toml", "status.md", ".gitignore", ".podctlignore", ".gitattributes")


def undeclared(paths: Iterable[str], outputs: Sequence[str]) -> tuple[str, ...]:
    """The paths that are reserved, or that no glob of `outputs` matches."""
    expressions = [matcher(pattern) for pattern in outputs]
    return tuple(
        path
        for path in paths
        if reserved(path) or not any(one.fullmatch(path) for one in expressions)
    )


def reserved(path: str) -> bool:
    """Whether podctl or git own the name, also on a file system that ignores case."""
    first, _, rest = path.casefold().partition("/")
    return first in RESERVED_FOLDERS or (not rest and first in RESERVED_FILES)


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
