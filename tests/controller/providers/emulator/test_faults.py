"""Every fault of the emulator does what its name says, and only as often as told."""

from __future__ import annotations

import http.client
import time
import urllib.error
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controller.providers.emulator.settings import Quota
from tests.support.emulated_cloud import FAST, EmulatedCloud, until

BODY = {
    "name": "n",
    "image": "i",
    "disk": 5,
    "gpu": {"id": "NVIDIA A40", "count": 1},
    "args": "sleep 600",
}
CUT = (http.client.RemoteDisconnected, ConnectionResetError, urllib.error.URLError)


def post(cloud: EmulatedCloud, **changes: Any) -> Any:
    return cloud.api("POST", "/v2/pods", {**BODY, **changes})


def act(cloud: EmulatedCloud, pod_id: str, action: str) -> Any:
    return cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": action})


def listed(cloud: EmulatedCloud) -> list[str]:
    return [pod["id"] for pod in cloud.api("GET", "/v2/pods").body["pods"]]


def test_unknown_fault_is_refused(cloud: EmulatedCloud) -> None:
    """A misspelt fault is an error, not a test that passes for nothing."""
    reply = cloud.api("PUT", "/_emulator/faults", {"name": "no_capicity"})
    assert reply.status == 422
    bad = {"name": "throttle", "match": {"path": "("}}
    assert cloud.api("POST", "/_emulator/faults", bad).status == 422


def test_faults_are_shown_counted_and_cleared(cloud: EmulatedCloud) -> None:
    """`times` runs out, `skip` lets calls by, DELETE switches off."""
    cloud.faults({"name": "server_error", "times": 1, "skip": 1, "match": {"path": "^/v2/pods$"}})

    statuses = [cloud.api("GET", "/v2/pods").status for _ in range(3)]
    assert statuses == [200, 500, 200]
    assert cloud.api("GET", "/_emulator/faults").body == {"faults": []}
    cloud.faults({"name": "throttle"}, {"name": "bad_gateway"})
    cloud.api("DELETE", "/_emulator/faults?name=throttle")
    assert cloud.api("GET", "/v2/pods").status == 502


def test_no_capacity(cloud: EmulatedCloud) -> None:
    """One type or all can be out; the catalog says so unless it is stale."""
    path = "/v2/catalog/gpus/NVIDIA%20A40?include=AVAILABILITY&product=POD"
    cloud.faults({"name": "no_capacity", "match": {"gpu": "NVIDIA A40"}})
    refused = post(cloud)
    assert refused.status == 400
    assert "no longer any instances available" in refused.body["detail"]
    assert cloud.api("GET", path).body["availability"] == "NONE"
    assert post(cloud, gpu={"id": "NVIDIA L4", "count": 1}).status == 201

    cloud.faults({"name": "no_capacity", "value": "stale"})
    assert cloud.api("GET", path).body["availability"] == "HIGH"
    assert post(cloud, gpu={"id": "NVIDIA L4", "count": 1}).status == 400


def test_gpu_names_match_whole(cloud: EmulatedCloud) -> None:
    """A fault for the L4 does not strike the L40S."""
    cloud.faults({"name": "no_capacity", "match": {"gpu": "NVIDIA L4"}})

    assert post(cloud, gpu={"id": "NVIDIA L40S", "count": 1}).status == 201
    assert post(cloud, gpu={"id": "NVIDIA L4", "count": 1}).status == 400


@pytest.mark.parametrize("name", ["drop_reply", "fail_after_commit"])
def test_create_that_happened_all_the_same(cloud: EmulatedCloud, name: str) -> None:
    """The client sees a failure; the pod exists and bills."""
    cloud.faults({"name": name, "times": 1})
    if name == "drop_reply":
        with pytest.raises(CUT):
            post(cloud)
    else:
        assert post(cloud).status == 500

    assert len(listed(cloud)) == 1
    assert cloud.state()["current_spend"] > 0.4


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"name": "fail_before_commit"}, 500, "application/problem+json"),
        ({"name": "bad_gateway"}, 502, "text/html"),
        ({"name": "server_error", "value": 503}, 503, "application/problem+json"),
        ({"name": "throttle"}, 429, "application/problem+json"),
        ({"name": "respond", "value": {"status": 410, "body": {"a": 1}}}, 410, "text/plain"),
    ],
)
def test_create_that_did_not_happen(
    cloud: EmulatedCloud, fault: dict[str, Any], status: int, kind: str
) -> None:
    """The client sees a failure and nothing exists."""
    cloud.faults({**fault, "times": 1, "match": {"path": "^/v2/pods$", "method": "POST"}})
    reply = post(cloud)

    assert reply.status == status
    assert reply.headers["content-type"].startswith(kind)
    assert listed(cloud) == []


