"""Sorts failed criteria: those that would fail on a real GPU too, and those due to few steps. Pure.

A value below its target is inconclusive after a few steps. A file or a value that
is not there, or is of another kind than the criterion compares, will be so on any hardware.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.criteria import Finding, Verdict
from jobs.stage import Criterion


@dataclass(frozen=True)
class Judgement:
    """Criteria that hold, those that say nothing at this size, and those that would fail."""

    hold: tuple[Finding, ...]
    open: tuple[Finding, ...]
    broken: tuple[Finding, ...]


def sort(criteria: Iterable[Criterion], findings: Iterable[Finding]) -> Judgement:
    """One finding a criterion, in the same order."""
    hold, unsettled, broken = [], [], []
    for criterion, finding in zip(criteria, findings, strict=True):
        if finding.status is Verdict.PASS:
            hold.append(finding)
        elif measured(criterion, finding):
            unsettled.append(finding)
        else:
            broken.append(finding)
    return Judgement(tuple(hold), tuple(unsettled), tuple(broken))


def measured(criterion: Criterion, finding: Finding) -> bool:
    """Whether the criterion found what it compares, whatever came of the comparison."""
    value = finding.measured
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match criterion.kind:
        case "lines" | "rescored":
            return number and value != 0
        case "decreases" | "increases" | "last" | "best":
            return number  # the trend, or how many points there were
        case "recomputed" | "value" if criterion.equals is not None:
            return type(value) is type(criterion.equals) or (
                number and type(criterion.equals) in (int, float)
            )
        case "value":
            return number
    return False  # a file is there and opens, or not
