"""REST v2 of the emulator, as the published API has it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.emulated_cloud import EmulatedCloud, until


def act(cloud: EmulatedCloud, pod_id: str, action: str) -> Any:
    return cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": action})


def test_pod_life(cloud: EmulatedCloud) -> None:
    """A pod is created, runs, and is gone after DELETE."""
    pod = cloud.create()
    assert (pod["status"], pod["runtime"]) == ("PROVISIONING", None)

    running = cloud.until_running(pod["id"])
    assert running["actions"] == ["stop", "restart", "terminate"]
    assert running["ssh"]["direct"]["port"] == running["runtime"]["ports"][0]["public"]

    assert cloud.api("DELETE", f"/v2/pods/{pod['id']}").status == 204
    assert cloud.api("GET", f"/v2/pods/{pod['id']}").status == 404
    assert cloud.api("GET", "/v2/pods").body["pods"] == []


def test_stop_and_start(cloud: EmulatedCloud) -> None:
    """Stopping costs nothing more and wipes the container disk; starting brings another port."""
    command = (
        "cd $PODCTL_EMULATED_ROOT/root; v=$PODCTL_EMULATED_ROOT/workspace/mark; "
        "test -e mark && echo disk kept; test -e $v && echo volume kept; "
        "touch mark $v; echo marked; sleep 600"
    )
    pod = cloud.create(
        entrypoint=["bash", "-c", command],
        mounts={"persistent": {"size": 10, "path": "/workspace"}},
    )
    port = cloud.until_running(pod["id"])["ssh"]["direct"]["port"]
    until(lambda: cloud.log(pod["id"]) == ["marked"])

    stopped = act(cloud, pod["id"], "stop")
    assert (stopped.status, stopped.body["status"], stopped.body["cost"]) == (200, "EXITED", 0)
    assert stopped.body["actions"] == ["start", "terminate"]
    assert stopped.body["ssh"]["direct"] is None

    started = act(cloud, pod["id"], "start")
    assert (started.status, started.body["status"]) == (200, "PROVISIONING")
    again = cloud.until_running(pod["id"])
    assert again["ssh"]["direct"]["port"] != port
    until(lambda: cloud.log(pod["id"]) == ["marked", "volume kept", "marked"])


@pytest.mark.parametrize("action", ["start", "restart"])
def test_action_out_of_turn(cloud: EmulatedCloud, action: str) -> None:
    """An action that the pod's `actions` do not list is a conflict."""
    pod = cloud.create()

    assert act(cloud, pod["id"], action).status == 409


def test_terminate_action_and_unknown_action(cloud: EmulatedCloud) -> None:
    """`terminate` answers 204; v2 has no reset, and says so with 422."""
    pod = cloud.create()
    reset = act(cloud, pod["id"], "reset")

    assert reset.status == 422
    assert reset.headers["content-type"] == "application/problem+json"
    assert "$.action" in reset.body["errors"][0]
    assert act(cloud, pod["id"], "terminate").status == 204


BASE = {"name": "n", "image": "i", "disk": 5, "gpu": {"id": "NVIDIA A40", "count": 1}}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"image": "i", "gpu": {"id": "x"}}, 422, "$: missing property 'name'"),
        ({**BASE, "name": ""}, 422, "$.name: minLength: got 0, want 1"),
        ({**BASE, "dockerArgs": "x"}, 422, "additional properties 'dockerArgs' not allowed"),
        ({**BASE, "disk": "5"}, 422, "$.disk: got string, want integer"),
        ({**BASE, "disk": 0}, 422, "$.disk: minimum: got 0, want 1"),
        ({**BASE, "cloud": "ALL"}, 422, "'SECURE', 'COMMUNITY'"),
        ({**BASE, "env": {"A": 1}}, 422, "$.env.A: got number, want string"),
        ({**BASE, "env": {f"V{i}": "" for i in range(51)}}, 422, "maxProperties"),
        ({**BASE, "ports": ["22"]}, 422, "$.ports[0]"),
        ({**BASE, "gpu": {"count": 1}}, 422, "$.gpu: missing property 'id'"),
        ({**BASE, "mounts": {"persistent": {"size": 5, "path": "/w"}}}, 422, "minimum"),
        ({"name": "n", "disk": 5, "gpu": {"id": "x"}}, 422, "missing property 'image'"),
        ({"name": "n", "image": "i", "disk": 5}, 400, "exactly one of gpu or cpu"),
        ({**BASE, "cpu": {"id": "cpu3c", "vcpuCount": 2}}, 400, "exactly one of gpu or cpu"),
        ({**BASE, "gpu": {"id": "NVIDIA NOTHING", "count": 1}}, 400, "not found"),
        ({**BASE, "registry": "nope"}, 400, "container registry auth nope not found"),
        ({**BASE, "templateId": "nope"}, 404, "not found"),
        ({k: v for k, v in BASE.items() if k != "disk"}, 400, "You must either provide"),
        ([], 422, "got array, want object"),
        (b"{", 400, "not JSON"),
        ({**BASE, "args": "x" * 110_000}, 413, "102400"),
    ],
)
def test_create_refusals(cloud: EmulatedCloud, body: Any, status: int, text: str) -> None:
    """A body that breaks the contract is refused in the published way, and nothing is rented."""
    reply = cloud.api("POST", "/v2/pods", body)

    assert reply.status == status, reply
    assert text in json.dumps(reply.body, ensure_ascii=False)
    assert cloud.state()["pods"] == []


