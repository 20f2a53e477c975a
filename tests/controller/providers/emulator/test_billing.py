"""Money in the emulator: exact, by the second, and the same wherever one looks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.records import Interval
from tests.support.emulated_cloud import EmulatedCloud, until

HOUR = 3600.0
JULY = datetime(2026, 7, 1, tzinfo=UTC).timestamp()


def act(cloud: EmulatedCloud, pod_id: str, action: str) -> Any:
    return cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": action})


def open_rates(cloud: EmulatedCloud) -> dict[str, float]:
    running = [interval for interval in cloud.state()["intervals"] if interval["end"] is None]
    return {interval["kind"]: interval["usd_per_hour"] for interval in running}


def test_rates_follow_the_status(cloud: EmulatedCloud) -> None:
    """Compute and container disk bill until the stop; the volume goes on, at twice the price."""
    volume = {"persistent": {"size": 73, "path": "/workspace"}}
    pod_id = cloud.create(disk=146, mounts=volume, gpu={"id": "NVIDIA A40", "count": 2})["id"]
    assert open_rates(cloud) == pytest.approx({"gpu": 0.88, "disk": 0.02, "volume": 0.01})

    assert act(cloud, pod_id, "stop").body["cost"] == 0
    assert open_rates(cloud) == pytest.approx({"volume": 0.02})
    assert cloud.state()["current_spend"] == pytest.approx(0.02)
    act(cloud, pod_id, "start")
    assert open_rates(cloud) == pytest.approx({"gpu": 0.88, "disk": 0.02, "volume": 0.01})
    act(cloud, pod_id, "terminate")
    assert open_rates(cloud) == {}


def test_bill_equals_intervals_and_balance(cloud: EmulatedCloud) -> None:
    """The billing API, the intervals and the balance agree to the last digit that matters."""
    first = cloud.create(gpu={"id": "NVIDIA H100 80GB HBM3", "count": 8})["id"]
    second = cloud.create(cpu={"id": "cpu5c", "vcpuCount": 8})["id"]
    cloud.until_running(first)
    act(cloud, first, "terminate")
    act(cloud, second, "terminate")
    state = cloud.state()
    reply = cloud.api("GET", "/v2/billing/pods?bucketSize=hour&lastN=2").body
    exact = sum(
        (interval["end"] - interval["start"]) * interval["usd_per_hour"] / HOUR
        for interval in state["intervals"]
    )

    assert exact > 0
    assert reply["metadata"]["totals"]["totalAmount"] == pytest.approx(exact, rel=1e-9)
    assert 100 - state["balance"] == pytest.approx(exact, rel=1e-6)
    assert reply["metadata"]["uniquePodCount"] == 2
    response = cloud.api("GET", f"/v2/billing/pods?bucketSize=hour&lastN=2&podId={second}").body
    assert {record["podId"] for record in response["records"]} == {second}
    assert response["metadata"]["totals"]["gpuAmount"] == 0
    assert response["metadata"]["totals"]["cpuAmount"] > 0
    whole = cloud.api("GET", "/v2/billing?lastN=2").body["metadata"]["totals"]
    assert whole["totalAmount"] == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("last", [True, False])
def test_a_lagging_bill_lacks_the_newest_seconds(cloud: EmulatedCloud, last: bool) -> None:
    """It ends so many seconds ago, for pods that are gone too, and catches up later."""
    pod_id = cloud.create()["id"]
    if last:
        act(cloud, pod_id, "terminate")
    total = billed(cloud)
    cloud.faults({"name": "billing_lag", "value": 3600, "times": 1})
    late = billed(cloud)
    caught_up = billed(cloud)

    assert total > 0
    assert late == 0
    assert caught_up >= total


def test_a_bill_can_end_with_the_last_full_hour(cloud: EmulatedCloud) -> None:
    """What was used in the hour that runs is on no bill before it is over."""
    before = time.time() // HOUR
    cloud.create()
    cloud.faults({"name": "billing_lag"})
    total = billed(cloud)
    if time.time() // HOUR > before:
        pytest.skip("an hour ended just now")

    assert total == 0


def billed(cloud: EmulatedCloud) -> float:
    reply = cloud.api("GET", "/v2/billing/pods?bucketSize=hour&lastN=2").body
    return float(reply["metadata"]["totals"]["totalAmount"])


def test_compute_bills_from_creation(cloud: EmulatedCloud) -> None:
    """Booting is paid for: the first interval begins when the pod was created."""
    pod_id = cloud.create()["id"]
    state = cloud.state()
    starts = {interval["start"] for interval in state["intervals"]}

    assert starts == {state["pods"][0]["created_at"]}
    assert state["pods"][0]["id"] == pod_id


def test_billing_windows(cloud: EmulatedCloud) -> None:
    """Windows snap outward to buckets; contradictions and nonsense are refused."""

    def query(text: str) -> Any:
        return cloud.api("GET", f"/v2/billing/pods?{text}")

    echoed = query("startTime=2026-06-01T10:20:00Z&endTime=2026-06-02T00:00:01Z").body
    assert echoed["metadata"]["query"]["startTime"] == "2026-06-01T00:00:00.000Z"
    assert echoed["metadata"]["query"]["endTime"] == "2026-06-03T00:00:00.000Z"
    assert query("lastN=3&startTime=2026-06-01T00:00:00Z").status == 400
    assert query("startTime=2026-06-02T00:00:00Z&endTime=2026-06-01T00:00:00Z").status == 400
    assert query("startTime=yesterday").status == 422
    assert query("bucketSize=minute").status == 422
    assert query("lastN=0").status == 422


def test_empty_account_ends_pods(cloud: EmulatedCloud) -> None:
    """At zero a pod without a network volume is terminated, one with it only stopped."""
    body = {"name": "v", "size": 10, "dataCenter": "EU-SE-1"}
    volume = cloud.api("POST", "/v2/network-volumes", body).body["id"]
    mounts = {"network": [{"volumeId": volume, "path": "/workspace"}]}
    pod_with_volume = cloud.create(mounts=mounts)["id"]
    pod_without_volume = cloud.create()["id"]

    cloud.set_balance(0)
    until(lambda: cloud.pod(pod_without_volume) is None)
    pod = until(lambda: cloud.pod(pod_with_volume))
    assert pod["status"] == "EXITED"
    assert set(open_rates(cloud)) == {"network"}


def test_buckets_split_at_boundaries() -> None:
    """An interval over midnight and month's end is split where the buckets are."""
    paid = Interval("pod", "gpu", 2.0, JULY - 1.5 * HOUR, JULY + 0.5 * HOUR)
    days = billing.buckets([paid], billing.edges(paid.start, JULY + HOUR, "day"), JULY + HOUR)
    months = billing.buckets([paid], billing.edges(paid.start, JULY + HOUR, "month"), JULY + HOUR)

    assert [bucket.amounts.gpu for bucket in days] == pytest.approx([3.0, 1.0])
    assert [bucket.amounts.gpu for bucket in months] == pytest.approx([3.0, 1.0])
    assert months[0].end == JULY


