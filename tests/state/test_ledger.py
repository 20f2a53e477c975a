"""The ledger: its sums are exact, whatever the order of events, and cheap to read."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.costs.pricing import totals
from state import ledger as module
from state.database import open_database
from state.errors import Fenced, StateError
from state.interval import SCALE, Interval, Total
from state.ledger import Ledger
from state.project_lock import DATABASE, ProjectLock, acquire


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[ProjectLock]:
    with acquire(tmp_path / ".podctl", "test") as found:
        yield found


@pytest.fixture
def ledger(owner: ProjectLock) -> Ledger:
    return Ledger(owner.connection, owner.epoch)


def begin(ledger: Ledger, **changes: Any) -> int:
    """A compute interval of pod p1 for stage1c at $3.60/h from second 1000."""
    values: dict[str, Any] = {
        "pod_id": "p1",
        "lease": "l0001",
        "run": "stage1c-0001",
        "stage": "stage1c",
        "kind": "compute",
        "usd_per_hour": 3.6,
        "rate_source": "offer",
        "started_at": 1000.0,
    }
    return ledger.open_interval(**(values | changes))


def test_open_interval_grows_and_closed_one_does_not(ledger: Ledger) -> None:
    """What bills is counted until now; what ended is counted until its end."""
    begin(ledger)
    assert ledger.spent(1000.0) == 0.0
    assert ledger.spent(2000.0) == pytest.approx(1.0)

    assert ledger.close_interval("p1", "compute", 4600.0, "provider")
    assert ledger.spent(9e9) == pytest.approx(3.6)
    assert not ledger.close_interval("p1", "compute", 5000.0, "provider")


def test_opening_again_is_the_same_interval(ledger: Ledger) -> None:
    """A repeated observation of a pod that bills adds nothing."""
    first = begin(ledger)

    assert begin(ledger, started_at=1500.0) == first
    assert len(ledger.intervals()) == 1


def test_change_splits_at_the_moment(ledger: Ledger) -> None:
    """A new rate or another stage ends one interval and begins the next, without gap or overlap."""
    begin(ledger)
    begin(ledger, kind="disk", usd_per_hour=0.036, rate_source="list-price")
    ledger.change_rate("p1", "compute", 7.2, "provider", 2000.0)
    assert ledger.attribute("p1", "stage1d-0001", "stage1d", 3000.0) == 2
    assert ledger.close_all("p1", 4000.0, "terminated") == 2

    compute = [one for one in ledger.intervals() if one.kind == "compute"]
    assert [(one.stage, one.usd_per_hour, one.started_at, one.ended_at) for one in compute] == [
        ("stage1c", 3.6, 1000.0, 2000.0),
        ("stage1c", 7.2, 2000.0, 3000.0),
        ("stage1d", 7.2, 3000.0, 4000.0),
    ]
    by_stage = {(one.subject, one.kind): one.usd for one in ledger.by_stage(5000.0)}
    assert by_stage == {
        ("stage1c", "compute"): pytest.approx(3.0),
        ("stage1c", "disk"): pytest.approx(0.02),
        ("stage1d", "compute"): pytest.approx(2.0),
        ("stage1d", "disk"): pytest.approx(0.01),
    }
    assert ledger.spent(5000.0, run="stage1d-0001") == pytest.approx(2.01)


def test_attributing_to_the_same_run_changes_nothing(ledger: Ledger) -> None:
    """Said twice, it is one interval still."""
    begin(ledger)
    ledger.attribute("p1", "stage1c-0001", "stage1c", 2000.0)

    assert len(ledger.intervals()) == 1


def test_time_that_runs_backwards_costs_nothing(ledger: Ledger) -> None:
    """An end before the start is taken as the start: no interval is negative."""
    begin(ledger)
    ledger.change_rate("p1", "compute", 1.0, "provider", 10.0)
    ledger.close_all("p1", 5.0, "provider")

    assert ledger.spent(0.0) == 0.0
    assert all(one.ended_at == one.started_at for one in ledger.intervals())


def test_rate_of_nothing_is_an_error(ledger: Ledger) -> None:
    """Only what bills can change its rate."""
    with pytest.raises(StateError, match="no compute of pod p1"):
        ledger.change_rate("p1", "compute", 1.0, "provider", 10.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "lunch"},
        {"rate_source": "guess"},
        {"usd_per_hour": -1.0},
        {"usd_per_hour": 1e7},
    ],
)
def test_nonsense_is_refused(ledger: Ledger, changes: dict[str, object]) -> None:
    """An unknown kind, an unknown source, a rate that nobody asks: refused by the database."""
    with pytest.raises(StateError):
        begin(ledger, **changes)
    assert ledger.intervals() == ()


def test_reader_cannot_write(owner: ProjectLock, ledger: Ledger) -> None:
    """A ledger without the owner's epoch reads and does not write."""
    begin(ledger)
    reader = Ledger(open_database(owner.folder / DATABASE, readonly=True))

    assert reader.spent(2000.0) == pytest.approx(1.0)
    with pytest.raises(StateError):
        reader.close_all("p1", 3000.0, "x")
    with pytest.raises(Fenced):
        Ledger(owner.connection).close_all("p1", 3000.0, "x")


