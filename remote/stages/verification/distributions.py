"""Distributions that tests and intervals need, by the standard library: laptop and pod agree.

Each is exact but for `signed_rank_p` of many differences, which takes the normal approximation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

EXACT_RANKS = 50  # differences up to which the signed-rank distribution is counted out
FINEST = 1000  # parts of the unit that differences of shares are counted in, at most
_NEGLIGIBLE = 1e-18  # a probability that no quantile sees

Distribution = tuple[int, list[float]]  # the least value, and the probabilities from it on


def quantile(probability: float) -> float:
    """Of the standard normal distribution."""
    return NormalDist().inv_cdf(probability)


def binomial_half_p(fewer: int, n: int) -> float:
    """Twice the probability of at most `fewer` of `n` at one half, at most 1."""
    tail = sum(math.comb(n, k) for k in range(fewer + 1))
    return min(1.0, 2 * tail / (1 << n))


def resampled_mean(differences: Sequence[float], alpha: float) -> tuple[float, float]:
    """The percentile interval of the mean of resampled `differences`: the bootstrap, counted out.

    Resampling draws each of n values with replacement; the distribution of their sum follows from
    the counts of the values, so that no resample has to be drawn.
    """
    n, parts = len(differences), _parts(differences)
    counts = Counter(round(difference * parts) for difference in differences)
    least = min(counts)
    single = [counts[value] / n for value in range(least, max(counts) + 1)]
    start, probabilities = _sum_of((least, single), n)
    bounds = [_quantile_of(probabilities, share) + start for share in (alpha / 2, 1 - alpha / 2)]
    low, high = (bound / (n * parts) for bound in bounds)
    return low, high


def _parts(differences: Sequence[float]) -> int:
    """The parts of the unit in which every difference is a whole number."""
    for parts in range(1, FINEST):
        if all(abs(value * parts - round(value * parts)) < 1e-9 for value in differences):
            return parts
    return FINEST


def _sum_of(single: Distribution, n: int) -> Distribution:
    """The distribution of the sum of `n` independent draws, by repeated squaring."""
    total: Distribution = (0, [1.0])
    while n:
        if n & 1:
            total = _added(total, single)
        n >>= 1
        if n:
            single = _added(single, single)
    return total


def _added(first: Distribution, second: Distribution) -> Distribution:
    """The distribution of the sum of two independent values, without its negligible ends."""
    probabilities = [0.0] * (len(first[1]) + len(second[1]) - 1)
    for place, probability in enumerate(first[1]):
        for other, factor in enumerate(second[1], place):
            probabilities[other] += probability * factor
    start, end = 0, len(probabilities)
    while probabilities[start] < _NEGLIGIBLE:
        start += 1
    while probabilities[end - 1] < _NEGLIGIBLE:
        end -= 1
    return first[0] + second[0] + start, probabilities[start:end]


def _quantile_of(probabilities: Sequence[float], share: float) -> int:
    """The first place up to which the probabilities reach `share`."""
    reached = 0.0
    for place, probability in enumerate(probabilities):
        reached += probability
        if reached >= share - 1e-12:
            return place
    return len(probabilities) - 1


def signed_rank_p(differences: Sequence[float]) -> float:
    """Wilcoxon's two-sided p (1945) of differences that are not 0; 1 without any.

    Equal sizes share the mean of their ranks; every distribution of signs counts alike.
    """
    if not differences:
        return 1.0
    doubled = _doubled_ranks([abs(difference) for difference in differences])
    above = sum(rank for rank, value in zip(doubled, differences, strict=True) if value > 0)
    less = min(above, sum(doubled) - above)
    if len(doubled) <= EXACT_RANKS:
        return _exact_rank_p(doubled, less)
    spread = math.sqrt(sum(rank * rank for rank in doubled)) / 2
    return min(1.0, 2 * NormalDist().cdf((less - sum(doubled) / 2) / spread))


def _exact_rank_p(doubled: Sequence[int], less: int) -> float:
    ways = [1] + [0] * less  # to reach each sum, of all signs
    for rank in doubled:
        for reached in range(less, rank - 1, -1):
            ways[reached] += ways[reached - rank]
    return min(1.0, 2 * sum(ways) / (1 << len(doubled)))


def _doubled_ranks(sizes: Sequence[float]) -> list[int]:
    """Twice the rank of each size, so that a shared rank is a whole number."""
    rounded = [round(size, 9) for size in sizes]
    ranks: dict[float, int] = {}
    below = 0
    for size, count in sorted(Counter(rounded).items()):
        ranks[size] = 2 * below + count + 1
        below += count
    return [ranks[size] for size in rounded]