@pytest.mark.parametrize("size", billing.BUCKETS)
def test_edges_cover(size: str) -> None:
    """Boundaries begin at or before the start and end at or after the end, without gaps."""
    start, end = JULY + 12345.6, JULY + 90 * 86400 + 1.5
    bounds = billing.edges(start, end, size)

    assert bounds[0] <= start
    assert end <= bounds[-1]
    assert bounds == sorted(set(bounds))


@settings(deadline=None, max_examples=60)  # the machine may be busy
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["gpu", "cpu", "disk", "volume", "network"]),
            st.floats(0.001, 100),
            st.floats(0, 5e5),
            st.none() | st.floats(0, 2e5),
        ),
        max_size=8,
    ),
    st.sampled_from(["hour", "day", "week", "month"]),
)
def test_buckets_lose_no_money(
    paid: list[tuple[str, float, float, float | None]], size: str
) -> None:
    """However time is cut, the buckets add up to the intervals."""
    now = JULY + 6e5
    intervals = [
        Interval("p", kind, rate, JULY + at, None if long is None else JULY + at + long)
        for kind, rate, at, long in paid
    ]
    buckets = billing.buckets(intervals, billing.edges(JULY, now, size), now)
    expected = sum(
        billing.cost(interval, 0.0, min(interval.end or now, now)) for interval in intervals
    )

    assert billing.summed(buckets).total == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_bill_survives_a_restart(new_cloud: Callable[..., EmulatedCloud]) -> None:
    """Pods, balance and bill outlive the emulator's own death, and pods run on meanwhile."""
    cloud = new_cloud()
    pod_id = cloud.create(args="bash -c 'while sleep 0.1; do echo alive; done'")["id"]
    before = cloud.until_running(pod_id)
    cloud.process.kill()
    count = len(cloud.log(pod_id))
    until(lambda: len(cloud.log(pod_id)) > count)  # nobody serves it, and it runs

    again = new_cloud()
    pod = again.until_running(pod_id)
    assert pod["ssh"] == before["ssh"]
    assert pod["startedAt"] == before["startedAt"]
    state = again.state()
    assert len(state["pods"]) == 1
    assert state["pods"][0]["life"] == 1
    assert [interval["end"] for interval in state["intervals"]] == [None, None]
    again.api("DELETE", f"/v2/pods/{pod_id}")
    until(lambda: not (again.state_dir / "pods" / pod_id).exists())


def test_orderly_end_stops_pods(new_cloud: Callable[..., EmulatedCloud]) -> None:
    """Ended by SIGTERM the emulator stops its pods, keeps their volumes, and bills no compute."""
    cloud = new_cloud()
    volume = {"persistent": {"size": 10, "path": "/workspace"}}
    pod_id = cloud.create(
        args="bash -c 'cd $PODCTL_EMULATED_ROOT/workspace; cat kept; echo data > kept; sleep 600'",
        mounts=volume,
    )["id"]
    cloud.until_running(pod_id)
    kept_file = cloud.state_dir / "pods" / pod_id / "volume" / "kept"
    until(kept_file.exists)
    cloud.process.stop()

    again = new_cloud()
    pod = again.pod(pod_id)
    assert pod is not None
    assert pod["status"] == "EXITED"
    act(again, pod_id, "start")
    again.until_running(pod_id)
    until(lambda: "data" in again.log(pod_id))


def test_container_that_died_unwatched_boots_again(
    new_cloud: Callable[..., EmulatedCloud],
) -> None:
    """A pod whose container died while no emulator ran is booted again, on another port."""
    cloud = new_cloud()
    pod_id = cloud.create()["id"]
    before = cloud.until_running(pod_id)
    pid = cloud.state()["pods"][0]["pid"]
    cloud.process.kill()
    os.kill(pid, signal.SIGUSR1)  # the supervisor's word for: end everything

    again = new_cloud()
    after = again.until_running(pod_id)
    assert after["ssh"]["direct"]["port"] != before["ssh"]["direct"]["port"]
