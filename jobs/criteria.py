"""Does a stage pass? Each criterion judged on the pulled files, here, by reading them as data.

PASS and FAIL are measured; INCONCLUSIVE means that there was too little to measure. Nothing a pod
wrote can raise out of `evaluate`: what is not what it should be is a FAIL with its reason.
"""

from __future__ import annotations

import fnmatch
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .opening import MAX_JSON, Unopenable, opens, parse_json
from .rescoring import AnswerKey, tally
from .stage import Criterion
from .trend import Trend, decreases, increases

MAX_SERIES = 1_000_000  # points of one series
MAX_TEXT = 300  # characters of a measured value or detail
RECEIVING = ".partial"  # at the top: what is on its way here, and no artifact


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Finding:
    """One criterion judged. `measured` is the value seen, None when nothing could be measured."""

    criterion: str
    status: Verdict
    measured: float | int | str | bool | None
    detail: str

    def as_dict(self) -> dict[str, float | int | str | bool | None]:
        return {
            "criterion": self.criterion,
            "status": str(self.status),
            "measured": self.measured,
            "detail": self.detail,
        }


Outcome = tuple[Verdict, float | int | str | bool | None, str]


def evaluate(
    criteria: Iterable[Criterion], root: Path, answers: AnswerKey | None = None
) -> tuple[Finding, ...]:
    """Judge each criterion on the files below `root`, in order; `rescored` by `answers`."""
    return tuple(_judge(criterion, root, answers) for criterion in criteria)


def passed(findings: Sequence[Finding]) -> bool:
    """True when there is at least one finding and every one is PASS."""
    return bool(findings) and all(one.status is Verdict.PASS for one in findings)


def describe(criterion: Criterion) -> str:
    """The criterion in words: its title, or what it checks."""
    if criterion.title:
        return criterion.title
    what = f"{criterion.path} {criterion.kind}"
    key = f" {criterion.key}" if criterion.key else ""
    bounds = [
        f"{sign} {bound}"
        for sign, bound in (
            (">=", criterion.at_least),
            ("<=", criterion.at_most),
            ("==", criterion.equals),
        )
        if bound is not None
    ]
    return what + key + (" " + " and ".join(bounds) if bounds else "")


def _judge(criterion: Criterion, root: Path, answers: AnswerKey | None) -> Finding:
    try:
        if criterion.kind == "rescored":
            status, measured, detail = _rescored(criterion, root, answers)
        else:
            status, measured, detail = _KINDS[criterion.kind](criterion, root)
    except (Unopenable, OSError) as error:
        status, measured, detail = Verdict.FAIL, None, f"{criterion.path}: {error}"
    if isinstance(measured, str):
        measured = _plain(measured)
    return Finding(_plain(describe(criterion)), status, measured, _plain(detail))


def _plain(text: str) -> str:
    """Text of a pod as a lock and a terminal can hold it: printable, whole characters, short."""
    return "".join(one if one.isprintable() else "?" for one in text[:MAX_TEXT])


def _exists(criterion: Criterion, root: Path) -> Outcome:
    path = _file(criterion.path, root)
    size = path.stat().st_size
    if size == 0:
        return Verdict.FAIL, 0, f"{criterion.path} is empty"
    return Verdict.PASS, size, f"{size} bytes"


def _opens(criterion: Criterion, root: Path) -> Outcome:
    found = _matches(criterion.path, root)
    if not found:
        return Verdict.FAIL, 0, f"no file matches {criterion.path}"
    for path in found:
        if reason := opens(path):
            return Verdict.FAIL, len(found), f"{path.relative_to(root)}: {reason}"
    return Verdict.PASS, len(found), f"{len(found)} files open"


def _lines(criterion: Criterion, root: Path) -> Outcome:
    count = sum(1 for _ in _records(criterion.path, root))
    need = criterion.at_least if criterion.at_least is not None else 1
    status = Verdict.PASS if count >= need else Verdict.FAIL
    return status, count, f"{count} records, need {need:g}"


def _value(criterion: Criterion, root: Path) -> Outcome:
    value = _dotted(_document(criterion.path, root), criterion.key or "")
    if criterion.equals is not None:
        same = type(value) is type(criterion.equals) and value == criterion.equals
        if _is_number(value) and _is_number(criterion.equals):
            same = value == criterion.equals
        return _verdict(same), _shown(value), f"{_shown(value)!r}, need {criterion.equals!r}"
    if criterion.at_least is None and criterion.at_most is None:
        return Verdict.PASS, _shown(value), "present"
    if not _is_number(value):
        return Verdict.FAIL, _shown(value), f"{criterion.key}: not a finite number"
    low = -math.inf if criterion.at_least is None else criterion.at_least
    high = math.inf if criterion.at_most is None else criterion.at_most
    return _verdict(low <= value <= high), value, f"{value:g}, need {low:g} to {high:g}"


def _decreases(criterion: Criterion, root: Path) -> Outcome:
    return _moves(criterion, root, decreases)