def test_mount_rules(cloud: EmulatedCloud) -> None:
    """One kind of mount, none persistent on a CPU pod, and volumes only in their data centre."""
    body = {"name": "v", "size": 10, "dataCenter": "EU-SE-1"}
    volume = cloud.api("POST", "/v2/network-volumes", body).body["id"]
    persistent = {"size": 10, "path": "/workspace"}
    network = [{"volumeId": volume, "path": "/workspace"}]
    cpu = {"id": "cpu3c", "vcpuCount": 2}
    without = {key: value for key, value in BASE.items() if key != "gpu"}

    def status(**fields: Any) -> int:
        return cloud.api("POST", "/v2/pods", fields).status

    assert status(**BASE, mounts={"persistent": persistent, "network": network}) == 400
    assert status(**without, cpu=cpu, mounts={"persistent": persistent}) == 400
    assert status(**{**BASE, "dataCenterIds": ["US-KS-2"]}, mounts={"network": network}) == 400
    response = cloud.api("POST", "/v2/pods", {**BASE, "mounts": {"network": network}}).body
    assert response["dataCenterId"] == "EU-SE-1"
    assert cloud.api("DELETE", f"/v2/network-volumes/{volume}").status == 400


def test_cpu_pod(cloud: EmulatedCloud) -> None:
    """A CPU pod has memory by its flavor, no GPU, and the flavor's price per vCPU."""
    pod = cloud.create(cpu={"id": "cpu5c", "vcpuCount": 4})

    assert pod["cpu"] == {"id": "cpu5c", "vcpuCount": 4, "memory": 8}
    assert "gpu" not in pod
    assert pod["cost"] == pytest.approx(0.14)


def test_environment_arrives_intact(cloud: EmulatedCloud) -> None:
    """Quotes and newlines in env reach the first process; injected variables win."""
    value = "a \"b\" 'c'\n$HOME\\ end"
    created = cloud.create(
        args="python3 -c 'import os, json; print(json.dumps(dict(os.environ)), flush=True); "
        "import time; time.sleep(600)'",
        env={"TRICKY": value, "RUNPOD_API_KEY": "mine", "RUNPOD_POD_ID": "forged"},
    )
    pod = cloud.until_running(created["id"])
    document = json.loads(until(lambda: cloud.log(created["id"]))[0])

    assert document["TRICKY"] == value
    assert document["RUNPOD_POD_ID"] == created["id"]
    assert document["RUNPOD_API_KEY"].startswith("rpa_pod_")
    assert document["RUNPOD_TCP_PORT_22"] == str(pod["ssh"]["direct"]["port"])
    assert pod["env"]["TRICKY"] == value
    assert document["RUNPOD_API_KEY"] not in json.dumps([pod, cloud.state()])


