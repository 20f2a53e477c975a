"""The test for a trend in a noisy series, behind the criteria `decreases` and `increases`.

A series of a training loss decreases when both hold:

1. *much enough*: the mean of its last fifth is lower than the mean of its first fifth, by
   `LEAST_SHARE` of the larger of both and by `LEAST`: a fall that is sure and tiny is none;
2. *consistently*: of the 10 to 50 block means into which the series is smoothed, Kendall's tau
   against time is negative and the one-sided Mann-Kendall test (normal approximation with
   continuity and tie corrections) rejects "no downward trend" at 1 %.

Means of a few points are one glance at noise, and a rank test alone passes a fall of 0.00001: hence
both. `LEAST` is absolute since a reward margin begins at 0, where any rise is many times as much.
Under 10 points there is nothing to test and the answer is None. A series increases when the series
of its negatives decreases.

Mann-Kendall: H. B. Mann, "Nonparametric tests against trend", Econometrica 13 (1945) 245-259;
M. G. Kendall, "Rank Correlation Methods" (1948), for the variance with ties.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import NormalDist, fmean

MIN_POINTS = 10
MAX_BLOCKS = 50
LEVEL = 0.01
LEAST_SHARE = 0.001
LEAST = 1e-4


@dataclass(frozen=True)
class Trend:
    """`holds` is None when there are too few points; `tau` is Kendall's, -1 to 1."""

    holds: bool | None
    tau: float | None
    detail: str


def decreases(series: Sequence[float]) -> Trend:
    """The test of the module's docstring on finite numbers in the order of time."""
    return _falls(series, 1)


def increases(series: Sequence[float]) -> Trend:
    """The same test for a rise."""
    return _falls(series, -1)


def _falls(series: Sequence[float], sign: int) -> Trend:
    """Does `sign` times the series decrease? What is told is of the series itself."""
    if len(series) < MIN_POINTS:
        return Trend(None, None, f"{len(series)} points, need {MIN_POINTS}")
    values = [sign * value for value in series]
    fifth = len(values) // 5
    first, last = fmean(values[:fifth]), fmean(values[-fifth:])
    tau, p = mann_kendall(_blocks(values))
    detail = (
        f"mean of first fifth {sign * first:.4g}, of last fifth {sign * last:.4g}; "
        f"Mann-Kendall tau {sign * tau:.2f}, p {p:.2g}"
    )
    least = max(LEAST, LEAST_SHARE * max(abs(first), abs(last)))
    much = first - last >= least
    if not much and last < first:
        detail += f"; a change below {least:.2g} is none"
    return Trend(much and tau < 0 and p < LEVEL, round(sign * tau, 4), detail)


def _blocks(series: Sequence[float]) -> list[float]:
    """Means of 10 to 50 consecutive blocks of nearly the same length."""
    count = min(MAX_BLOCKS, max(MIN_POINTS, len(series) // 2))
    edges = [round(place * len(series) / count) for place in range(count + 1)]
    return [fmean(series[a:b]) for a, b in pairwise(edges)]


def mann_kendall(values: Sequence[float]) -> tuple[float, float]:
    """(Kendall's tau, one-sided p of "no downward trend"); at least three values."""
    n = len(values)
    score = sum((b > a) - (b < a) for a, b in combinations(values, 2))
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    tau = 2 * score / (n * (n - 1))
    if variance == 0:  # all values equal
        return 0.0, 1.0
    return tau, NormalDist().cdf((score + (1 if score < 0 else 0)) / math.sqrt(variance))