def test_recorded_interval_must_be_closed(ledger: Ledger) -> None:
    """Afterwards only what ended can be added; one bad row and none is written."""
    good = Interval(
        0, "p9", "l0001", None, "stage1c", "compute", 10**9, "provider", 0, 3_600_000, "x"
    )
    with pytest.raises(StateError):
        ledger.record([good, replace(good, ended_ms=None, end_source=None)])
    assert ledger.spent(9e9) == 0.0

    assert ledger.record([good]) == 1
    assert ledger.spent(9e9) == 1.0


def test_closed_interval_is_never_changed(owner: ProjectLock, ledger: Ledger) -> None:
    """Neither its end nor its rate, not even with SQL."""
    begin(ledger)
    ledger.close_all("p1", 2000.0, "provider")

    changes = ("ended_ms = 9", "ended_ms = NULL, end_source = NULL", "nano_per_hour = 1")
    for statement in (
        *(f"UPDATE interval SET {change}" for change in changes),
        "DELETE FROM interval",
        "REPLACE INTO interval SELECT id, pod_id, lease, run, stage, kind, 1, rate_source,"
        " started_ms, ended_ms, end_source FROM interval",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            owner.connection.execute(statement)


@pytest.mark.parametrize("query", [module._SUMS_OF_ALL, module._SUMS_OF_ONE])
def test_sums_do_not_scan_the_ledger(owner: ProjectLock, query: str) -> None:
    """Reading sums touches the totals by their key and the open intervals, never closed rows."""
    values = {"scope": "stage", "now": 0, "subject": "stage1c"}
    plan = owner.connection.execute("EXPLAIN QUERY PLAN " + query, values).fetchall()
    steps = [row[3] for row in plan]

    assert not any("interval" in step and "interval_open" not in step for step in steps)
    key = "(scope=? AND subject=?)" if query == module._SUMS_OF_ONE else "(scope=?)"
    assert f"SEARCH total USING PRIMARY KEY {key}" in steps


rates = st.sampled_from([0.0, 0.0027397, 0.34, 2.69, 79.992, 999.999]) | st.floats(0, 1000)
moments = st.integers(0, 10**7).map(lambda tenth: tenth / 10)
events = st.one_of(
    st.tuples(
        st.just("open"),
        st.sampled_from(["p1", "p2"]),
        st.sampled_from(["compute", "disk", "parked-disk"]),
        st.sampled_from(["stage1a", "stage1c"]),
        rates,
        moments,
    ),
    st.tuples(st.just("close"), st.sampled_from(["p1", "p2"]), moments),
    st.tuples(st.just("rate"), st.sampled_from(["p1", "p2"]), rates, moments),
    st.tuples(
        st.just("attribute"),
        st.sampled_from(["p1", "p2"]),
        st.sampled_from([None, "stage1a-0001", "stage1c-0001"]),
        moments,
    ),
)


def apply(ledger: Ledger, event: tuple[Any, ...]) -> None:
    match event:
        case ("open", pod, kind, stage, rate, at):
            begin(
                ledger,
                pod_id=pod,
                kind=kind,
                stage=stage,
                run=f"{stage}-0001",
                usd_per_hour=rate,
                started_at=at,
            )
        case ("close", pod, at):
            ledger.close_all(pod, at, "test")
        case ("rate", pod, rate, at):
            if any(one.kind == "compute" for one in ledger.intervals(pod_id=pod, open_only=True)):
                ledger.change_rate(pod, "compute", rate, "provider", at)
        case ("attribute", pod, run, at):
            ledger.attribute(pod, run, run.split("-")[0] if run else "idle", at)


def brute_force(rows: tuple[Interval, ...], now: float, by: str) -> dict[Any, Fraction]:
    """Dollars by subject, stage and kind, from the rows alone, in exact fractions."""
    sums: dict[Any, Fraction] = defaultdict(Fraction)
    for one in rows:
        end = round(now * 1000) if one.ended_ms is None else one.ended_ms
        hours = Fraction(max(0, end - one.started_ms), 3_600_000)
        subject = {"stage": one.stage, "pod": one.pod_id, "run": one.run}[by]
        if subject is not None:
            sums[(subject, one.stage, one.kind)] += hours * Fraction(one.nano_per_hour, 10**9)
    return dict(sums)


def exact(found: tuple[Total, ...]) -> dict[Any, Fraction]:
    return {(one.subject, one.stage, one.kind): Fraction(one.amount, SCALE) for one in found}


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(events, max_size=12), moments)
def test_sums_are_exact(history: list[tuple[Any, ...]], now: float) -> None:
    """After any history every sum equals the fractions added by hand, and cost.py's own sums."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    try:
        with acquire(folder / ".podctl", "test") as owner:
            owner.connection.execute("PRAGMA synchronous = OFF")  # arithmetic, not durability
            ledger = Ledger(owner.connection, owner.epoch)
            for event in history:
                apply(ledger, event)
            rows = ledger.intervals()
            found = {
                "stage": ledger.by_stage(now),
                "pod": ledger.by_pod(now),
                "run": ledger.by_run(now),
            }
            spent = ledger.spent(now)
            one_by_one = [one for pod in ("p1", "p2") for one in ledger.by_pod(now, pod)]
    finally:
        shutil.rmtree(folder)

    for by, sums in found.items():
        assert exact(sums) == brute_force(rows, now, by)
        assert sums == totals(rows, now, by)
    assert spent == pytest.approx(float(sum(brute_force(rows, now, "stage").values())), rel=1e-12)
    assert tuple(one_by_one) == found["pod"]
    for pod in ("p1", "p2"):
        for kind in ("compute", "disk", "parked-disk"):
            mine = [one for one in rows if (one.pod_id, one.kind) == (pod, kind)]
            assert sum(one.open for one in mine) <= 1


closed = st.builds(
    lambda pod, kind, stage, rate, start, length: Interval(
        0, pod, "l0001", f"{stage}-0001", stage, kind, rate, "provider", start, start + length, "x"
    ),
    st.sampled_from(["p1", "p2"]),
    st.sampled_from(["compute", "disk"]),
    st.sampled_from(["stage1a", "stage1c"]),
    st.integers(0, 10**12),
    st.integers(0, 10**12),
    st.integers(0, 10**10),
)


@settings(max_examples=20)
@given(st.lists(closed, max_size=8), st.randoms(use_true_random=False))
def test_order_and_overlap_do_not_matter(rows: list[Interval], order: Random) -> None:
    """Intervals that overlap, written in any order, sum up to the same integers: the amounts
    themselves, to the last unit."""
    shuffled = list(rows)
    order.shuffle(shuffled)
    found = []
    for some in (rows, shuffled):
        folder = Path(tempfile.mkdtemp(prefix="ledger-"))
        try:
            with acquire(folder / ".podctl", "test") as owner:
                owner.connection.execute("PRAGMA synchronous = OFF")
                ledger = Ledger(owner.connection, owner.epoch)
                for one in some:
                    ledger.record([one])
                found.append((ledger.by_stage(0), ledger.by_pod(0), ledger.by_run(0)))
        finally:
            shutil.rmtree(folder)

    assert found[0] == found[1]
    for sums in found[0]:
        assert sum(one.amount for one in sums) == sum(one.amount(0) for one in rows)
