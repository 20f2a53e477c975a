"""Statistics of paired proportions, by the standard library.

A pair is (before, after) for one instruction: whether each answer was correct, or what share of
several samples was. Every interval is two-sided at `ALPHA`. Nothing is drawn at random: the
laptop computes from the same responses what the pod computed, figure by figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import distributions

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"
ALPHA = 0.05
POWER = 0.8  # of the sample that would settle what this one does not
LEAST_RATES = 20  # instructions whose shares are compared
MAX_SAMPLE = 1_000_000  # more instructions than this count as never

Interval = tuple[float, float]
Pairs = Sequence[tuple[bool, bool]]
Rates = Sequence[tuple[float, float]]


def wilson(successes: int, n: int, alpha: float = ALPHA) -> Interval:
    """Wilson's score interval (1927) of a proportion; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    z = distributions.quantile(1 - alpha / 2)
    middle = (successes + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(successes * (n - successes) / n + z * z / 4)
    low = 0.0 if successes == 0 else _clipped(middle - half)
    return low, 1.0 if successes == n else _clipped(middle + half)


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))


def discordant(pairs: Pairs) -> tuple[int, int]:
    """(lost, won): how many were correct only before, and only after."""
    lost = sum(1 for before, after in pairs if before and not after)
    won = sum(1 for before, after in pairs if after and not before)
    return lost, won


def mcnemar_exact(lost: int, won: int) -> float:
    """McNemar's exact two-sided p: as many are lost as won; 1 without discordant pairs."""
    return distributions.binomial_half_p(min(lost, won), lost + won)


