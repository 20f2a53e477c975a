"""Trees as a job may leave them: any byte in names, links of every kind, all sizes and depths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

ODD = (
    b"-lr=2e-4.txt", b"caf\xe9.txt", b"ends ", b"ends.", b" begins", b"aux.json", b"a\\b",
    b"line\nbreak", b"esc\x1b[31m", b"\xff", "\u00e9".encode(), "e\u0301".encode(), b"Sample.txt",
    b"sample.txt", "a\u202eb".encode(), b"n" * 255, "\u00e9".encode() * 127, b"..a", b"*", b"[x]",
    b"$(touch x)", b"'\"", b"~", b".partial", b"prompt 1: why?.",
)  # fmt: skip
PARTS = st.one_of(
    st.sampled_from(ODD),
    st.binary(min_size=1, max_size=40)
    .map(lambda name: name.replace(b"/", b"_").replace(b"\0", b"_"))
    .filter(lambda name: name not in (b".", b"..")),
)
PATHS = st.lists(PARTS, min_size=1, max_size=6).map(b"/".join)
CONTENTS = st.one_of(st.binary(max_size=200), st.integers(1, 9).map(lambda n: b"w" * n * 30_000))
TARGETS = st.sampled_from(("inside", "folder", "outside", "nothing", "itself", "above"))


@dataclass(frozen=True)
class ByteTree:
    """Paths to contents, and paths of links to the kind of what they lead to."""

    files: dict[bytes, bytes]
    links: dict[bytes, str]


@st.composite
def trees(draw: st.DrawFn) -> ByteTree:
    """Trees in which no path is in another's way."""
    files = draw(st.dictionaries(PATHS, CONTENTS, min_size=1, max_size=8))
    if draw(st.booleans()):  # deeper than any limit of an interpreter or of one call
        files[b"/".join([b"d" * draw(st.sampled_from((1, 60)))] * 60) + b"/deep"] = b"deep"
    links = draw(st.dictionaries(PATHS, TARGETS, max_size=4))
    taken: set[bytes] = set()
    return ByteTree(
        {path: data for path, data in files.items() if _free(path, taken)},
        {path: kind for path, kind in links.items() if _free(path, taken)},
    )


def _free(path: bytes, taken: set[bytes]) -> bool:
    """Whether it can stand beside those before it; then it is one of them."""
    parts = path.split(b"/")
    above = {b"/".join(parts[:depth]) for depth in range(1, len(parts))}
    if (
        path in taken
        or above & taken
        or any(path_taken.startswith(path + b"/") for path_taken in taken)
    ):
        return False
    taken.add(path)
    return True


def make(folder: Path, files: dict[bytes, bytes]) -> None:
    """Write the files below `folder`."""
    for path, data in files.items():
        target = os.fsencode(folder) + b"/" + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(data)


def link(folder: Path, tree: ByteTree, outside: Path) -> None:
    """Make the tree's links below `folder`, which holds its files; one has a file to lead to."""
    first = next(iter(tree.files))
    targets = {
        "inside": os.fsencode(folder) + b"/" + first,
        "folder": os.fsencode(folder.parent / "elsewhere"),
        "outside": os.fsencode(outside),
        "nothing": b"no/such/file",
        "above": os.fsencode(folder),
    }
    for path, kind in tree.links.items():
        place = os.fsencode(folder) + b"/" + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        target = targets.get(kind, os.path.basename(path))
        if kind != "inside" or len(target) < 4000:
            os.symlink(target, place)


def read(folder: Path, *, inbox: bool = False) -> dict[bytes, bytes]:
    """Every regular file below `folder`; of an inbox, without what podctl keeps there."""
    contents = {}
    for place, folders, names in os.walk(os.fsencode(folder)):
        if inbox and place == os.fsencode(folder):
            folders[:] = [name for name in folders if name != b".partial"]
        for name in names:
            path = place + b"/" + name
            with open(path, "rb") as file:
                contents[os.path.relpath(path, os.fsencode(folder))] = file.read()
    return contents
