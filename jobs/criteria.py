"""Does a stage pass? Each criterion judged on the pulled files, here, by reading them as data.

PASS and FAIL are measured; INCONCLUSIVE means that there was too little to measure. Nothing a pod
wrote can raise out of `evaluate`: what is not what it should be is a FAIL with its reason.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from . import file_criteria as presence
from . import value_criteria as values
from .format_check import InvalidFile
from .globs import is_glob, newest
from .rescore import AnswerKey
from .stage import Criterion
from .verdict import Finding, Outcome, Verdict, plain

__all__ = ["Finding", "Verdict", "describe", "evaluate", "named", "passed"]


def evaluate(
    criteria: Iterable[Criterion], root: Path, answers: AnswerKey | None = None
) -> tuple[Finding, ...]:
    """Judge each criterion on the files below `root`, in order; `rescored` by `answers`."""
    return tuple(_judge(criterion, root, answers) for criterion in criteria)


def passed(findings: Sequence[Finding]) -> bool:
    """True when there is at least one finding and every one is PASS, or accepted as it is."""
    return bool(findings) and all(one.met for one in findings)


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


def named(criteria: Iterable[Criterion], root: Path) -> set[Path]:
    """The files that the criteria judge: what else lies there is only looked at."""
    found: set[Path] = set()
    for criterion in criteria:
        try:
            if criterion.kind in _WHOLE:
                found.update(_chosen(criterion, presence.whole(criterion, root)))
            else:
                found.update(_chosen(criterion, presence.singles(criterion, root)))
        except (InvalidFile, OSError):
            continue
    return found


def _judge(criterion: Criterion, root: Path, answers: AnswerKey | None) -> Finding:
    try:
        status, measured, detail = _outcome(criterion, root, answers)
    except (InvalidFile, OSError) as error:
        status, measured, detail = Verdict.FAIL, None, f"{criterion.path}: {error}"
    if isinstance(measured, str):
        measured = plain(measured)
    found = Finding(plain(describe(criterion)), status, measured, plain(detail))
    if criterion.accept and status is Verdict.INCONCLUSIVE:
        return dataclasses.replace(found, accepted=plain(criterion.accept))
    return found


def _outcome(criterion: Criterion, root: Path, answers: AnswerKey | None) -> Outcome:
    if criterion.kind == "rescored" and answers is None:
        return Verdict.INCONCLUSIVE, None, "there is nothing here to judge the responses by"
    if criterion.kind in _WHOLE:
        paths = _chosen(criterion, presence.whole(criterion, root))
        return _WHOLE[criterion.kind](paths, criterion, root)
    found: Outcome | None = None
    paths = _chosen(criterion, presence.singles(criterion, root))
    for path in paths:
        found = _of_one(path, criterion, root, answers)
        if found[0] is not Verdict.PASS or len(paths) == 1:
            break
    assert found is not None
    status, measured, detail = found
    if not is_glob(criterion.path):
        return found
    if len(paths) > 1 and status is Verdict.PASS:
        return status, len(paths), f"{presence.counted(len(paths), 'file')}; the last: {detail}"
    return status, measured, f"{presence.shown(path, root)}: {detail}"


def _chosen(criterion: Criterion, paths: Sequence[Path]) -> list[Path]:
    every = criterion.kind in _WHOLE if criterion.match is None else criterion.match == "all"
    return list(paths) if every else [newest(paths)]


def _of_one(path: Path, criterion: Criterion, root: Path, answers: AnswerKey | None) -> Outcome:
    try:
        if criterion.kind == "rescored":
            assert answers is not None
            return values.rescored(path, criterion, root, answers)
        return _SINGLE[criterion.kind](path, criterion, root)
    except InvalidFile as error:
        if not is_glob(criterion.path):
            raise
        return Verdict.FAIL, None, str(error)


_WHOLE: dict[str, Callable[[Sequence[Path], Criterion, Path], Outcome]] = {
    "opens": presence.all_open,
    "weights": presence.are_weights,
}
_SINGLE: dict[str, Callable[[Path, Criterion, Path], Outcome]] = {
    "exists": presence.exists,
    "lines": presence.lines,
    "value": values.value,
    "last": values.last,
    "best": values.best,
    "decreases": values.falls,
    "increases": values.rises,
}
