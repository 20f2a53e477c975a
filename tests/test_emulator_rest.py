"""REST v2 of the embedded cloud, as the published API has it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.parse import quote

import pytest

from tests.emulated_cloud import EmulatedCloud, until

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1dCBub3QgcmVhbGx5IGEga2V5IGF0IGFsbC4u me@here"


def act(cloud: EmulatedCloud, pod_id: str, action: str) -> Any:
    return cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": action})


def test_pod_life(cloud: EmulatedCloud) -> None:
    """A pod is created, runs, and is gone after DELETE."""
    made = cloud.create()
    assert (made["status"], made["runtime"]) == ("PROVISIONING", None)

    running = cloud.until_running(made["id"])
    assert running["actions"] == ["stop", "restart", "terminate"]
    assert running["ssh"]["direct"]["port"] == running["runtime"]["ports"][0]["public"]

    assert cloud.api("DELETE", f"/v2/pods/{made['id']}").status == 204
    assert cloud.api("GET", f"/v2/pods/{made['id']}").status == 404
    assert cloud.api("GET", "/v2/pods").body["pods"] == []


def test_stop_and_start(cloud: EmulatedCloud) -> None:
    """Stopping costs nothing more and wipes the container disk; starting brings another port."""
    command = "bash -c 'ls /root/mark /workspace/mark; touch /root/mark /workspace/mark; sleep 99'"
    made = cloud.create(args=command, mounts={"persistent": {"size": 10, "path": "/workspace"}})
    port = cloud.until_running(made["id"])["ssh"]["direct"]["port"]
    until(lambda: len(cloud.log(made["id"])) >= 2)

    stopped = act(cloud, made["id"], "stop")
    assert (stopped.status, stopped.body["status"], stopped.body["cost"]) == (200, "EXITED", 0)
    assert stopped.body["actions"] == ["start", "terminate"]
    assert stopped.body["ssh"]["direct"] is None

    started = act(cloud, made["id"], "start")
    assert (started.status, started.body["status"]) == (200, "PROVISIONING")
    again = cloud.until_running(made["id"])
    assert again["ssh"]["direct"]["port"] != port


@pytest.mark.parametrize("action", ["start", "restart"])
def test_action_out_of_turn(cloud: EmulatedCloud, action: str) -> None:
    """An action that the pod's `actions` do not list is a conflict."""
    made = cloud.create()

    assert act(cloud, made["id"], action).status == 409


def test_terminate_action_and_unknown_action(cloud: EmulatedCloud) -> None:
    """`terminate` answers 204; v2 has no reset, and says so with 422."""
    made = cloud.create()
    reset = act(cloud, made["id"], "reset")

    assert reset.status == 422
    assert reset.headers["content-type"] == "application/problem+json"
    assert "$.action" in reset.body["errors"][0]
    assert act(cloud, made["id"], "terminate").status == 204


BASE = {"name": "n", "image": "i", "disk": 5, "gpu": {"id": "NVIDIA A40"}}


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
        ({**BASE, "gpu": {"id": "NVIDIA NOTHING"}}, 400, "not found"),
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
    made = cloud.api("POST", "/v2/pods", {**BASE, "mounts": {"network": network}}).body
    assert made["dataCenterId"] == "EU-SE-1"
    assert cloud.api("DELETE", f"/v2/network-volumes/{volume}").status == 400


def test_cpu_pod(cloud: EmulatedCloud) -> None:
    """A CPU pod has memory by its flavor, no GPU, and the flavor's price per vCPU."""
    made = cloud.create(cpu={"id": "cpu5c", "vcpuCount": 4})

    assert made["cpu"] == {"id": "cpu5c", "vcpuCount": 4, "memory": 8}
    assert "gpu" not in made
    assert made["cost"] == pytest.approx(0.14)


def test_environment_arrives_intact(cloud: EmulatedCloud) -> None:
    """Quotes and newlines in env reach the first process; injected variables win."""
    value = "a \"b\" 'c'\n$HOME\\ end"
    made = cloud.create(
        args="python3 -c 'import os, json; print(json.dumps(dict(os.environ)), flush=True); "
        "import time; time.sleep(600)'",
        env={"TRICKY": value, "RUNPOD_API_KEY": "mine", "RUNPOD_POD_ID": "forged"},
    )
    pod = cloud.until_running(made["id"])
    seen = json.loads(until(lambda: cloud.log(made["id"]))[0])

    assert seen["TRICKY"] == value
    assert seen["RUNPOD_POD_ID"] == made["id"]
    assert seen["RUNPOD_API_KEY"].startswith("rpa_pod_")
    assert seen["RUNPOD_TCP_PORT_22"] == str(pod["ssh"]["direct"]["port"])
    assert pod["env"]["TRICKY"] == value
    assert seen["RUNPOD_API_KEY"] not in json.dumps([pod, cloud.state()])


