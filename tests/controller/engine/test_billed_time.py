"""What a pod's bill is asked for: lives that nobody followed, and lives that only show."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from controller.clock import SystemClock
from controller.engine.billed_time import BILL_TRIES, BilledTime, Unattributed
from controller.engine.outcomes import BilledUse
from controller.engine.process_state import ProcessState
from controller.engine.recorder import LeaseRecorder
from controller.planner.actions import ReconcileBilling
from controller.planner.lease_state import LeaseState, PendingTermination, RunFacts
from controller.providers.base import BillingRecord, Pod, PodStatus, ProviderError
from state.journal import Journal
from state.ledger import Ledger
from tests.simulation.project import fresh_database

NOW = 100_000.0
RENTAL = LeaseState("l0001", (RunFacts("hello-0001", "hello"),), pod="p1", pods=("p1",))
POD = Pod("p1", "podctl-hello-0", PodStatus.RUNNING, usd_per_hour=1.0)


def reckoning(
    *lives: tuple[float, float | None],
    lease_state: LeaseState = RENTAL,
    billed_hours: float | None = None,
) -> BilledTime:
    """With a ledger of a pod at $1.00/h that ran so, and the provider's bill for it."""
    database = fresh_database()
    ledger = Ledger(database, database.execute("SELECT epoch FROM owner").fetchone()[0])
    for begin, end in lives:
        ledger.open_interval(
            pod_id="p1",
            lease="l0001",
            run=None,
            stage="hello",
            kind="compute",
            usd_per_hour=1.0,
            rate_source="provider",
            started_at=begin,
        )
        if end is not None:
            ledger.close_interval("p1", "compute", end, "parked")
    usd = billed_hours or 0.0
    bill = () if billed_hours is None else (BillingRecord("p1", 0.0, NOW, usd, usd, 0.0),)
    context: Any = SimpleNamespace(
        ledger=ledger,
        lease_state=lambda: lease_state,
        clock=SimpleNamespace(wall=lambda: NOW),
        policy=SimpleNamespace(bill_lag=600.0, boot=1500.0),
        provider=SimpleNamespace(billing=lambda *_: bill),
        process=ProcessState(),
    )
    return BilledTime(context)


def unattributed(
    books: BilledTime, ended_at: float = NOW, *, meddled: bool = False
) -> Unattributed | None:
    return books.unattributed("p1", ended_at, meddled=meddled)


def since(started_at: float) -> Pod:
    return replace(POD, started_at=started_at)


def test_what_only_shows_as_running_is_not_known_to_bill() -> None:
    """A start that the provider tells must not be one of a life that was paid already."""
    paid = reckoning((1000.0, 5000.0), (5000.0, None))

    assert not paid.runs_whole(since(1000.0))
    assert paid.runs_whole(since(5000.0))
    assert paid.runs_whole(POD)  # it tells none: nothing speaks against it


def test_a_pod_that_began_anew_since_it_answered_did_not_run_whole() -> None:
    """Somebody stopped and started it while nobody looked."""
    answered = replace(RENTAL, life=("p1", 1000.0))

    assert reckoning((1000.0, None), lease_state=answered).runs_whole(since(1000.0))
    assert not reckoning((1000.0, None), lease_state=answered).runs_whole(since(3000.0))


def test_a_pod_that_began_anew_before_it_ever_answered_did_not_run_whole() -> None:
    """Nothing of ours started it, and no first boot takes an hour."""
    books = reckoning((NOW - 4000.0, None))

    assert not books.interrupted(since(NOW - 3900.0))  # its image was pulled
    assert books.interrupted(since(NOW - 400.0))
    assert not books.runs_whole(since(NOW - 400.0))


def test_a_start_that_only_the_books_have_and_one_of_somebody_else_are_one_row() -> None:
    """Killed between book and journal; what lay between the two lives is the bill's to say."""
    books = reckoning((NOW - 9000.0, NOW - 8000.0), (NOW - 5000.0, None))

    assert books.start_of(since(NOW - 400.0)) == NOW - 5000.0
    assert reckoning((NOW - 9000.0, NOW - 8000.0)).start_of(since(NOW - 400.0)) == NOW - 400.0


def test_a_pod_that_gets_up_after_it_had_answered_is_not_known_to_bill() -> None:
    """Its guard may have stopped it long ago; a first boot is what it shows."""
    answered = replace(RENTAL, life=("p1", NOW - 100.0))
    starting = replace(since(NOW - 100.0), status=PodStatus.STARTING)

    assert reckoning((NOW - 100.0, None)).runs_whole(starting)
    assert not reckoning((NOW - 100.0, None), lease_state=answered).runs_whole(starting)


@pytest.mark.parametrize(("age", "known"), [(1400.0, True), (1600.0, False)])
def test_a_pod_that_gets_up_for_longer_than_a_boot_is_not_known_to_bill(
    age: float, known: bool
) -> None:
    """It never answered, so its guard has stopped it by then, whatever is shown: the bill tells."""
    starting = replace(since(NOW - age), status=PodStatus.STARTING)

    assert reckoning((NOW - age, None)).runs_whole(starting) is known


