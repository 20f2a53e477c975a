"""Money from time: exact sums, honest estimates, and a worst case that is one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.costs import pricing as cost
from controller.costs.pricing import (
    HOURS_PER_MONTH,
    Budget,
    Forecast,
    estimate_usd,
    expected_usd,
    network_volume_rate,
    parked_usd_per_day,
    reconcile,
    refusal,
    remaining_hours,
    running_disk_rate,
    spending,
    spending_by_subject,
    totals,
    worst_case,
)
from controller.providers.emulator.billing import intervals as billing
from state.interval import Interval


def interval(**changes: object) -> Interval:
    """One hour of compute at $2 of pod p1 for stage1c, from second 0."""
    values: dict[str, object] = {
        "id": 1,
        "pod_id": "p1",
        "lease": "l0001",
        "run": "stage1c-0001",
        "stage": "stage1c",
        "kind": "compute",
        "nano_per_hour": 2 * 10**9,
        "rate_source": "provider",
        "started_ms": 0,
        "ended_ms": 3_600_000,
        "end_source": "provider",
    }
    return Interval(**(values | changes))  # type: ignore[arg-type]  # checked by the dataclass's use


def test_overlapping_and_open_intervals_add_up() -> None:
    """Two pods cost twice, an open one counts until now, a price change counts from then on."""
    rows = [
        interval(),
        interval(pod_id="p2", nano_per_hour=10**9),
        interval(started_ms=3_600_000, ended_ms=None, nano_per_hour=4 * 10**9),
        interval(kind="parked-disk", pod_id="p3", ended_ms=None, nano_per_hour=10**7),
    ]
    total = spending(totals(rows, now=7200.0, by="pod"))

    assert total.compute_usd == 2 + 1 + 4
    assert total.storage_usd == pytest.approx(0.02)
    assert total.usd == pytest.approx(7.02)
    assert total.hours == 3
    assert total.usd_per_hour_now == pytest.approx(4.01)
    assert total.parked_usd_per_day == pytest.approx(0.24)


def test_spending_is_split_by_subject() -> None:
    """Each pod and each stage has its own sum, and the sums of both add up to the same."""
    rows = [interval(), interval(pod_id="p2"), interval(stage="stage1d")]
    by_pod = spending_by_subject(totals(rows, 0.0, "pod"))
    by_stage = spending_by_subject(totals(rows, 0.0, "stage"))

    assert [(one.subject, one.usd) for one in by_pod] == [("p1", 4.0), ("p2", 2.0)]
    assert [(one.subject, one.usd) for one in by_stage] == [("stage1c", 4.0), ("stage1d", 2.0)]


def test_a_hundred_thousand_small_sums_do_not_drift() -> None:
    """A cent a hundred thousand times is a thousand dollars, to the last digit."""
    rows = [interval(nano_per_hour=10**7, ended_ms=3_600_000)] * 100_000

    assert spending(totals(rows, 0.0, "stage")).usd == 1000.0


def test_storage_costs_what_the_provider_publishes() -> None:
    """$0.10 per GB and month while running, $0.20 while parked, by a month of 730 hours."""
    month = HOURS_PER_MONTH

    assert running_disk_rate(30, 60) * month == pytest.approx(9.0)
    assert parked_usd_per_day(60) == pytest.approx(60 * 0.20 / 730 * 24)
    assert network_volume_rate(1000) * month == pytest.approx(70.0)
    assert network_volume_rate(1500) * month == pytest.approx(95.0)


def test_the_embedded_cloud_bills_by_the_same_figures() -> None:
    """Ledger and emulator have the same month and the same prices."""
    assert billing.MONTH_HOURS == HOURS_PER_MONTH
    assert billing.DISK_USD_PER_GB_MONTH == cost.CONTAINER_DISK_USD_GB_MONTH
    assert billing.DISK_USD_PER_GB_MONTH == cost.VOLUME_USD_GB_MONTH
    assert billing.PARKED_USD_PER_GB_MONTH == cost.PARKED_USD_GB_MONTH
    assert billing.network_rate(1500) == pytest.approx(network_volume_rate(1500))


def test_worst_case_holds_everything_that_can_bill() -> None:
    """The boot, the guard's hard cap, its own retries; disk beside it, the parked disk after."""
    worst = worst_case(
        boot_seconds=1500,
        hard_cap_seconds=4 * 3600 + 7200,
        usd_per_hour=2.0,
        disk_gb=30,
        volume_gb=60,
    )

    assert worst.hours == pytest.approx(1500 / 3600 + 4 + 2 + 1 / 3)
    assert worst.compute_usd == pytest.approx(worst.hours * 2)
    assert worst.usd == pytest.approx(worst.hours * (2 + 9 / 730))
    assert worst.parked_usd_per_day == pytest.approx(parked_usd_per_day(60))


