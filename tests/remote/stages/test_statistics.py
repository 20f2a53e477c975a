"""Statistics of paired successes: textbook values, and what must hold for any numbers."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote.stages.verification.distributions import signed_rank_p
from remote.stages.verification.statistics import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    benjamini_hochberg,
    bootstrap_lift,
    cohens_h,
    compare,
    compare_rates,
    discordant,
    improvement,
    lift_interval,
    mcnemar_exact,
    newcombe_lift,
    noninferior,
    sample_size_to_settle,
    verdict,
    wilson,
    worst,
)

quick = settings(max_examples=30, deadline=None)
pair_lists = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60)


def table(both: int, lost: int, won: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both
        + [(True, False)] * lost
        + [(False, True)] * won
        + [(False, False)] * neither
    )


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(
    successes: int, n: int, low: float, high: float
) -> None:
    """The four examples that Newcombe published for the score method in 1998."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_of_nothing_says_nothing() -> None:
    """Without a measurement every rate is possible."""
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("lost", "won", "p"),
    [(0, 0, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375), (10, 10, 1.0), (0, 10, 2 / 2**10)],
)
def test_mcnemar_is_the_exact_binomial(lost: int, won: int, p: float) -> None:
    """Twice the binomial's tail at one half, at most 1; whichever side won."""
    assert mcnemar_exact(lost, won) == pytest.approx(p)
    assert mcnemar_exact(won, lost) == pytest.approx(p)


def test_cohens_h_gives_the_textbook_values() -> None:
    """h of 0.25 → 0.5 is 0.524 and of 0 → 1 is π; its sign follows the change."""
    assert cohens_h(0.25, 0.5) == pytest.approx(math.pi / 6)
    assert cohens_h(0.5, 0.25) == pytest.approx(-math.pi / 6)
    assert cohens_h(0.0, 1.0) == pytest.approx(math.pi)


def test_benjamini_hochberg_adjusts_the_published_example() -> None:
    """The first of the fifteen p-values of 1995: four are below 0.05 after adjusting."""
    ps = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    ps += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    adjusted = benjamini_hochberg(ps)

    assert adjusted[:4] == pytest.approx([0.0015, 0.003, 0.0095, 0.035625])
    assert sum(1 for p in adjusted if p < 0.05) == 4
    assert benjamini_hochberg([]) == []


def test_newcombe_of_nothing_says_nothing() -> None:
    """Without a measurement every lift is possible."""
    assert newcombe_lift(0, 0, 0) == (-1.0, 1.0)


TABLES = [(5, 30, 400), (0, 7, 50), (12, 12, 60), (90, 3, 547), (0, 0, 20), (100, 0, 100)]


@pytest.mark.parametrize(("lost", "won", "n"), TABLES)
def test_intervals_and_tests_are_those_of_the_libraries(lost: int, won: int, n: int) -> None:
    """Wilson, Newcombe, McNemar, Cohen's h and the sample size: as scipy and statsmodels."""
    scipy = pytest.importorskip("scipy.stats")
    power = pytest.importorskip("statsmodels.stats.power")
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    interval = scipy.binomtest(won, n).proportion_ci(0.95, method="wilson")
    newcombe = proportion.confint_proportions_2indep(
        won, n, lost, n, method="newcomb", compare="diff"
    )
    spread = math.sqrt((lost + won + 1) / (n + 1) - ((won - lost) / (n + 1)) ** 2)
    away = abs((won - lost) / n - 0.02)
    need = power.normal_sample_size_one_tail(away, 0.8, 0.025, std_null=spread)

    assert wilson(won, n) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert newcombe_lift(lost, won, n) == pytest.approx(newcombe, abs=1e-9)
    assert mcnemar_exact(lost, won) == pytest.approx(
        min(1.0, tables.mcnemar([[0, lost], [won, 0]], exact=True).pvalue)
    )
    assert cohens_h(lost / n, won / n) == pytest.approx(
        proportion.proportion_effectsize(won / n, lost / n)
    )
    assert sample_size_to_settle(lost, won, n, 0.02) == max(n + 1, math.ceil(need))