def test_pod_key_is_its_pods_alone(cloud: EmulatedCloud) -> None:
    """The injected key may look at its pod, stop it and delete it, and nothing else."""
    own = cloud.create(args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'")["id"]
    other = cloud.create()["id"]
    cloud.until_running(own)
    key = until(lambda: cloud.log(own))[0]

    assert cloud.api("GET", f"/v2/pods/{own}", key=key).status == 200
    assert cloud.api("GET", f"/v2/pods/{other}", key=key).status == 403
    assert cloud.api("GET", "/v2/pods", key=key).status == 403
    assert cloud.api("POST", "/v2/pods", BASE, key=key).status == 403
    assert cloud.api("PATCH", f"/v2/pods/{own}", {"name": "x"}, key=key).status == 403
    stop = cloud.api("POST", f"/v2/pods/{own}/action", {"action": "stop"}, key=key)
    assert (stop.status, stop.body["status"]) == (200, "EXITED")
    assert cloud.api("DELETE", f"/v2/pods/{own}", key=key).status == 204
    assert cloud.api("GET", f"/v2/pods/{own}", key=key).status == 401


def test_keys_and_methods(cloud: EmulatedCloud) -> None:
    """No key and a wrong key are 401, an unknown path 404, a wrong method 405 with Allow."""
    assert cloud.api("GET", "/v2/pods", key=None).body["detail"] == "missing bearer token"
    assert cloud.api("GET", "/v2/pods", key="wrong").status == 401
    assert cloud.api("GET", "/v2/networkvolumes").status == 404
    wrong = cloud.api("DELETE", "/v2/pods")
    assert wrong.status == 405
    assert {"GET", "POST"} <= set(wrong.headers["allow"].replace(" ", "").split(","))


def test_pagination(cloud: EmulatedCloud) -> None:
    """Pages are newest first and the cursor leads through all of them."""
    made = [cloud.create(name=f"p{i}")["id"] for i in range(3)]
    first = cloud.api("GET", "/v2/pods?limit=2").body
    rest = cloud.api("GET", f"/v2/pods?limit=2&cursor={first['pagination']['nextCursor']}").body

    assert [one["id"] for one in first["pods"] + rest["pods"]] == made[::-1]
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
    made = cloud.create(mounts={"persistent": {"size": 10, "path": "/workspace"}})
    port = cloud.until_running(made["id"])["ssh"]["direct"]["port"]

    def patch(**fields: Any) -> Any:
        return cloud.api("PATCH", f"/v2/pods/{made['id']}", fields)

    assert patch(name="new").body["status"] == "RUNNING"
    assert patch(mounts={"network": []}).status == 400
    assert patch(mounts={"network": [{"volumeId": "x", "path": "/w"}]}).status == 400
    assert patch(mounts={"persistent": {"size": 10}}).status == 422
    assert patch(gpu={"id": "x"}).status == 422
    assert patch(env={"A": "1"}).body["status"] == "PROVISIONING"
    again = cloud.until_running(made["id"])
    assert (again["name"], again["env"]) == ("new", {"A": "1"})
    assert again["ssh"]["direct"]["port"] != port


def test_locked_pod(cloud: EmulatedCloud) -> None:
    """A locked pod is neither stopped nor reset."""
    made = cloud.create()
    cloud.until_running(made["id"])
    cloud.api("PATCH", f"/v2/pods/{made['id']}", {"locked": True})

    assert act(cloud, made["id"], "stop").status == 409
    assert cloud.api("PATCH", f"/v2/pods/{made['id']}", {"args": "true"}).status == 409
    assert cloud.pod(made["id"])["args"] == "sleep 600"  # type: ignore[index]  # it is there


def test_command_that_ends_is_run_again(cloud: EmulatedCloud) -> None:
    """A container whose command ends starts again, and the pod goes on running and billing."""
    made = cloud.create(args="bash -c 'echo once'")

    until(lambda: len(cloud.log(made["id"])) >= 2)
    pod = cloud.pod(made["id"])
    assert pod is not None
    assert (pod["status"], pod["cost"]) == ("RUNNING", 0.44)


def test_ssh_keys(cloud: EmulatedCloud) -> None:
    """PUT replaces the account's keys; startSsh hands them to the pod, unless it has its own."""
    assert cloud.api("GET", "/v2/account/ssh-keys").body == {"keys": []}
    assert "PUBLIC_KEY" not in cloud.create(startSsh=True)["env"]
    assert cloud.api("PUT", "/v2/account/ssh-keys", {"keys": [KEY]}).body == {"keys": [KEY]}
    assert cloud.api("PUT", "/v2/account/ssh-keys", {"keys": ["nonsense"]}).status == 422

    assert cloud.create(startSsh=True)["env"] == {"PUBLIC_KEY": KEY}
    assert cloud.create(startSsh=True, env={"PUBLIC_KEY": "x"})["env"] == {"PUBLIC_KEY": "x"}
    assert cloud.create()["env"] == {}


def test_templates(cloud: EmulatedCloud) -> None:
    """A template fills in what a create leaves out; env merges, the body winning."""
    body = {
        "name": "t", "image": "img", "disk": 7, "env": {"A": "t", "B": "t"}, "startJupyter": False,
        "ports": ["22/tcp"], "mounts": {"persistent": {"size": 20, "path": "/data"}},
    }  # fmt: skip
    made = cloud.api("POST", "/v2/templates", body)
    assert made.status == 201
    assert cloud.api("POST", "/v2/templates", body).status == 400
    pod = cloud.api(
        "POST",
        "/v2/pods",
        {"name": "p", "gpu": {"id": "NVIDIA A40"}, "templateId": made.body["id"],
         "env": {"A": "b"}},
    ).body  # fmt: skip

    assert (pod["image"], pod["disk"], pod["template"]) == ("img", 7, None)
    assert pod["env"] == {"A": "b", "B": "t"}
    assert pod["mounts"] == {"persistent": {"size": 20, "path": "/data"}}
    path = f"/v2/templates/{made.body['id']}"
    assert cloud.api("PATCH", path, {"args": "true"}).body["args"] == "true"
    assert cloud.api("DELETE", path).status == 204
    assert cloud.api("GET", path).status == 404


def test_serverless_template_is_refused(cloud: EmulatedCloud) -> None:
    """A serverless template makes no pod."""
    body = {"name": "s", "image": "i", "disk": 5, "serverless": True}
    made = cloud.api("POST", "/v2/templates", body).body

    assert cloud.api("POST", "/v2/pods", {**BASE, "templateId": made["id"]}).status == 422


def test_registries_and_volumes(cloud: EmulatedCloud) -> None:
    """Registries never show their secrets; volumes only grow."""
    told = {"name": "r", "username": "u", "password": "hunter2"}
    registry = cloud.api("POST", "/v2/registries", told)
    assert (registry.status, set(registry.body)) == (201, {"id", "name"})
    assert cloud.api("GET", f"/v2/registries/{registry.body['id']}").body == registry.body
    assert cloud.create(registry=registry.body["id"])["registry"] == registry.body["id"]
    assert cloud.api("DELETE", f"/v2/registries/{registry.body['id']}").status == 400
    assert cloud.api("GET", "/v2/registries/delegations").body == {"delegations": []}

    body = {"name": "v", "size": 20, "dataCenter": "US-KS-2", "type": "HIGH_PERFORMANCE"}
    volume = cloud.api("POST", "/v2/network-volumes", body)
    path = f"/v2/network-volumes/{volume.body['id']}"
    assert volume.status == 201
    assert cloud.api("PATCH", path, {"size": 10}).status == 400
    assert cloud.api("PATCH", path, {}).status == 422
    assert cloud.api("PATCH", path, {"size": 30}).body["size"] == 30
    assert cloud.api("POST", "/v2/network-volumes", {**body, "dataCenter": "XX"}).status == 400
    assert cloud.api("DELETE", path).status == 204
    assert cloud.api("GET", "/v2/network-volumes").body == {"networkVolumes": []}


def test_catalog(cloud: EmulatedCloud) -> None:
    """The catalog lists hardware with prices; availability wants a product."""
    gpus = cloud.api("GET", "/v2/catalog/gpus").body["gpus"]
    assert len(gpus) >= 15
    assert all("availability" not in one for one in gpus)
    assert cloud.api("GET", "/v2/catalog/gpus?include=AVAILABILITY").status == 400
    assert cloud.api("GET", "/v2/catalog/gpus?product=POD").status == 400
    path = f"/v2/catalog/gpus/{quote('NVIDIA L40S')}?include=AVAILABILITY&product=POD"
    assert cloud.api("GET", path + "&count=2").body["availability"] == "HIGH"
    assert cloud.api("GET", path + "&count=99").body["availability"] == "NONE"
    assert cloud.api("GET", path + "&countryCodes=JP").body["availability"] == "NONE"
    assert cloud.api("GET", path + "&minCudaVersion=99").body["availability"] == "NONE"
    assert cloud.api("GET", "/v2/catalog/gpus/nope").status == 404
    cpus = cloud.api("GET", "/v2/catalog/cpus?include=AVAILABILITY&product=POD&vcpuCount=4")
    assert {one["id"] for one in cpus.body["cpus"]} >= {"cpu3c", "cpu5c", "cpu5g", "cpu5m"}
    centers = cloud.api(
        "GET", "/v2/catalog/datacenters?regions=EUROPE&include=GPU_AVAILABILITY"
    ).body["dataCenters"]
    assert {one["region"] for one in centers} == {"EUROPE"}
    assert cloud.api("GET", "/v2/catalog/templates").body["templates"]


def test_empty_rooms(cloud: EmulatedCloud) -> None:
    """What this cloud does not have is empty, not missing."""
    assert cloud.api("GET", "/v2/clusters").body == {"clusters": []}
    assert cloud.api("GET", "/v2/serverless").body == {"endpoints": []}
    assert cloud.api("GET", "/v2/clusters/x").status == 404
    for kind in ("serverless", "endpoints", "clusters", "network-volumes"):
        assert cloud.api("GET", f"/v2/billing/{kind}").body["records"] == []


def events(cloud: EmulatedCloud, path: str, count: int, **headers: str) -> list[dict[str, Any]]:
    """The first `count` events of a log stream, with their ids."""
    request = urllib.request.Request(
        cloud.base_url + path, headers={"Authorization": f"Bearer {cloud.api_key}", **headers}
    )
    found: list[dict[str, Any]] = []
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        event_id = ""
        while len(found) < count:
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                event_id = line[4:]
            if line.startswith("data: "):
                found.append({"id": event_id, **json.loads(line[6:])})
    return found


def test_logs(cloud: EmulatedCloud) -> None:
    """The log streams the container's own output live, and resumes after any event."""
    made = cloud.create(
        args="bash -c 'for i in 1 2 3; do echo line $i; done; sleep 1; echo late; sleep 600'"
    )
    path = f"/v2/pods/{made['id']}/logs?source=container"
    cloud.until_running(made["id"])
    every = events(cloud, path, 4)
    assert [one["line"] for one in every] == ["line 1", "line 2", "line 3", "late"]
    assert all(one["id"] == one["ts"] and one["source"] == "container" for one in every)

    resumed = {"Last-Event-ID": every[1]["id"]}
    assert [one["line"] for one in events(cloud, path, 2, **resumed)] == ["line 3", "late"]
    assert events(cloud, path + "&tail=1", 1)[0]["line"] == "late"
    since = quote(every[2]["ts"])
    assert events(cloud, f"{path}&since={since}", 1)[0]["line"] == "line 3"
    system = events(cloud, f"/v2/pods/{made['id']}/logs?source=system", 1)
    assert "create container" in system[0]["line"]
    assert cloud.api("GET", path + "&tail=5001").status == 422
    assert cloud.api("GET", path + "&since=yesterday").status == 422
    assert cloud.api("GET", f"/v2/pods/{made['id']}/logs?source=nope").status == 422
    assert cloud.api("GET", "/v2/pods/nope/logs").status == 404


def test_entrypoint_and_cmd(cloud: EmulatedCloud) -> None:
    """The exec form reaches the container word by word."""
    made = cloud.create(args="", entrypoint=["/bin/sh"], cmd=["-c", "echo 'two words'; sleep 99"])

    cloud.until_running(made["id"])
    assert until(lambda: cloud.log(made["id"])) == ["two words"]