@given(st.floats(0.1, 100), st.floats(0.01, 100), st.floats(0, 1e4), st.floats(0, 1e4))
def test_worst_case_is_never_under_the_expected(
    hours: float, rate: float, disk: float, volume: float
) -> None:
    """For no size and price does a stage that ends in its budget cost more than the worst case."""
    worst = worst_case(
        boot_seconds=0,
        hard_cap_seconds=hours * 3600,
        usd_per_hour=rate,
        disk_gb=disk,
        volume_gb=volume,
    )

    assert worst.usd >= expected_usd(hours, rate, disk, volume)


def test_estimate_follows_what_is_known() -> None:
    """By definition before, by measured progress during, by the ledger once locked."""
    assert estimate_usd(Forecast(2.0, None), 0.0) is None
    assert estimate_usd(Forecast(2.0, 3.0), 0.0) == 6.0
    assert estimate_usd(Forecast(2.0, 3.0), 9.0) == 9.0  # never less than was spent
    assert estimate_usd(Forecast(2.0, 3.0, remaining_hours=0.5), 4.0) == 5.5
    assert estimate_usd(Forecast(2.0, 3.0, remaining_hours=0.5, phased=True), 1.0) == 6.0
    assert estimate_usd(Forecast(2.0, None, finished=True), 4.25) == 4.25


def test_progress_tells_the_rest() -> None:
    """25 of 100 steps in half an hour leave an hour and a half; nothing measured says nothing."""
    assert remaining_hours(25, 100, 0.5) == pytest.approx(1.5)
    assert remaining_hours(120, 100, 0.5) == 0.0
    assert remaining_hours(19, 100, 0.5) is None  # the first 20 steps are a probe
    assert remaining_hours(1, 4, 0.5) == pytest.approx(1.5)  # or a quarter of fewer
    for step, most, elapsed in ((None, 100, 1), (5, None, 1), (0, 100, 1), (5, 100, 0), (-1, 5, 1)):
        assert remaining_hours(step, most, elapsed) is None


def test_what_does_not_fit_is_refused_with_its_figures() -> None:
    """Run budget, project budget and balance each refuse; what fits is not refused."""
    worst = worst_case(boot_seconds=0, hard_cap_seconds=36_000, usd_per_hour=1)  # $10.33

    assert refusal(worst, Budget(None, None), 0.0, None) == ""
    assert "run's budget $10.00" in refusal(worst, Budget(None, 10.0), 0.0, None)
    assert "$9.00 left" in refusal(worst, Budget(20.0, None), 11.0, None)
    assert refusal(worst, Budget(20.0, 10.5), 9.0, 100.0) == ""
    assert "balance of $15.00" in refusal(worst, Budget(None, None), 0.0, 15.0)
    assert Budget(20.0, None).left(25.0) == -5.0


def test_reconciling_names_every_pod_of_either_side() -> None:
    """A pod that only the bill knows is a row too, and the largest difference comes first."""
    found = reconcile({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.004, "b": 2.5, "d": 0.75})

    assert [(one.pod_id, round(one.usd, 3), one.agrees) for one in found] == [
        ("c", 3.0, False),
        ("d", -0.75, False),
        ("b", -0.5, False),
        ("a", -0.004, True),
    ]


def test_cost_is_pure() -> None:
    """The arithmetic imports no clock, no randomness, no I/O."""
    tree = ast.parse(Path(cost.__file__).read_text())
    names = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert names <= {"__future__", "collections", "dataclasses", "state"}
