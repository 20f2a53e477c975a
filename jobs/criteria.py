"""Judges the criteria of a stage on the pulled files, on the laptop; files are read as data only.

PASS and FAIL are measured; INCONCLUSIVE means that there was too little to measure. No file
of a pod makes `evaluate` raise: a malformed one is a FAIL with its reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import file_criteria
from . import value_criteria as values
from .format_check import InvalidFile
from .globs import is_glob, newest
from .rescore import AnswerKey, Rescoring
from .stage import Criterion
from .verdict import Finding, Outcome, Verdict, plain

__all__ = ["Finding", "Verdict", "describe", "evaluate", "named", "passed"]


def evaluate(
    criteria: Iterable[Criterion], root: Path, answers: AnswerKey | None = None
) -> tuple[Finding, ...]:
    """Judge each criterion on the files below `root`, in order; `rescored` and `recomputed` by
    `answers`."""
    rescoring = None if answers is None else Rescoring(answers)
    return tuple(_judge(criterion, root, rescoring) for criterion in criteria)


def passed(findings: Sequence[Finding]) -> bool:
    """True when there is at least one finding and every one is PASS, or accepted as it is."""
    return bool(findings) and all(finding.met for finding in findings)


def describe(criterion: Criterion) -> str:
    """The criterion in words: its title, or what it checks."""
    if criterion.title:
        return criterion.title
    text = f"{criterion.path} {criterion.kind}"
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
    return text + key + (" " + " and ".join(bounds) if bounds else "")


def named(criteria: Iterable[Criterion], root: Path) -> set[Path]:
    """The files that the criteria judge; others are only inspected for warnings."""
    paths: set[Path] = set()
    for criterion in criteria:
        try:
            if criterion.kind in _WHOLE:
                paths.update(_chosen(criterion, file_criteria.required_files(criterion, root)))
            else:
                paths.update(_chosen(criterion, file_criteria.singles(criterion, root)))
        except (InvalidFile, OSError):
            continue
    return paths


def _judge(criterion: Criterion, root: Path, rescoring: Rescoring | None) -> Finding:
    try:
        status, measured, detail = _outcome(criterion, root, rescoring)
    except (InvalidFile, OSError) as error:
        status, measured, detail = Verdict.FAIL, None, f"{criterion.path}: {error}"
    if isinstance(measured, str):
        measured = plain(measured)
    finding = Finding(plain(describe(criterion)), status, measured, plain(detail))
    if criterion.accept and status is Verdict.INCONCLUSIVE:
        return dataclasses.replace(finding, accepted=plain(criterion.accept))
    return finding


def _outcome(criterion: Criterion, root: Path, rescoring: Rescoring | None) -> Outcome:
    if criterion.kind in _JUDGED_AGAIN and rescoring is None:
        return Verdict.INCONCLUSIVE, None, "there is nothing here to judge the responses by"
    if criterion.kind in _WHOLE:
        paths = _chosen(criterion, file_criteria.required_files(criterion, root))
        return _WHOLE[criterion.kind](paths, criterion, root)
    outcome: Outcome | None = None
    paths = _chosen(criterion, file_criteria.singles(criterion, root))
    for path in paths:
        outcome = _of_one(path, criterion, root, rescoring)
        if outcome[0] is not Verdict.PASS or len(paths) == 1:
            break
    assert outcome is not None
    status, measured, detail = outcome
    if not is_glob(criterion.path):
        return outcome
    if len(paths) > 1 and status is Verdict.PASS:
        counted = file_criteria.counted(len(paths), "file")
        return status, len(paths), f"{counted}; the last: {detail}"
    return status, measured, f"{file_criteria.shown(path, root)}: {detail}"


def _chosen(criterion: Criterion, paths: Sequence[Path]) -> list[Path]:
    every = criterion.kind in _WHOLE if criterion.match is None else criterion.match == "all"
    return list(paths) if every else [newest(paths)]


def _of_one(path: Path, criterion: Criterion, root: Path, rescoring: Rescoring | None) -> Outcome:
    try:
        if criterion.kind in _JUDGED_AGAIN:
            assert rescoring is not None
            return _JUDGED_AGAIN[criterion.kind](path, criterion, root, rescoring)
        return _SINGLE[criterion.kind](path, criterion, root)
    except InvalidFile as error:
        if not is_glob(criterion.path):
            raise
        return Verdict.FAIL, None, str(error)


_WHOLE: dict[str, Callable[[Sequence[Path], Criterion, Path], Outcome]] = {
    "opens": file_criteria.all_open,
    "weights": file_criteria.are_weights,
}
_SINGLE: dict[str, Callable[[Path, Criterion, Path], Outcome]] = {
    "exists": file_criteria.exists,
    "lines": file_criteria.lines,
    "value": values.value,
    "last": values.last,
    "best": values.best,
    "decreases": values.falls,
    "increases": values.rises,
}
_JUDGED_AGAIN: dict[str, Callable[[Path, Criterion, Path, Rescoring], Outcome]] = {
    "rescored": values.rescored,
    "recomputed": values.statistics,
}
