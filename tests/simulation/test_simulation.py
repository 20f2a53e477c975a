"""Whole histories in virtual time: every invariant holds, and every seeded bug is found."""

from __future__ import annotations

import os
import random
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.__main__ import BATCH, NO_BIAS, Sum, batches, corpus, first_found, play_all
from tests.simulation.history import play
from tests.simulation.mutants import BIASES, MUTANTS
from tests.simulation.unexpected_error import NO_INJECTED_ERROR

FRESH = 2000  # histories that no run before this one has played
WITHIN = 400  # histories in which every seeded bug must have shown; most show in the first ten


def test_every_seed_that_ever_failed_holds_now() -> None:
    """What the corpus found once is mended for good."""
    total = play_all(corpus(), bias=NO_INJECTED_ERROR)

    assert total.histories >= 7
    assert total.violations == []


def test_a_create_whose_outcome_is_not_written_is_looked_for() -> None:
    """For a whole window from then on, although an earlier one of the lease was looked for before:
    no second pod is made beside it."""
    total = play_all([150173194425])

    assert total.tally.surprises == 1
    assert total.violations == []


def test_a_pod_does_not_continue_a_job_whose_stage_is_locked_by_another_run() -> None:
    """It ignored its stop and was parked; a later sync must not start it again for its files."""
    assert play_all([88880256]).violations == []


@pytest.mark.timeout(900)  # two core-minutes, shared with whatever else the machine does
def test_fresh_histories_hold_every_invariant() -> None:
    """I1 to I5, I9 and I10 after every event of two thousand histories; a failing seed replays."""
    start = random.SystemRandom().randrange(1 << 40)
    total = Sum()
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with ProcessPoolExecutor(max(1, (os.cpu_count() or 1) // workers)) as pool:
        for part in pool.map(play_all, batches(start, FRESH)):
            total.add(part)

    replay = [f"python -m tests.simulation --only {seed}: {why}" for seed, why in total.violations]
    assert total.histories == FRESH
    assert total.tally.kills > FRESH  # bad luck really struck
    assert total.tally.faults > FRESH
    assert total.tally.surprises > FRESH / 5
    assert total.passed > FRESH / 2
    assert replay == []


def test_a_seed_gives_the_same_history_every_time() -> None:
    """So that a failing one can be looked at."""
    first, second = play(4711), play(4711)

    assert first == second
    assert first.tally.effects > BATCH


@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_seeded_bug_is_found(mutant: str) -> None:
    """Without the safeguard an invariant breaks, and with it the same history holds."""
    revealing_seed = first_found(mutant, WITHIN)

    assert revealing_seed is not None, f"{mutant} survives {WITHIN} histories"
    seed, violation = revealing_seed
    assert violation.startswith("I")
    assert play(seed, BIASES.get(mutant, NO_BIAS)).violation == ""