def test_a_parked_pods_life_in_the_console_is_found_on_the_bill() -> None:
    """Half an hour beyond what the books have; what agrees to the cent is nothing."""
    missed = unattributed(reckoning((1000.0, 4600.0), billed_hours=1.5))

    assert missed is not None
    assert (missed.since, missed.until) == (4600.0, pytest.approx(6400.0))
    assert unattributed(reckoning((1000.0, 4600.0), billed_hours=1.005)) is None


def test_a_pod_that_was_parked_a_moment_ago_waits_for_no_bill() -> None:
    """Else every `podctl stop --terminate` after a stop would take ten minutes."""
    assert unattributed(reckoning((1000.0, NOW - 60.0), billed_hours=99.0)) is None


def test_lives_before_one_that_we_followed_are_found_when_somebody_meddled() -> None:
    """Two hours are booked, three are billed: one was run between them, by somebody else."""
    books = reckoning((1000.0, 4600.0), (20_000.0, None), billed_hours=3.0)
    missed = unattributed(books, 23_600.0, meddled=True)

    assert missed is not None
    assert missed.until - missed.since == pytest.approx(3600.0)
    assert unattributed(books, 23_600.0) is None


@pytest.mark.parametrize("parked_for", [620.0, 1800.0, 7200.0])
def test_what_somebody_ran_before_our_last_life_is_found_though_it_is_parked(
    parked_for: float,
) -> None:
    """Two hours are booked, three billed: as soon as the bill is whole to where ours ended."""
    end = NOW - parked_for
    books = reckoning((1000.0, 4600.0), (end - 3600.0, end), billed_hours=3.0)
    missed = unattributed(books, end, meddled=True)

    assert missed is not None
    assert missed.since == pytest.approx(end - 3600.0)
    assert missed.until == pytest.approx(end)


def test_a_pod_that_was_parked_a_moment_ago_and_meddled_with_waits_for_the_bill() -> None:
    """What is not on it yet would be lost for good."""
    books = reckoning((1000.0, 4600.0), (NOW - 3700.0, NOW - 100.0), billed_hours=1.0)

    with pytest.raises(ProviderError, match="may still grow"):
        unattributed(books, NOW - 100.0, meddled=True)


def test_an_end_that_nobody_saw_is_the_bills_and_never_a_gift() -> None:
    """Two hours of the bill end it there; a bill that does not know the pod ends it now."""
    assert reckoning((1000.0, None), billed_hours=2.0).end_of("p1") == pytest.approx(8200.0)
    assert reckoning((1000.0, None)).end_of("p1") == NOW


def test_a_bill_without_lag_is_better_than_any_order() -> None:
    """A host may die in the seconds between the last look and the order that was taken."""
    pending_terminations = (PendingTermination("p1", clean=True, ended_at=NOW, sure=True),)
    ordered = reckoning(
        (1000.0, None),
        billed_hours=2.0,
        lease_state=replace(RENTAL, pending_terminations=pending_terminations),
    )
    parked = reckoning((1000.0, None), billed_hours=2.0)
    parked.context.process.orders.ended_at["p1"] = NOW

    assert (ordered.end_of("p1"), parked.end_of("p1")) == (NOW, NOW)
    ordered.context.policy.bill_lag = parked.context.policy.bill_lag = 0.0
    assert ordered.end_of("p1") == pytest.approx(8200.0)
    assert parked.end_of("p1") == pytest.approx(8200.0)


def test_a_life_in_pieces_waits_until_its_bill_is_whole() -> None:
    """And not for ever: after so many tries the end is when it was noticed."""
    pieces = reckoning((1000.0, None), billed_hours=2.0)
    with pytest.raises(ProviderError, match="may still grow"):
        pieces.end_of("p1", interrupted=True)
    pieces.context.process.bill.misses = BILL_TRIES

    assert pieces.end_of("p1", interrupted=True) == NOW


def test_a_life_that_is_found_on_the_bill_is_booked_whole_or_not_at_all() -> None:
    """Killed half way, its row would stay open, and end with a later life."""
    database = fresh_database()
    epoch = database.execute("SELECT epoch FROM owner").fetchone()[0]
    ledger, journal = Ledger(database, epoch), Journal(database, epoch)
    lease = journal.open_lease({}, [("hello", {})])
    books = LeaseRecorder(lease, journal, ledger, clock=SystemClock())
    open_rows = []
    database.set_trace_callback(
        lambda text: (
            text.startswith("COMMIT") and open_rows.append(len(ledger.intervals(open_only=True)))
        )
    )
    action = ReconcileBilling("p1", 1000.0)
    books.outcome(action, BilledUse(1000.0, 4600.0, 2.0, "hello-0001", "hello"))
    database.set_trace_callback(None)

    assert ledger.spent(NOW) == pytest.approx(2.0)
    assert set(open_rows) == {0}
