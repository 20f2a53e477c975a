"""Finds faults of criteria before any file exists, so before any training.

Not part of the model: a started run must open as it was pinned, even if rules were added since.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import PurePosixPath

from . import key_path
from .format_check import InvalidFile
from .globs import could_meet, is_glob
from .stage import Criterion, Stage
from .weights import PICKLES

_BOUNDS = ("at_least", "at_most")
_FIELDS: dict[str, tuple[str, ...]] = {  # kind → what it reads beside path, match and title
    "exists": (),
    "opens": (),
    "weights": (),
    "lines": _BOUNDS,
    "value": ("key", "equals", *_BOUNDS),
    "last": ("key", *_BOUNDS),
    "best": ("key", *_BOUNDS),
    "decreases": ("key", "accept"),
    "increases": ("key", "accept"),
    "rescored": ("key", "parts", "claims", "at_least"),
    "recomputed": ("parts", "report", "key", "equals", "at_least"),
}
_SERIES = ("last", "best", "decreases", "increases")
_ALL = ("kind", "path", "match", "title")


def problems(stage: Stage) -> tuple[tuple[str, str], ...]:
    """(key below the stage's table, what is wrong with it) of every criterion."""
    return tuple(
        (f"criteria.{number}.{name}", text)
        for number, criterion in enumerate(stage.criteria)
        for name, text in _problems(criterion, stage.outputs)
    )


def _problems(criterion: Criterion, outputs: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    read = _FIELDS[criterion.kind]
    given = criterion.model_dump(exclude_defaults=True)
    for name in sorted(given.keys() - {*read, *_ALL}):
        takes = f"takes {', '.join(read)}" if read else "takes a path and nothing else"
        yield name, f"{criterion.kind} {takes}"
    if problem := _unreachable(criterion.path, outputs):
        yield "path", problem
    if criterion.report and (problem := _unreachable(criterion.report, outputs)):
        yield "report", problem
    for system, claim in criterion.claims.items():
        if problem := _unreachable(claim.partition(":")[0], outputs):
            yield f"claims.{system}", problem
    suffix = PurePosixPath(criterion.path).suffix.lower()
    if criterion.kind == "weights" and suffix in PICKLES:
        yield "path", f"{suffix} is a pickle, and those are never opened: save as safetensors"
    if criterion.match and not is_glob(criterion.path):
        yield "match", "is for a path with wildcards"
    yield from _key(criterion)
    yield from _bounds(criterion)


def _unreachable(path: str, outputs: tuple[str, ...]) -> str:
    taken = [glob for glob in outputs if not glob.startswith("!")]
    if any(could_meet(path, glob) for glob in taken):
        return ""
    near = difflib.get_close_matches(path, taken, n=1, cutoff=0.7)
    more = f"; did you mean {near[0]!r}?" if near else ""
    return f"no output can be at {path!r}: outputs are {', '.join(outputs)}{more}"


def _key(criterion: Criterion) -> Iterator[tuple[str, str]]:
    if criterion.key is None:
        if criterion.kind in ("value", "last", "best"):
            yield "key", f"{criterion.kind} needs the key of what is compared"
        return
    try:
        parts = key_path.parts(criterion.key)
    except InvalidFile as error:
        if criterion.kind not in _SERIES:  # a line may have a member of any name
            yield "key", str(error)
        return
    if not parts:
        yield "key", "is empty"
    if key_path.EVERY in parts and criterion.kind not in _SERIES:
        yield "key", f"* names many values; {', '.join(_SERIES)} judge those"


def _bounds(criterion: Criterion) -> Iterator[tuple[str, str]]:
    low, high = criterion.at_least, criterion.at_most
    if low is not None and high is not None and not low <= high:
        yield "at_most", f"is below at_least, {low:g}"
    if criterion.kind == "lines" and high is not None and high < 0:
        yield "at_most", "is below 0, and no file has fewer records"
    if criterion.kind == "best" and (low is None) == (high is None):
        yield "at_most", "best needs at_least (the highest counts) or at_most (the lowest does)"
    if criterion.kind == "last" and low is None and high is None:
        yield "at_least", "last needs at_least, at_most, or both"
    if criterion.kind == "value" and criterion.equals is not None and (low, high) != (None, None):
        yield "equals", "stands alone: at_least and at_most would not be looked at"
