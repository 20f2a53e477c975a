"""Criteria on figures: one value, or a series of them; and responses that are judged again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import key_path as keypath
from .file_formats import JSON_LINES
from .format_check import InvalidFile
from .globs import file_at
from .records import TABLES, document, kind_of, records
from .rescore import AnswerKey, tally
from .stage import Criterion
from .trend import Trend, decreases, increases
from .verdict import Measured, Outcome, Verdict, verdict

MAX_SERIES = 1_000_000  # points of one series
MAX_TEXT = 300  # characters of a measured value


def value(path: Path, criterion: Criterion, _: Path) -> Outcome:
    found = keypath.at(document(path), criterion.key or "")
    if criterion.equals is not None:
        same = type(found) is type(criterion.equals) and found == criterion.equals
        if is_number(found) and is_number(criterion.equals):
            same = found == criterion.equals
        return verdict(same), shown(found), f"{shown(found)!r}, need {criterion.equals!r}"
    if criterion.at_least is None and criterion.at_most is None:
        return Verdict.PASS, shown(found), "present"
    return _bounded(found, criterion, "")


def _bounded(found: Any, criterion: Criterion, of: str) -> Outcome:
    if not is_number(found):
        return Verdict.FAIL, shown(found), f"{criterion.key}: not a finite number"
    low = -math.inf if criterion.at_least is None else criterion.at_least
    high = math.inf if criterion.at_most is None else criterion.at_most
    return verdict(low <= found <= high), found, f"{found:g}{of}, need {low:g} to {high:g}"


def falls(path: Path, criterion: Criterion, _: Path) -> Outcome:
    return _moves(path, criterion, decreases)


def rises(path: Path, criterion: Criterion, _: Path) -> Outcome:
    return _moves(path, criterion, increases)


def _moves(path: Path, criterion: Criterion, test: Callable[[Sequence[float]], Trend]) -> Outcome:
    points = series(path, criterion.key or "loss")
    trend = test(points)
    if trend.holds is None:
        return Verdict.INCONCLUSIVE, len(points) or None, trend.detail
    return verdict(trend.holds), trend.tau, trend.detail


def last(path: Path, criterion: Criterion, _: Path) -> Outcome:
    points = _some(path, criterion)
    return _bounded(points[-1], criterion, f", the last of {len(points)}")


def best(path: Path, criterion: Criterion, _: Path) -> Outcome:
    """The lowest where it may be at most so much, else the highest."""
    points = _some(path, criterion)
    found = min(points) if criterion.at_most is not None else max(points)
    return _bounded(found, criterion, f", the best of {len(points)}")


def _some(path: Path, criterion: Criterion) -> list[float]:
    points = series(path, criterion.key or "loss")
    if not points:
        raise InvalidFile(f"no {criterion.key or 'loss'} in it")
    return points


def series(path: Path, key: str) -> list[float]:
    """The figures at `key` in the order of the file: in every line, row or member of a list.

    Raises Unopenable for one that is not a finite number; what lacks, or is null, is left out.
    """
    found: list[float] = []
    for number, one in _figures(path, key):
        if one is None:
            continue
        if not is_number(one):
            raise InvalidFile(f"line {number}: {key} is not a finite number: {shown(one)}")
        found.append(float(one))
        if len(found) > MAX_SERIES:
            raise InvalidFile(f"over {MAX_SERIES} points")
    return found


def _figures(path: Path, key: str) -> Iterable[tuple[int, Any]]:
    kind = kind_of(path)
    if kind in JSON_LINES or kind in TABLES:
        for number, record in records(path):
            for one in keypath.every(record, key):
                yield number, one
        return
    yield from enumerate(keypath.every(document(path), key), 1)


def rescored(path: Path, criterion: Criterion, root: Path, answers: AnswerKey) -> Outcome:
    found = tally(_responses(path, criterion), answers, criterion.parts)
    if not found.verdicts:
        return Verdict.INCONCLUSIVE, 0, "no response"
    for system, claim in criterion.claims.items():
        where, _, key = claim.partition(":")
        said, here = keypath.at(document(file_at(where, root)), key), found.cell(system)
        if not isinstance(said, dict) or any(said.get(name) != here[name] for name in here):
            return Verdict.FAIL, None, f"{claim}: not what the responses have: {here}"
    count = min(len(of) for of in found.verdicts.values())
    need = criterion.at_least if criterion.at_least is not None else 1
    total = sum(len(of) for of in found.verdicts.values())
    detail = f"{total} verdicts are right; {count} instructions, need {need:g}"
    return verdict(count >= need), count, detail


def _responses(path: Path, criterion: Criterion) -> Iterable[tuple[int, dict[str, Any]]]:
    if criterion.key is None:
        for number, one in records(path):
            if not isinstance(one, dict):
                raise InvalidFile(f"line {number}: not a JSON object")
            yield number, one
        return
    found = keypath.at(document(path), criterion.key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidFile(f"{criterion.key}: not a list of objects")
    yield from enumerate(found, 1)


def is_number(one: Any) -> bool:
    """A finite number of a size that floats hold; no bool."""
    if isinstance(one, bool) or not isinstance(one, int | float):
        return False
    return abs(one) < 1e300  # False for NaN; an int is compared exactly


def shown(one: Any) -> Measured:
    """A JSON value as a lock can hold it."""
    if one is None or isinstance(one, bool) or is_number(one):
        return one  # type: ignore[no-any-return]  # narrowed by the line above
    if isinstance(one, int):
        return f"an integer of {one.bit_length()} bits"
    if isinstance(one, float):
        return f"{one:g}"
    return str(one)[:MAX_TEXT] if isinstance(one, str) else type(one).__name__
