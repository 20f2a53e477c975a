"""`podctl gc --terminate`: every pod is ordered to end, and the books are the bill."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.orphans.backfill import post
from controller.orphans.sweep import OrphanPod, Ownership
from controller.providers.base import BillingRecord, Pod, PodStatus
from remote.contract import ENV_OWNER
from state.database import kept_name, open_database
from state.interval import SCALE
from state.ledger import Ledger
from state.project_lock import acquire
from tests.controller.cli.test_cli_read import own_pod
from tests.controller.providers.test_refusing_provider import answering
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.laptop import Laptop
from tests.support.shell import Shell

HOUR = 3600.0
NOW = 50 * HOUR
STRAY = OrphanPod("p1", "", Ownership.STALE, "", "", 0.0, 0.0, "l0001", "hello", NOW)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with acquire(tmp_path / ".podctl", "test") as owner:
        yield Ledger(owner.connection, owner.epoch)


def pod(status: PodStatus, usd_per_hour: float = 0.0, **more: float) -> Pod:
    """One with a volume of 73 GB: a cent an hour while it runs, two while it is stopped."""
    known = {"created_at": NOW - 40 * HOUR} | more
    return Pod("p1", "", status, usd_per_hour=usd_per_hour, volume_gb=73, **known)  # type: ignore[arg-type]


def billed(compute: float, disk: float) -> tuple[BillingRecord, ...]:
    """The bill of p1, and somebody else's beside it."""
    window = (NOW - 40 * HOUR, NOW)
    other = BillingRecord("p2", *window, 9.0, 8.0, 1.0)
    return (BillingRecord("p1", *window, compute + disk, compute, disk), other)


def sums(ledger: Ledger) -> dict[str, float]:
    """USD of p1 by kind."""
    totals: dict[str, float] = {}
    for interval in ledger.intervals(pod_id="p1"):
        totals[interval.kind] = totals.get(interval.kind, 0.0) + interval.amount(0) / SCALE
    return totals


def test_a_stopped_pod_is_booked_by_the_bill(ledger: Ledger) -> None:
    """It ran for some hours of its forty, and costs nothing an hour now: only the bill knows."""
    post(ledger, pod(PodStatus.EXITED), STRAY, billed(5.2, 0.5), NOW)

    assert sums(ledger) == {"compute": pytest.approx(5.2), "disk": pytest.approx(0.5)}


def test_a_pod_that_was_started_again_is_booked_by_the_bill_and_its_present_price(
    ledger: Ledger,
) -> None:
    """The last two hours at what it costs now, all that is billed beyond them before."""
    again = pod(PodStatus.RUNNING, 2.0, started_at=NOW - 2 * HOUR)
    post(ledger, again, STRAY, billed(9.0, 0.5), NOW)

    assert sums(ledger) == {"compute": pytest.approx(9.0), "disk": pytest.approx(0.5)}
    newest = [
        interval
        for interval in ledger.intervals(pod_id="p1")
        if interval.started_at == NOW - 2 * HOUR
    ]
    assert [interval.usd_per_hour for interval in newest] == pytest.approx([2.0, 0.01])


@pytest.mark.parametrize("status", [PodStatus.RUNNING, PodStatus.EXITED])
def test_what_bills_on_after_it_was_booked_is_booked_from_there(
    ledger: Ledger, status: PodStatus
) -> None:
    """Booked when an order failed, ten hours before the one that was taken; meanwhile it went on,
    or was stopped after one hour more."""
    hours = 40 if status is PodStatus.RUNNING else 31
    bill = billed(2.0 * hours, 0.4)
    post(ledger, pod(PodStatus.RUNNING, 2.0), STRAY, (), NOW - 10 * HOUR)
    post(ledger, pod(status, 2.0 if status is PodStatus.RUNNING else 0.0), STRAY, bill, NOW)

    assert sums(ledger) == {"compute": pytest.approx(2.0 * hours), "disk": pytest.approx(0.4)}


@pytest.fixture
def shell(laptop: Laptop, shell: Shell) -> Shell:
    """The laptop's project with its database."""
    shell.project.prepare()
    open_database(shell.project.database).close()
    return shell


def stray(cloud: EmulatedCloud, shell: Shell) -> str:
    """A pod of this project that no run owns."""
    owner = kept_name(shell.project.state_dir)
    assert owner is not None
    return str(own_pod(cloud, shell, **{ENV_OWNER: owner})["id"])


def test_a_stray_that_its_guard_stopped_is_in_the_books_as_on_the_bill(
    cloud: EmulatedCloud, shell: Shell
) -> None:
    """Its price is 0 on the wire by then; its compute is booked all the same."""
    orphan = stray(cloud, shell)
    cloud.api("POST", f"/v2/pods/{orphan}/action", {"action": "stop"})
    shell("gc", "--terminate", "-y")
    (row,) = shell.json("cost", "--reconcile")["pods"]

    assert row["billed_usd"] > 0
    assert row["ledger_usd"] == pytest.approx(row["billed_usd"], rel=0.01)


def test_a_silent_bill_is_told_and_the_pod_ended(cloud: EmulatedCloud, shell: Shell) -> None:
    """What it cost cannot be known: no guess is booked, and the command to compare is named."""
    orphan = stray(cloud, shell)
    cloud.api("POST", f"/v2/pods/{orphan}/action", {"action": "stop"})
    cloud.faults(answering(403, "no", match={"path": "^/v2/billing"}))
    shell("gc", "--terminate", "-y")

    assert "podctl cost --reconcile" in shell.err
    assert cloud.pod(orphan) is None
    assert shell.json("cost")["pods"] == []


def test_a_pod_that_cannot_be_looked_at_is_ended_all_the_same(
    cloud: EmulatedCloud, shell: Shell
) -> None:
    """The order waits for nothing that is only for the books; that nothing is booked is said."""
    orphan = stray(cloud, shell)
    cloud.faults(answering(403, "no", match={"method": "^GET$", "path": f"^/v2/pods/{orphan}$"}))
    shell("gc", "--terminate", "-y")
    cloud.faults()

    assert cloud.pod(orphan) is None
    assert f"the cost of {orphan} is not recorded: podctl cost --reconcile" in shell.err


def test_a_pod_that_is_not_ended_is_told_and_keeps_no_other_alive(
    cloud: EmulatedCloud, shell: Shell
) -> None:
    """Exit code, what may keep billing and the command; the next gc books on from where it was."""
    first, _ = sorted(stray(cloud, shell) for _ in range(2))
    delete = {"method": "^DELETE$", "path": f"^/v2/pods/{first}$"}
    cloud.faults(answering(403, "no", match=delete))
    shell("gc", "--terminate", "-y", expect=10)

    assert [pod["id"] for pod in cloud.api("GET", "/v2/pods").body["pods"]] == [first]
    assert f"{first} may keep billing" in shell.err
    assert f"podctl gc {first} --terminate" in shell.err
    cloud.faults()
    again = time.time()
    shell("gc", "--terminate", "-y")
    rows = Ledger(open_database(shell.project.database, readonly=True)).intervals(pod_id=first)
    compute = [row for row in rows if row.kind == "compute"]
    assert [interval.started_at for interval in compute[1:]] == [
        interval.ended_at for interval in compute[:-1]
    ]
    assert (compute[-1].ended_at or 0.0) >= again
