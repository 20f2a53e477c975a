"""Which files below the work folder a job declared as its outputs.

Regular files, and links that stand for regular files inside the work folder. Other names
among the declared outputs are listed: those that are only on the pod, and those without content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .contract import MAX_DOCUMENT, MAX_FILES, Left
from .globs import Globs, matcher
from .light_dataclasses import dataclass, replace
from .names import encode, text
from .pod import tree
from .pod.walk import Found, Walk, Without
from .reserved_names import reserved
from .tool_files import left_out

MAX_NAMED = 100  # names that are told of each kind, of those without a file that travels
MAX_LISTED = MAX_DOCUMENT - 4 * 1024 * 1024  # bytes that a manifest's list of files may take
ENTRY = 120  # bytes of a file in that list, without its path
PEEK = 20_000  # names that are looked at behind a link that leads out


@dataclass(frozen=True)
class Survey:
    """The declared outputs. `files` travel; `left` is only here; `notes` lose nothing."""

    files: dict[str, Found]
    left: tuple[Left, ...] = ()
    notes: tuple[Left, ...] = ()
    beyond: int = 0  # files that are too many to be listed or named
    seen: int = 0  # files that are declared outputs


def survey(work: Path, patterns: tuple[str, ...]) -> Survey:
    """Every declared output, and every name among them under which nothing travels."""
    globs = Globs(patterns)
    try:
        with tree.opened(work) as top:
            result = _survey(
                Walk(work, top),
                globs.starts,
                lambda path: globs.match(path) and not reserved(path),
            )
    except FileNotFoundError:
        return Survey({})
    return _without_programs(result, patterns)


def _without_programs(survey: Survey, patterns: tuple[str, ...]) -> Survey:
    """Files that tools would run or read by themselves where they arrive stay, and are named."""
    out = left_out(survey.files, Globs(patterns).wanted, matches)
    if not out:
        return survey
    files = {path: file for path, file in survey.files.items() if path not in out}
    roots = dict(out.values())
    notes = (*survey.notes, *(Left(root, why) for root, why in sorted(roots.items())))
    return replace(survey, files=files, notes=notes[:MAX_NAMED])


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern names a path."""
    return bool(matcher(pattern).fullmatch(path))


def find(work: Path, patterns: tuple[str, ...]) -> dict[str, Found]:
    """Every declared output that can be listed, by its path, sorted."""
    return survey(work, patterns).files


def _survey(walk: Walk, starts: Iterable[str], declared: Callable[[str], bool]) -> Survey:
    files: dict[str, Found] = {}
    without: dict[str, Without] = {}
    beyond: dict[str, None] = {}
    room = MAX_LISTED
    for start in starts:
        for entry in walk.below(start):
            if entry.path in files or entry.path in beyond:
                continue
            if isinstance(entry, Without):
                if _concerns(entry, start, declared):
                    without[entry.path] = entry
            elif declared(entry.path):
                room -= len(json.dumps(encode(entry.path))) + ENTRY
                if len(files) < MAX_FILES and room >= 0:
                    files[entry.path] = entry
                else:
                    beyond[entry.path] = None
    lost = [Left(omitted.path, omitted.why) for omitted in without.values() if omitted.lost]
    notes = [Left(omitted.path, omitted.why) for omitted in without.values() if not omitted.lost]
    return Survey(
        dict(sorted(files.items())),
        tuple(lost[:MAX_NAMED]),
        tuple(notes[:MAX_NAMED]),
        len(beyond) + len(lost[MAX_NAMED:]),
        len(files) + len(beyond),
    )


def _concerns(omitted: Without, start: str, declared: Callable[[str], bool]) -> bool:
    """Whether an output is declared under this name, or below it."""
    if omitted.outside:
        return any(declared(path) for path in _peek(omitted))
    return declared(omitted.path) or f"{start.rstrip('/')}/".startswith(f"{omitted.path}/")


def _peek(link: Without) -> Iterator[str]:
    """Paths of the files behind a link that leads out, as they would be below it."""
    count = 0
    for place, _, names in os.walk(link.outside):
        for name in names:
            below = os.path.relpath(os.path.join(place, name), link.outside)
            yield f"{link.path}/{text(below)}"
            count += 1
        if count > PEEK:
            yield link.path
            return


def missing(patterns: tuple[str, ...], paths: list[str]) -> list[str]:
    """The patterns that no file matches."""
    return Globs(patterns).missing(paths)