def test_the_bootstrap_is_that_of_the_library_without_its_chance() -> None:
    """Fifty thousand resamples by scipy come to the interval that is counted out."""
    scipy, numpy = pytest.importorskip("scipy.stats"), pytest.importorskip("numpy")
    draw = random.Random(1)
    shares = [(draw.randint(0, 4) / 4, draw.randint(1, 4) / 4) for _ in range(200)]
    for pairs in (table(30, 10, 30, 130), shares):
        differences = numpy.array([float(after) - float(before) for before, after in pairs])
        drawn = scipy.bootstrap(
            (differences,),
            numpy.mean,
            n_resamples=50_000,
            batch=1000,
            method="percentile",
            rng=numpy.random.default_rng(0),
        ).confidence_interval
        assert bootstrap_lift(pairs) == pytest.approx((drawn.low, drawn.high), abs=0.006)


def test_the_signed_rank_test_is_that_of_the_library() -> None:
    """Of many tied differences by the normal law, of few without ties exactly."""
    scipy = pytest.importorskip("scipy.stats")
    draw = random.Random(2)
    many = [draw.choice((-0.5, -0.25, 0.25, 0.5, 0.75)) for _ in range(120)]
    few = [0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7]

    assert signed_rank_p(many) == pytest.approx(scipy.wilcoxon(many, method="approx").pvalue)
    assert signed_rank_p(few) == pytest.approx(scipy.wilcoxon(few).pvalue)
    assert signed_rank_p([1.0] * 10) == pytest.approx(2 / 2**10)


def test_useless_training_fails_and_never_passes() -> None:
    """With identical answers on enough instructions the lift is shown to be below five points."""
    found = improvement(table(20, 0, 0, 80), 0.05)

    assert found["verdict"] == FAIL
    assert (found["lift"], found["p"]) == (0.0, 1.0)
    assert found["high"] < 0.05


def test_too_few_instructions_settle_nothing() -> None:
    """Three equal answers prove no equality: INCONCLUSIVE, with the number that would settle it."""
    found = improvement(table(1, 0, 0, 2), 0.05)

    assert found["verdict"] == INCONCLUSIVE
    assert found["n_to_settle"] > 100


def test_real_lift_passes() -> None:
    """20 % to 93 % of 100 instructions is an improvement, and by which rule is said."""
    found = improvement(table(19, 1, 74, 6), 0.05)

    assert found["verdict"] == PASS
    assert found["lift"] == pytest.approx(0.73)
    assert found["p"] < 1e-15
    assert found["cohens_h"] > 1.5
    assert "McNemar" in found["rule"]
    assert found["n_to_settle"] is None


def test_harm_fails() -> None:
    """95 % to 30 % is a failure of improvement and of non-inferiority alike."""
    broken = table(30, 65, 0, 5)

    assert improvement(broken, 0.05)["verdict"] == FAIL
    assert noninferior(broken, 0.05)["verdict"] == FAIL


def test_noninferiority_depends_on_the_sample() -> None:
    """The same rates are inconclusive on 30 instructions and non-inferior on 600."""
    assert noninferior(table(28, 1, 1, 0), 0.05)["verdict"] == INCONCLUSIVE
    assert noninferior(table(560, 20, 20, 0), 0.05)["verdict"] == PASS


def test_the_sample_that_settles_does_settle() -> None:
    """The rates observed on 60 instructions, on as many as were asked for, leave no doubt."""
    lost, won, n = 5, 12, 60
    small = improvement(table(20, lost, won, 23), 0.02)
    need = small["n_to_settle"]
    scale = need / n
    large = improvement(
        table(round(20 * scale), round(lost * scale), round(won * scale), round(23 * scale)), 0.02
    )

    assert small["verdict"] == INCONCLUSIVE
    assert large["verdict"] == PASS


def test_a_lift_at_the_threshold_is_never_settled() -> None:
    """No sample tells a lift of five points from five points."""
    assert sample_size_to_settle(0, 5, 100, 0.05) is None


def test_bootstrap_is_near_the_normal_interval() -> None:
    """For 400 pairs it is what the normal law gives."""
    pairs = table(150, 30, 90, 130)
    low, high = bootstrap_lift(pairs)
    width = 1.96 * math.sqrt((120 / 400 - 0.15**2) / 400)

    assert (low, high) == pytest.approx((0.15 - width, 0.15 + width), abs=0.01)


def test_shares_of_samples_are_compared_by_instruction() -> None:
    """Sampling that got better on most instructions shows it; equal shares show nothing."""
    better = compare_rates([(0.5, 1.0)] * 30 + [(1.0, 0.75)] * 5 + [(1.0, 1.0)] * 40, 0.0)
    equal = compare_rates([(0.75, 0.75)] * 40, 0.0)

    assert better["verdict"] == PASS
    assert (better["better"], better["worse"]) == (30, 5)
    assert better["p"] < 0.001
    assert equal["verdict"] == INCONCLUSIVE
    assert equal["p"] == 1.0