def _increases(criterion: Criterion, root: Path) -> Outcome:
    return _moves(criterion, root, increases)


def _moves(criterion: Criterion, root: Path, test: Callable[[Sequence[float]], Trend]) -> Outcome:
    key = criterion.key or "loss"
    series: list[float] = []
    for number, record in _records(criterion.path, root):
        if key not in record or record[key] is None:
            continue
        if not _is_number(record[key]):
            shown = _shown(record[key])
            return Verdict.FAIL, shown, f"line {number}: {key} is not a finite number"
        series.append(float(record[key]))
        if len(series) > MAX_SERIES:
            return Verdict.INCONCLUSIVE, None, f"over {MAX_SERIES} points"
    trend = test(series)
    if trend.holds is None:
        return Verdict.INCONCLUSIVE, len(series) or None, trend.detail
    return _verdict(trend.holds), trend.tau, trend.detail


def _rescored(criterion: Criterion, root: Path, answers: AnswerKey | None) -> Outcome:
    if answers is None:
        return Verdict.INCONCLUSIVE, None, "there is nothing here to judge the responses by"
    found = tally(_responses(criterion, root), answers, criterion.parts)
    if not found.verdicts:
        return Verdict.INCONCLUSIVE, 0, "no response"
    for system, claim in criterion.claims.items():
        path, _, key = claim.partition(":")
        said, here = _dotted(_document(path, root), key), found.cell(system)
        if not isinstance(said, dict) or any(said.get(name) != here[name] for name in here):
            return Verdict.FAIL, None, f"{claim}: not what the responses have: {here}"
    count = min(len(of) for of in found.verdicts.values())
    need = criterion.at_least if criterion.at_least is not None else 1
    total = sum(len(of) for of in found.verdicts.values())
    detail = f"{total} verdicts are right; {count} instructions, need {need:g}"
    return _verdict(count >= need), count, detail


def _responses(criterion: Criterion, root: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    if criterion.key is None:
        return _records(criterion.path, root)
    found = _dotted(_document(criterion.path, root), criterion.key)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Unopenable(f"{criterion.key}: not a list of objects")
    return enumerate(found, 1)


_KINDS = {
    "exists": _exists,
    "opens": _opens,
    "lines": _lines,
    "value": _value,
    "decreases": _decreases,
    "increases": _increases,
}


def _verdict(holds: bool) -> Verdict:
    return Verdict.PASS if holds else Verdict.FAIL


def _is_number(value: Any) -> bool:
    """A finite number of a size that floats hold; no bool."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300  # False for NaN; an int is compared exactly


def _shown(value: Any) -> float | int | str | bool | None:
    """A JSON value as a lock can hold it."""
    if value is None or isinstance(value, bool) or _is_number(value):
        return value  # type: ignore[no-any-return]  # narrowed by the line above
    if isinstance(value, int):
        return f"an integer of {value.bit_length()} bits"
    return str(value)[:MAX_TEXT] if isinstance(value, str) else type(value).__name__


def _document(relative: str, root: Path) -> Any:
    path = _file(relative, root)
    if path.stat().st_size > MAX_JSON:
        raise Unopenable(f"over {MAX_JSON} bytes of JSON")
    return parse_json(path.read_bytes())


def _dotted(value: Any, key: str) -> Any:
    """The member at `a.b.c`; the path so far is in the error when one lacks."""
    done: list[str] = []
    for part in key.split(".") if key else []:
        done.append(part)
        if not isinstance(value, dict) or part not in value:
            raise Unopenable(f"no {'.'.join(done)}")
        value = value[part]
    return value


def _records(relative: str, root: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSONL file that opens."""
    path = _file(relative, root)
    if reason := opens(path):
        raise Unopenable(reason)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                value = parse_json(line)
                if not isinstance(value, dict):
                    raise Unopenable(f"line {number}: not a JSON object")
                yield number, value


def _file(relative: str, root: Path) -> Path:
    """A regular file below `root`, reached without any link."""
    path = root / relative
    if not _inside(path, root) or not path.is_file():
        raise Unopenable("no such file")
    return path


def _inside(path: Path, root: Path) -> bool:
    """No part between `root` and `path` is a symbolic link."""
    parts = [
        root.joinpath(*path.relative_to(root).parts[: n + 1])
        for n in range(len(path.relative_to(root).parts))
    ]
    return not any(part.is_symlink() for part in parts)


def _matches(pattern: str, root: Path) -> list[Path]:
    """Regular files below `root` that match the glob, `**` for any depth; sorted."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(one for one in folders if Path(folder, one) != root / RECEIVING)
        for name in sorted(names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if _globbed(relative.split("/"), pattern.split("/")) and not path.is_symlink():
                found.append(path)
    return found


def _globbed(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_globbed(parts[n:], pattern[1:] or ["*"]) for n in range(len(parts)))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], pattern[0])
        and _globbed(parts[1:], pattern[1:])
    )