def test_retry_after(cloud: EmulatedCloud) -> None:
    """A 429 says how long to wait, or does not."""
    cloud.faults({"name": "throttle", "value": 7, "times": 1}, {"name": "throttle", "times": 1})

    assert cloud.api("GET", "/v2/pods").headers["retry-after"] == "7"
    assert "retry-after" not in cloud.api("GET", "/v2/pods").headers


def test_late_commit(cloud: EmulatedCloud) -> None:
    """The connection is cut first, and the pod appears afterwards."""
    cloud.faults({"name": "commit_late", "value": 0.4, "times": 1})
    with pytest.raises(CUT):
        post(cloud)
    assert listed(cloud) == []

    assert len(until(lambda: listed(cloud))) == 1


def test_slow_reply(cloud: EmulatedCloud) -> None:
    """A reply slower than the client's patience leaves the pod behind."""
    cloud.faults({"name": "slow_reply", "value": 5, "times": 1, "match": {"method": "POST"}})
    with pytest.raises((TimeoutError, urllib.error.URLError)):
        cloud.api("POST", "/v2/pods", BODY, timeout=0.3)

    assert len(listed(cloud)) == 1


def test_lists_that_lie(cloud: EmulatedCloud) -> None:
    """A list may lag or leave a pod out; GET knows better, unless told to hide it too."""
    pod_id = post(cloud).body["id"]
    cloud.faults({"name": "list_lag", "value": 60})
    assert listed(cloud) == []
    assert cloud.pod(pod_id) is not None
    cloud.faults({"name": "list_hides", "match": {"pod": pod_id}, "times": 1})
    other = post(cloud).body["id"]
    assert listed(cloud) == [other]
    assert len(listed(cloud)) == 2
    cloud.faults({"name": "get_hides", "match": {"pod": pod_id}, "times": 1})
    assert cloud.pod(pod_id) is None
    assert cloud.pod(pod_id) is not None


def test_deletes_that_lie(cloud: EmulatedCloud) -> None:
    """204 and still listed; 204 and nothing done; cut off and done."""
    first, second, third = (post(cloud).body["id"] for _ in range(3))
    cloud.faults({"name": "delete_still_listed", "times": 1, "value": 0.5})
    assert cloud.api("DELETE", f"/v2/pods/{first}").status == 204
    assert first in listed(cloud)
    assert cloud.pod(first) is None
    until(lambda: first not in listed(cloud))

    cloud.faults({"name": "delete_ignored", "times": 1})
    assert cloud.api("DELETE", f"/v2/pods/{second}").status == 204
    assert cloud.pod(second) is not None

    cloud.faults({"name": "delete_ambiguous", "times": 1})
    with pytest.raises(CUT):
        cloud.api("DELETE", f"/v2/pods/{third}")
    assert cloud.pod(third) is None


def test_start_without_a_gpu(cloud: EmulatedCloud) -> None:
    """The host gave the GPU away; the pod stays stopped."""
    pod_id = post(cloud).body["id"]
    act(cloud, pod_id, "stop")
    cloud.faults({"name": "no_gpu_on_start", "times": 1})
    refused = act(cloud, pod_id, "start")

    assert (refused.status, cloud.pod(pod_id)["status"]) == (400, "EXITED")  # type: ignore[index]
    assert "not enough free GPUs" in refused.body["detail"]
    assert act(cloud, pod_id, "start").status == 200


def test_price_differs(cloud: EmulatedCloud) -> None:
    """The pod costs what the pod says, not what the catalog said."""
    cloud.faults({"name": "price_differs", "value": 2})

    assert post(cloud).body["cost"] == pytest.approx(0.88)


def test_slow_boot_and_error(cloud: EmulatedCloud) -> None:
    """A slow boot lasts as long as told; a failed one ends in ERROR, which bills."""
    cloud.faults({"name": "slow_boot", "value": 600, "times": 1}, {"name": "error_status"})
    slow = post(cloud).body["id"]
    broken = post(cloud).body["id"]

    pod = until(lambda: (p := cloud.pod(broken)) and p["status"] == "ERROR" and p)
    assert (pod["actions"], pod["cost"]) == (["start", "terminate"], 0.44)
    assert cloud.pod(slow)["status"] in ("PROVISIONING", "STARTING")  # type: ignore[index]
    cloud.faults()
    assert act(cloud, broken, "start").status == 200
    cloud.until_running(broken)


def test_running_without_runtime(cloud: EmulatedCloud) -> None:
    """RUNNING, and nothing ever reported."""
    cloud.faults({"name": "no_runtime"})
    pod_id = post(cloud, ports=["22/tcp"]).body["id"]
    pod = until(lambda: (p := cloud.pod(pod_id)) and p["status"] == "RUNNING" and p)

    assert (pod["runtime"], pod["ssh"]["direct"]) == (None, None)