def test_pod_key_is_its_pods_alone(cloud: EmulatedCloud) -> None:
    """The injected key may look at its pod, stop it and delete it, and nothing else."""
    pod = cloud.create(args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'")["id"]
    other = cloud.create()["id"]
    cloud.until_running(pod)
    key = until(lambda: cloud.log(pod))[0]

    assert cloud.api("GET", f"/v2/pods/{pod}", key=key).status == 200
    assert cloud.api("GET", f"/v2/pods/{other}", key=key).status == 403
    assert cloud.api("GET", "/v2/pods", key=key).status == 403
    assert cloud.api("POST", "/v2/pods", BASE, key=key).status == 403
    assert cloud.api("PATCH", f"/v2/pods/{pod}", {"name": "x"}, key=key).status == 403
    stop = cloud.api("POST", f"/v2/pods/{pod}/action", {"action": "stop"}, key=key)
    assert (stop.status, stop.body["status"]) == (200, "EXITED")
    assert cloud.api("DELETE", f"/v2/pods/{pod}", key=key).status == 204
    assert cloud.api("GET", f"/v2/pods/{pod}", key=key).status == 401


def test_keys_and_methods(cloud: EmulatedCloud) -> None:
    """No key and a wrong key are 401, an unknown path 404, a wrong method 405 with Allow."""
    assert cloud.api("GET", "/v2/pods", key=None).body["detail"] == "missing bearer token"
    assert cloud.api("GET", "/v2/pods", key="wrong").status == 401
    assert cloud.api("GET", "/v2/networkvolumes").status == 404
    assert cloud.api("GET", "/v1/pods").status == 410  # retired
    wrong = cloud.api("DELETE", "/v2/pods")
    assert wrong.status == 405
    assert {"GET", "POST"} <= set(wrong.headers["allow"].replace(" ", "").split(","))


def test_pagination(cloud: EmulatedCloud) -> None:
    """Pages are newest first and the cursor leads through all of them."""
    pod_ids = [cloud.create(name=f"p{i}")["id"] for i in range(3)]
    first = cloud.api("GET", "/v2/pods?limit=2").body
    rest = cloud.api("GET", f"/v2/pods?limit=2&cursor={first['pagination']['nextCursor']}").body

    assert [pod["id"] for pod in first["pods"] + rest["pods"]] == pod_ids[::-1]
    assert first["pagination"]["hasNextPage"]
    assert rest["pagination"] == {"nextCursor": None, "hasNextPage": False}
    assert cloud.api("GET", "/v2/pods?limit=0").status == 422
    assert cloud.api("GET", "/v2/pods?cursor=!").status == 422
    assert cloud.api("GET", "/v2/pods?unknown=1&includeClusterPods=true").status == 200


def test_capacity_is_held_and_released(cloud: EmulatedCloud) -> None:
    """Pods hold their GPUs until they stop; a start finds them taken."""
    many = {"id": "NVIDIA B200", "count": 8}
    first = cloud.create(gpu=many)["id"]
    refused = cloud.api("POST", "/v2/pods", {**BASE, "gpu": many})
    catalog = cloud.api(
        "GET", f"/v2/catalog/gpus/{quote('NVIDIA B200')}?include=AVAILABILITY&product=POD"
    )
    assert refused.status == 400
    assert "no longer any instances available" in refused.body["detail"]
    assert catalog.body["availability"] == "NONE"

    act(cloud, first, "stop")
    cloud.create(gpu=many)
    start = act(cloud, first, "start")
    assert start.status == 400
    assert "not enough free GPUs on the host machine" in start.body["detail"]


def test_balance_gate(cloud: EmulatedCloud) -> None:
    """Renting takes an hour of credit."""
    cloud.set_balance(0.40)

    assert cloud.api("POST", "/v2/pods", BASE).status == 402
    cloud.set_balance(0.50)
    assert cloud.api("POST", "/v2/pods", BASE).status == 201


def test_patch(cloud: EmulatedCloud) -> None:
    """A name changes in place, a container setting restarts, a mount's kind is fixed."""
    pod = cloud.create(mounts={"persistent": {"size": 10, "path": "/workspace"}})
    port = cloud.until_running(pod["id"])["ssh"]["direct"]["port"]

    def patch(**fields: Any) -> Any:
        return cloud.api("PATCH", f"/v2/pods/{pod['id']}", fields)

    assert patch(name="new").body["status"] == "RUNNING"
    assert patch(mounts={"network": []}).status == 400
    assert patch(mounts={"network": [{"volumeId": "x", "path": "/w"}]}).status == 400
    assert patch(mounts={"persistent": {"size": 10}}).status == 422
    assert patch(gpu={"id": "x"}).status == 422
    assert patch(env={"A": "1"}).body["status"] == "PROVISIONING"
    again = cloud.until_running(pod["id"])
    assert (again["name"], again["env"]) == ("new", {"A": "1"})
    assert again["ssh"]["direct"]["port"] != port


def test_locked_pod(cloud: EmulatedCloud) -> None:
    """A locked pod is neither stopped nor reset."""
    pod = cloud.create()
    cloud.until_running(pod["id"])
    cloud.api("PATCH", f"/v2/pods/{pod['id']}", {"locked": True})

    assert act(cloud, pod["id"], "stop").status == 409
    assert cloud.api("PATCH", f"/v2/pods/{pod['id']}", {"args": "true"}).status == 409
    assert cloud.pod(pod["id"])["args"] == "sleep 600"  # type: ignore[index]  # it is there


def test_command_that_ends_is_run_again(cloud: EmulatedCloud) -> None:
    """A container whose command ends starts again, and the pod goes on running and billing."""
    created = cloud.create(args="bash -c 'echo once'")

    until(lambda: len(cloud.log(created["id"])) >= 2)
    pod = cloud.pod(created["id"])
    assert pod is not None
    assert (pod["status"], pod["cost"]) == ("RUNNING", 0.44)


def test_entrypoint_and_cmd(cloud: EmulatedCloud) -> None:
    """The exec form reaches the container word by word."""
    pod = cloud.create(args="", entrypoint=["/bin/sh"], cmd=["-c", "echo 'two words'; sleep 99"])

    cloud.until_running(pod["id"])
    assert until(lambda: cloud.log(pod["id"])) == ["two words"]