@pytest.mark.parametrize("before", [0, 4])
def test_what_has_nothing_to_lose_is_not_kept(before: int) -> None:
    """0 % after 0 % is worse by less than five points and proves nothing, greedy or sampled; the
    same where no more than the margin is there. A rise from there does pass."""
    kept = noninferior(table(before, 0, 0, 1000 - before), 0.05)
    risen = noninferior(table(before, 0, 500, 500 - before), 0.05)
    share = before / 1000

    assert (kept["verdict"], kept["n_to_settle"]) == (INCONCLUSIVE, None)
    assert risen["verdict"] == PASS
    assert compare_rates([(share, share)] * 100, -0.05)["verdict"] == INCONCLUSIVE
    assert compare_rates([(share, 0.9)] * 100, -0.05)["verdict"] == PASS
    assert noninferior(table(500, 0, 0, 500), 0.05)["verdict"] == PASS


def test_a_few_equal_shares_settle_nothing() -> None:
    """Two or nineteen instructions have no width in a bootstrap: INCONCLUSIVE whatever they say."""
    for n in (1, 2, 3, 19):
        assert compare_rates([(0.5, 1.0)] * n, 0.0)["verdict"] == INCONCLUSIVE
        assert compare_rates([(1.0, 0.0)] * n, 0.0)["verdict"] == INCONCLUSIVE
    assert compare_rates([(0.5, 1.0)] * 20, 0.0)["verdict"] == PASS


def test_nothing_measured_is_inconclusive() -> None:
    """Without a pair there is no rate and no verdict."""
    assert compare([], 0.05)["verdict"] == INCONCLUSIVE
    assert compare([], 0.05)["lift"] is None
    assert compare_rates([], 0.0)["verdict"] == INCONCLUSIVE
    assert worst([]) == INCONCLUSIVE


def test_the_worst_verdict_counts() -> None:
    """One FAIL fails; one INCONCLUSIVE leaves open; only PASS everywhere passes."""
    assert worst([PASS, INCONCLUSIVE, FAIL]) == FAIL
    assert worst([PASS, INCONCLUSIVE]) == INCONCLUSIVE
    assert worst([PASS, PASS]) == PASS


@given(n=st.integers(1, 400), share=st.floats(0, 1))
@quick
def test_wilson_holds_the_observed_rate(n: int, share: float) -> None:
    """The interval lies in [0, 1] and holds the rate that was seen."""
    successes = round(n * share)
    low, high = wilson(successes, n)

    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1


@given(ps=st.lists(st.floats(0, 1), min_size=1, max_size=20))
@quick
def test_adjusting_never_makes_a_p_smaller(ps: list[float]) -> None:
    """Adjusted p-values keep their order, and are no smaller and at most 1."""
    adjusted = benjamini_hochberg(ps)

    assert all(
        before <= after + 1e-12 <= 1 + 1e-9 for before, after in zip(ps, adjusted, strict=True)
    )
    order = sorted(range(len(ps)), key=lambda place: ps[place])
    assert all(adjusted[a] <= adjusted[b] + 1e-12 for a, b in itertools.pairwise(order))


@given(pairs=pair_lists)
@quick
def test_turning_before_and_after_round_turns_the_lift_round(
    pairs: list[tuple[bool, bool]],
) -> None:
    """Lost and won change places, p stays, and Newcombe's interval changes its sign."""
    lost, won = discordant(pairs)
    low, high = newcombe_lift(lost, won, len(pairs))

    assert discordant([(after, before) for before, after in pairs]) == (won, lost)
    assert newcombe_lift(won, lost, len(pairs)) == pytest.approx((-high, -low))


@given(pairs=pair_lists)
@quick
def test_the_interval_of_a_verdict_holds_the_lift(pairs: list[tuple[bool, bool]]) -> None:
    """The lift is inside, the bootstrap is inside, and PASS means the whole of it is above."""
    low, high = lift_interval(pairs)
    found = compare(pairs, 0.05)

    assert low <= found["bootstrap_low"] <= found["bootstrap_high"] <= high
    if pairs:
        assert low <= found["lift"] <= high
    assert found["verdict"] == verdict(low, high, 0.05, found["before"])
    assert (found["verdict"] == PASS) == (low > 0.05)