def test_stale_ports_and_runtime(cloud: EmulatedCloud) -> None:
    """After a restart the old port is reported; after a stop the old runtime."""
    pod_id = post(cloud, ports=["22/tcp"]).body["id"]
    old = cloud.until_running(pod_id)["ssh"]["direct"]["port"]
    cloud.faults({"name": "stale_ports", "times": 1}, {"name": "stale_runtime"})
    act(cloud, pod_id, "restart")
    assert cloud.until_running(pod_id)["ssh"]["direct"]["port"] == old
    act(cloud, pod_id, "restart")
    assert cloud.until_running(pod_id)["ssh"]["direct"]["port"] != old

    stopped = act(cloud, pod_id, "stop").body
    assert stopped["status"] == "EXITED"
    assert stopped["runtime"] is not None
    cloud.faults()
    assert cloud.pod(pod_id)["runtime"] is None  # type: ignore[index]


def test_host_death(cloud: EmulatedCloud) -> None:
    """A dead host leaves an EXITED pod; when it takes the volume along, the data is gone."""
    mounts = {"persistent": {"size": 10, "path": "/workspace"}}
    pod_id = post(
        cloud,
        mounts=mounts,
        args="bash -c 'cd $PODCTL_EMULATED_ROOT/workspace; echo x >> f; wc -l < f; sleep 9'",
    ).body["id"]
    cloud.until_running(pod_id)
    until(lambda: cloud.log(pod_id) == ["1"])
    cloud.kill_pod(pod_id)
    assert cloud.pod(pod_id)["status"] == "EXITED"  # type: ignore[index]
    act(cloud, pod_id, "start")
    until(lambda: cloud.log(pod_id) == ["1", "2"])
    cloud.kill_pod(pod_id, lost_volume=True)
    act(cloud, pod_id, "start")
    until(lambda: cloud.log(pod_id) == ["1", "2", "1"])

    cloud.kill_pod(pod_id, status="TERMINATED")
    assert cloud.pod(pod_id) is None


def test_eviction(cloud: EmulatedCloud) -> None:
    """SIGTERM, some seconds, SIGKILL; then the pod is EXITED."""
    pod_id = post(
        cloud, args="bash -c 'trap \"echo told\" TERM; echo up; while :; do sleep 0.1; done'"
    ).body["id"]
    until(lambda: cloud.log(pod_id) == ["up"])
    cloud.evict_pod(pod_id)

    until(lambda: "told" in cloud.log(pod_id))
    until(lambda: (p := cloud.pod(pod_id)) and p["status"] == "EXITED")


def test_crash_and_reboot(cloud: EmulatedCloud) -> None:
    """A crashed container starts again on its port; a rebooted host gives a new one."""
    pod_id = post(cloud, ports=["22/tcp"], args="bash -c 'echo up; sleep 600'").body["id"]
    port = cloud.until_running(pod_id)["ssh"]["direct"]["port"]
    cloud.crash_pod(pod_id)
    until(lambda: len(cloud.log(pod_id)) == 2)
    assert cloud.until_running(pod_id)["ssh"]["direct"]["port"] == port

    cloud.reboot_pod(pod_id)
    assert cloud.until_running(pod_id)["ssh"]["direct"]["port"] != port


def test_denied_pod_key(cloud: EmulatedCloud) -> None:
    """Some accounts' pod keys may not even read their own pod, through either API."""
    pod_id = post(cloud, args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'").body["id"]
    key = until(lambda: cloud.log(pod_id))[0]
    assert cloud.api("GET", f"/v2/pods/{pod_id}", key=key).status == 200
    cloud.faults({"name": "pod_key_denied"})

    stop = f'mutation {{ podStop(input: {{podId: "{pod_id}"}}) {{ id }} }}'
    assert cloud.api("GET", f"/v2/pods/{pod_id}", key=key).status == 403
    assert cloud.graphql(stop, key=key).status == 403
    assert (cloud.pod(pod_id) or {})["status"] != "EXITED"


def test_quota(new_cloud: Callable[..., EmulatedCloud]) -> None:
    """The quota counts down in the headers and ends in 429 with Retry-After."""
    cloud = new_cloud(replace(FAST, quota=Quota(3, 1000, 1000)))
    if time.time() % 60 > 55:  # the window must not turn over meanwhile
        until(lambda: time.time() % 60 < 5, 15)
    replies = [cloud.api("GET", "/v2/pods") for _ in range(4)]

    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert '"minute";r=2;' in replies[0].headers["ratelimit"]
    assert replies[0].headers["ratelimit-policy"].startswith('"minute";q=3;w=60')
    assert 1 <= int(replies[3].headers["retry-after"]) <= 60
    assert cloud.state()["request_count"] == 4  # the control room is not counted
