"""Criteria on figures: one value, or a series of them; and responses that are judged again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from . import key_path, recomputed
from .file_formats import JSON_LINES
from .format_check import InvalidFile
from .globs import file_at
from .records import TABLES, document, kind_of, records
from .rescore import Rescoring, Tally
from .stage import Criterion
from .trend import Trend, decreases, increases
from .verdict import Measured, Outcome, Verdict, verdict

MAX_SERIES = 1_000_000  # points of one series
MAX_TEXT = 300  # characters of a measured value


def value(path: Path, criterion: Criterion, _: Path) -> Outcome:
    measured = key_path.at(document(path), criterion.key or "")
    if criterion.equals is not None:
        same = type(measured) is type(criterion.equals) and measured == criterion.equals
        if is_number(measured) and is_number(criterion.equals):
            same = measured == criterion.equals
        needed = "" if same else f", need {criterion.equals!r}"
        return verdict(same), shown(measured), f"{shown(measured)!r}{needed}"
    if criterion.at_least is None and criterion.at_most is None:
        return Verdict.PASS, shown(measured), "present"
    return _bounded(measured, criterion, "")


def _bounded(measured: Any, criterion: Criterion, of: str) -> Outcome:
    if not is_number(measured):
        return Verdict.FAIL, shown(measured), f"{criterion.key}: not a finite number"
    low = -math.inf if criterion.at_least is None else criterion.at_least
    high = math.inf if criterion.at_most is None else criterion.at_most
    needed = bounds(criterion.at_least, criterion.at_most)
    return verdict(low <= measured <= high), measured, f"{measured:g}{of}, need {needed}"


def bounds(at_least: float | None, at_most: float | None) -> str:
    """`at least 0.3`, `at most 5`, or `0.3 to 5`."""
    if at_least is None:
        return f"at most {at_most:g}" if at_most is not None else "any"
    return f"at least {at_least:g}" if at_most is None else f"{at_least:g} to {at_most:g}"


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
    point = min(points) if criterion.at_most is not None else max(points)
    return _bounded(point, criterion, f", the best of {len(points)}")


def _some(path: Path, criterion: Criterion) -> list[float]:
    points = series(path, criterion.key or "loss")
    if not points:
        raise InvalidFile(f"no {criterion.key or 'loss'} in it")
    return points


def series(path: Path, key: str) -> list[float]:
    """The figures at `key` in the order of the file: in every line, row or member of a list.

    Raises InvalidFile for one that is not a finite number; what lacks, or is null, is left out.
    """
    points: list[float] = []
    for number, figure in _figures(path, key):
        if figure is None:
            continue
        if not is_number(figure):
            raise InvalidFile(f"line {number}: {key} is not a finite number: {shown(figure)}")
        points.append(float(figure))
        if len(points) > MAX_SERIES:
            raise InvalidFile(f"over {MAX_SERIES} points")
    return points


def _figures(path: Path, key: str) -> Iterable[tuple[int, Any]]:
    kind = kind_of(path)
    if kind in JSON_LINES or kind in TABLES:
        for number, record in records(path):
            for figure in key_path.every(record, key):
                yield number, figure
        return
    yield from enumerate(key_path.every(document(path), key), 1)


def rescored(path: Path, criterion: Criterion, root: Path, rescoring: Rescoring) -> Outcome:
    scores = _tally(path, criterion, rescoring)
    if not scores.judged:
        return Verdict.INCONCLUSIVE, 0, "no response"
    for system, claim in criterion.claims.items():
        where, _, key = claim.partition(":")
        claimed, counted = key_path.at(document(file_at(where, root)), key), scores.cell(system)
        if not isinstance(claimed, dict) or any(
            claimed.get(name) != counted[name] for name in counted
        ):
            return Verdict.FAIL, None, f"{claim}: not what the responses have: {counted}"
    count = scores.instructions
    need = criterion.at_least if criterion.at_least is not None else 1
    detail = f"{scores.responses} verdicts are right; {count} instructions, need {need:g}"
    return verdict(count >= need), count, detail


def statistics(path: Path, criterion: Criterion, root: Path, rescoring: Rescoring) -> Outcome:
    return recomputed.judge(_tally(path, criterion, rescoring), criterion, root, rescoring)


def _tally(path: Path, criterion: Criterion, rescoring: Rescoring) -> Tally:
    listed = criterion.key if criterion.kind == "rescored" else None
    return rescoring.tally(path, listed, criterion.parts, lambda: _responses(path, listed))


def _responses(path: Path, listed: str | None) -> Iterable[tuple[int, dict[str, Any]]]:
    if listed is None:
        for number, response in records(path):
            if not isinstance(response, dict):
                raise InvalidFile(f"line {number}: not a JSON object")
            yield number, response
        return
    responses = key_path.at(document(path), listed)
    if not isinstance(responses, list) or not all(
        isinstance(response, dict) for response in responses
    ):
        raise InvalidFile(f"{listed}: not a list of objects")
    yield from enumerate(responses, 1)


def is_number(value: Any) -> bool:
    """A finite number of a size that floats hold; no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300  # False for NaN; an int is compared exactly


def shown(value: Any) -> Measured:
    """A JSON value as a lock can hold it."""
    if value is None or isinstance(value, bool) or is_number(value):
        return value  # type: ignore[no-any-return]  # narrowed by the line above
    if isinstance(value, int):
        return f"an integer of {value.bit_length()} bits"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)[:MAX_TEXT] if isinstance(value, str) else type(value).__name__