def cohens_h(before: float, after: float) -> float:
    """Cohen's h (1988), the effect size of two proportions; above 0 where `after` is higher."""
    return 2 * (math.asin(math.sqrt(after)) - math.asin(math.sqrt(before)))


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Each p adjusted by Benjamini and Hochberg (1995) over all of `ps`, in their order."""
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    adjusted, least = [0.0] * len(ps), 1.0
    for rank in range(len(ps), 0, -1):
        place = order[rank - 1]
        least = min(least, ps[place] * len(ps) / rank)
        adjusted[place] = least
    return adjusted


def bootstrap_lift(pairs: Rates, alpha: float = ALPHA) -> Interval:
    """Percentile bootstrap interval of mean(after) - mean(before), over all resamples of pairs."""
    if len(pairs) < 2:
        return -1.0, 1.0
    differences = [float(after) - float(before) for before, after in pairs]
    return distributions.resampled_mean(differences, alpha)


def newcombe_lift(lost: int, won: int, n: int, alpha: float = ALPHA) -> Interval:
    """Newcombe's interval (1998) of (won - lost) / n, from the Wilson intervals of both shares.

    It is wide for a small n, where the bootstrap of equal pairs has no width.
    """
    if n == 0:
        return -1.0, 1.0
    before, after, lift = wilson(lost, n, alpha), wilson(won, n, alpha), (won - lost) / n
    below = math.hypot(won / n - after[0], before[1] - lost / n)
    above = math.hypot(after[1] - won / n, lost / n - before[0])
    return max(-1.0, lift - below), min(1.0, lift + above)


def lift_interval(pairs: Pairs, alpha: float = ALPHA) -> Interval:
    """The interval that verdicts use: the union of the bootstrap and Newcombe intervals."""
    lost, won = discordant(pairs)
    drawn, scored = bootstrap_lift(pairs, alpha), newcombe_lift(lost, won, len(pairs), alpha)
    return min(drawn[0], scored[0]), max(drawn[1], scored[1])


def verdict(low: float, high: float, threshold: float, before: float | None) -> str:
    """PASS for an interval above `bar`, FAIL for one below `threshold`; else INCONCLUSIVE."""
    if low > bar(threshold, before):
        return PASS
    return FAIL if high < threshold else INCONCLUSIVE


def bar(threshold: float, before: float | None) -> float:
    """The lift to exceed: the threshold, or 0 where all of `before` could be lost within it.

    0 % after 0 % is worse by less than any margin, and shows nothing.
    """
    return 0.0 if (before or 0.0) <= -threshold else threshold


def worst(verdicts: Sequence[str]) -> str:
    """The worst verdict: FAIL, then INCONCLUSIVE, then PASS; INCONCLUSIVE for none."""
    if FAIL in verdicts:
        return FAIL
    return PASS if verdicts and set(verdicts) == {PASS} else INCONCLUSIVE


def sample_size_to_settle(lost: int, won: int, n: int, threshold: float) -> int | None:
    """Pairs with which a lift as observed would differ from `threshold` with power `POWER`.

    None where the lift is too close to the threshold for `MAX_SAMPLE` pairs.
    """
    lift = (won - lost) / n if n else 0.0
    away = abs(lift - threshold)
    if away < 1e-6:
        return None
    lost_rate, won_rate = (lost + 0.5) / (n + 1), (won + 0.5) / (n + 1)
    spread = math.sqrt(lost_rate + won_rate - (won_rate - lost_rate) ** 2)
    reach = distributions.quantile(1 - ALPHA / 2) + distributions.quantile(POWER)
    need = (reach * spread / away) ** 2
    return max(n + 1, math.ceil(need)) if need <= MAX_SAMPLE else None


def improvement(pairs: Pairs, minimum: float) -> dict[str, Any]:
    """Tests whether `after` is better than `before` by more than `minimum`; `compare` with p."""
    figures = compare(pairs, minimum)
    if figures["verdict"] == PASS and figures["p"] >= ALPHA:
        need = sample_size_to_settle(figures["lost"], figures["won"], len(pairs), 0.0)
        figures |= {"verdict": INCONCLUSIVE, "n_to_settle": need}
    figures["rule"] = (
        f"PASS when the interval of the lift lies above {minimum:+g} and McNemar's exact p is "
        f"below {ALPHA:g}; FAIL when it lies below {minimum:+g}; else INCONCLUSIVE"
    )
    return figures


def noninferior(pairs: Pairs, margin: float) -> dict[str, Any]:
    """Tests that `after` is not worse than `before` by `margin` or more; see `compare`."""
    figures = compare(pairs, -margin)
    figures["margin"] = margin
    figures["rule"] = (
        f"PASS when the interval of the lift lies above {-margin:+g} (above 0 where no more than "
        f"{margin:g} could be lost); FAIL when it lies below {-margin:+g}; else INCONCLUSIVE"
    )
    return figures


def compare(pairs: Pairs, threshold: float) -> dict[str, Any]:
    """One paired comparison as a JSON object: counts, rates, lift, interval, p, verdict.

    `low` and `high` are `lift_interval`; `n_to_settle` is there when the verdict is INCONCLUSIVE.
    """
    n = len(pairs)
    lost, won = discordant(pairs)
    before, after = (sum(1 for pair in pairs if pair[side]) for side in (0, 1))
    drawn = bootstrap_lift(pairs)
    low, high = lift_interval(pairs)
    judged = verdict(low, high, threshold, before / n if n else None)
    over = bar(threshold, before / n if n else None)
    need = sample_size_to_settle(lost, won, n, over) if judged == INCONCLUSIVE else None
    return {
        "n": n,
        "before": before / n if n else None,
        "after": after / n if n else None,
        "lost": lost,
        "won": won,
        "lift": (after - before) / n if n else None,
        "low": low,
        "high": high,
        "bootstrap_low": drawn[0],
        "bootstrap_high": drawn[1],
        "p": mcnemar_exact(lost, won),
        "cohens_h": cohens_h(before / n, after / n) if n else None,
        "threshold": threshold,
        "verdict": judged,
        "n_to_settle": need,
    }


def compare_rates(pairs: Rates, threshold: float) -> dict[str, Any]:
    """Like `compare`, for the share of correct samples an instruction; p by Wilcoxon (1945).

    Fewer than LEAST_RATES instructions are INCONCLUSIVE: the bootstrap of a few equal shares has no
    width, and no other interval of shares guards it.
    """
    n = len(pairs)
    moved = [after - before for before, after in pairs if after != before]
    low, high = bootstrap_lift(pairs)
    means = [sum(pair[side] for pair in pairs) / n if n else None for side in (0, 1)]
    return {
        "n": n,
        "before": means[0],
        "after": means[1],
        "worse": sum(1 for difference in moved if difference < 0),
        "better": sum(1 for difference in moved if difference > 0),
        "lift": sum(moved) / n if n else None,
        "low": low,
        "high": high,
        "p": distributions.signed_rank_p(moved),
        "threshold": threshold,
        "verdict": verdict(low, high, threshold, means[0]) if n >= LEAST_RATES else INCONCLUSIVE,
    }
