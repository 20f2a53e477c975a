"""How much the folders of a volume hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.storage.client import StoredFile


@dataclass(frozen=True)
class FolderSize:
    """A folder (or file) directly below the one that was asked for, with all that is in it."""

    path: str
    files: int
    bytes: int


def folder_sizes(stored: Iterable[StoredFile], below: str) -> tuple[FolderSize, ...]:
    """The entries directly below the folder `below`, the largest first."""
    prefix = f"{below}/" if below else ""
    counts: dict[str, tuple[int, int]] = {}
    for file in stored:
        head, slash, _ = file.path.removeprefix(prefix).partition("/")
        files, size = counts.get(prefix + head + slash, (0, 0))
        counts[prefix + head + slash] = (files + 1, size + file.size)
    sizes = [FolderSize(path, files, size) for path, (files, size) in counts.items()]
    return tuple(sorted(sizes, key=lambda entry: (-entry.bytes, entry.path)))
