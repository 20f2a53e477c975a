"""The RunPod adapter: what it sends, and what it makes of pods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from controller.providers.base import Endpoint, Hardware, Kind, PodSpec, PodStatus, ProviderError
from controller.providers.runpod import models
from controller.providers.runpod.provider import RunPod
from controller.providers.runpod.requests import create_body
from tests.support.hostile_api import Request, hang_up, problem, reply, serve
from tests.support.runpod_documents import (
    CPU,
    HTML,
    KEY,
    SPEC,
    a_pod,
    by_path,
    create,
    failing,
    listing,
    published_schema,
    schema_errors,
)


def direct(host: Any, port: Any, user: Any = "root") -> dict[str, Any]:
    return {"proxy": None, "direct": {"host": host, "port": port, "username": user, "command": ""}}


def mapped(ip: Any, public: Any, kind: Any = "tcp") -> dict[str, Any]:
    return {"uptime": 1, "ports": [{"private": 22, "public": public, "type": kind, "ip": ip}]}


def test_create_says_everything() -> None:
    """The body of a create carries every setting, and values with quotes and newlines intact."""
    with serve(reply(201, a_pod())) as server:
        pod = RunPod(KEY, server.base_url).create(SPEC)

    (asked,) = server.requests
    assert (asked.method, asked.path) == ("POST", "/v2/pods")
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.json == {
        "name": SPEC.name,
        "image": SPEC.image,
        "args": SPEC.args,
        "env": dict(SPEC.env),
        "disk": 30,
        "ports": ["22/tcp"],
        "cloud": "SECURE",
        "dataCenterIds": ["EU-RO-1"],
        "startSsh": False,
        "startJupyter": False,
        "globalNetworking": False,
        "gpu": {"id": "NVIDIA L40S", "count": 2, "minCudaVersion": "12.8"},
        "mounts": {"persistent": {"size": 60, "path": "/workspace"}},
    }
    assert pod.nonce == "0123456789abcdef"


def variants() -> dict[str, PodSpec]:
    return {
        "gpu": SPEC,
        "no-volume": replace(SPEC, volume_gb=0, min_cuda=None, data_centers=()),
        "network": replace(SPEC, network_volume_id="agv6w2qcg7"),
        "cpu": replace(SPEC, offer=CPU, volume_gb=0),
        "cpu-network": replace(SPEC, offer=CPU, volume_gb=0, network_volume_id="agv6w2qcg7"),
    }


@pytest.mark.parametrize("variant", sorted(variants()))
def test_create_bodies_are_valid(variant: str) -> None:
    """Every shape of our create body is valid under the published schema."""
    errors = schema_errors("CreatePodRequest", create_body(variants()[variant]))

    assert errors == []


def test_a_wrong_body_is_found() -> None:
    """The schema check is alive: an unknown property is an error."""
    assert schema_errors("CreatePodRequest", {**create_body(SPEC), "volumeInGb": 3})


def test_other_bodies_are_valid() -> None:
    """Actions and key registration send what the published schema wants, one request each."""
    keys = reply(200, {"keys": ["ssh-ed25519 AAAA other"]})
    with serve(by_path(action=reply(200, a_pod()), ssh_keys=keys)) as server:
        provider = RunPod(KEY, server.base_url)
        provider.stop("7h9k2m4n6p")
        provider.start("7h9k2m4n6p")
        provider.register_key("ssh-ed25519 BBBB ours\n")
        provider.register_key("ssh-ed25519 AAAA same key, other comment")

    bodies = [request.json for request in server.requests if request.body]
    assert bodies == [
        {"action": "stop"},
        {"action": "start"},
        {"keys": ["ssh-ed25519 AAAA other", "ssh-ed25519 BBBB ours"]},
    ]
    assert [schema_errors("PodActionRequest", body) for body in bodies[:2]] == [[], []]
    assert schema_errors("UpdateSshKeysRequest", bodies[2]) == []


def test_every_request_is_published() -> None:
    """Each method, path and query parameter that we send is in the published schema."""
    api = published_schema()
    with serve(reply(500)) as server:
        provider = RunPod(KEY, server.base_url)
        calls: list[Callable[[], Any]] = [
            provider.list,
            provider.catalog,
            provider.account,
            lambda: provider.offers(Hardware(min_cuda="12.8", gpu_count=2)),
            lambda: provider.offers(Hardware(cpu="cpu5c")),
            lambda: provider.create(SPEC),
            lambda: provider.get("abc"),
            lambda: provider.start("abc"),
            lambda: provider.terminate("abc"),
            lambda: provider.billing(0, 1),
            lambda: provider.container_log("abc"),
            provider.volumes,
            lambda: provider.create_volume("data", 10, "EU-RO-1"),
            lambda: provider.delete_volume("abc"),
        ]
        for call in calls:
            before = len(server.requests)
            with pytest.raises(ProviderError):
                call()
            assert len(server.requests) > before

    rest = [asked for asked in server.requests if asked.path != "/graphql"]  # has no document
    assert [found for asked in rest for found in unpublished(api, asked)] == []


def unpublished(api: Any, asked: Request) -> list[str]:
    """What of a request the schema does not know."""
    path, _, query = asked.path.replace("/abc", "/{id}").partition("?")
    operation = api["paths"].get(path, {}).get(asked.method.lower())
    if operation is None:
        return [f"{asked.method} {path}"]
    known = set()
    for parameter in operation.get("parameters", []):
        if "$ref" in parameter:
            parameter = api["components"]["parameters"][parameter["$ref"].rsplit("/", 1)[-1]]
        known.add(parameter["name"])
    return sorted(set(parse_qs(query)) - known)


def test_cpu_pod_has_no_volume() -> None:
    """A volume on a CPU pod is refused before anything is sent."""
    error = failing(hang_up, lambda provider: provider.create(replace(SPEC, offer=CPU)))

    assert (error.kind, error.sent) == (Kind.REFUSED, False)


def test_base_url_belongs_to_the_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's environment variable does not redirect an instance that has its own base URL."""
    monkeypatch.setenv("RUNPOD_API_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RUNPOD_API_KEY", "rpa_another_account")
    with serve(reply(200, {"pods": []})) as first, serve(reply(200, {"pods": [a_pod()]})) as other:
        counts = [len(RunPod(KEY, at.base_url).list()) for at in (first, other)]

    assert counts == [0, 1]
    assert first.requests[0].headers["Authorization"] == f"Bearer {KEY}"


def test_redirects_are_not_followed() -> None:
    """A redirect is no answer: neither the key nor a create travels to another address."""
    with serve(reply(201, a_pod())) as elsewhere:
        error = failing(reply(307, headers={"Location": f"{elsewhere.base_url}/v2/pods"}), create)

    assert elsewhere.requests == []
    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)


def test_pages_are_followed() -> None:
    """All pages are read; a pod that moved between two requests is listed once."""

    def pages(handler: Any, asked: Request) -> None:
        if "cursor=two" in asked.path:
            reply(200, {"pods": [a_pod(id="b"), a_pod(id="c")]})(handler, asked)
        else:
            more = {"hasNextPage": True, "nextCursor": "two"}
            reply(200, {"pods": [a_pod(id="a"), a_pod(id="b")], "pagination": more})(handler, asked)

    with serve(pages) as server:
        pods = RunPod(KEY, server.base_url).list()

    assert [pod.id for pod in pods] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "pagination",
    [
        {"hasNextPage": True, "nextCursor": "again"},
        {"hasNextPage": True, "nextCursor": None},
        {"hasNextPage": "perhaps"},
    ],
)
def test_crooked_pages_are_no_answer(pagination: dict[str, Any]) -> None:
    """A list that repeats, or does not lead on, is an error and not a shorter list."""
    error = failing(reply(200, {"pods": [], "pagination": pagination}), listing)

    assert error.kind is Kind.TRANSIENT


def test_row_13_a_pod_without_id_spoils_the_list() -> None:
    """A pod that cannot be read is never silently left out."""
    error = failing(reply(200, {"pods": [a_pod(), {"name": "x"}]}), listing)

    assert error.kind is Kind.TRANSIENT


def test_row_13_odd_fields_are_tolerated() -> None:
    """Unknown status, nulls, wrong types and new fields leave a pod that is not ready."""
    odd = a_pod(
        status="HIBERNATING",
        runtime=None,
        ssh=None,
        ports=None,
        mounts="none",
        gpu=None,
        cost=None,
        startedAt="once upon a time",
        env={"A": "b", "N": None, "L": [1]},
        novelty={"x": 1},
    )

    pod = models.pod(odd)

    assert pod.status is PodStatus.UNKNOWN
    assert (pod.ready, pod.endpoint, pod.gpu, pod.started_at) == (False, None, None, None)
    assert pod.env == {"A": "b"}


def test_times_are_unix_seconds() -> None:
    """Times of the provider become Unix seconds in UTC."""
    assert models.pod(a_pod()).created_at == 1773432000.0


@pytest.mark.parametrize(
    ("ssh", "runtime", "expected"),
    [
        (direct("195.26.233.3", 34446), None, Endpoint("195.26.233.3", 34446, "root")),
        (direct("127.0.0.1", 2222, "user"), None, Endpoint("127.0.0.1", 2222, "user")),
        (None, mapped("195.26.233.3", 34446), Endpoint("195.26.233.3", 34446, "root")),
        (direct("100.64.3.4", 22), mapped("1.2.3.4", 5), Endpoint("1.2.3.4", 5, "root")),
        (None, mapped("100.65.0.101", 60141), None),
        (None, mapped("1.2.3.4", 60141, "http"), None),
        (None, mapped(None, None), None),
        (direct("-oProxyCommand=x", 22), None, None),
        (direct("host;reboot", 22), None, None),
        (direct("1.2.3.4", 70000), None, None),
        (direct("1.2.3.4", 0), None, None),
        (direct("1.2.3.4", 22, "-lroot"), None, None),
        (direct("0.0.0.0", 22), None, None),
    ],
)
def test_endpoint(ssh: Any, runtime: Any, expected: Endpoint | None) -> None:
    """sshd is where the provider says, if that is a plain and routable address."""
    assert models.pod(a_pod(ssh=ssh, runtime=runtime)).endpoint == expected


def test_parked_pod_has_no_endpoint() -> None:
    """The stale ports that a parked pod may still show are not believed."""
    pod = models.pod(
        a_pod(status="EXITED", ssh=direct("1.2.3.4", 22), runtime=mapped("1.2.3.4", 22))
    )

    assert (pod.endpoint, pod.ready) == (None, False)


def test_unknown_pod() -> None:
    """404 is None for get, success for terminate, and a conflict for stop."""
    with serve(problem(404, "resource not found")) as server:
        provider = RunPod(KEY, server.base_url)
        pod = provider.get("gone")
        provider.terminate("gone")
        with pytest.raises(ProviderError) as caught:
            provider.stop("gone")

    assert pod is None
    assert caught.value.kind is Kind.CONFLICT


def test_a_proxys_404_proves_nothing() -> None:
    """A 404 that is not the API's own does not make a pod unknown or terminated."""
    page = reply(404, raw=HTML, kind="text/html")

    assert failing(page, lambda provider: provider.get("abc")).kind is Kind.TRANSIENT
    assert failing(page, lambda provider: provider.terminate("abc")).kind is Kind.TRANSIENT


@pytest.mark.parametrize("pod_id", ["", "../account", "a/b", "a b", "a?x=1"])
def test_crooked_ids_are_not_sent(pod_id: str) -> None:
    """An id that would address something else never becomes a request."""
    with serve(reply(204)) as server, pytest.raises(ProviderError) as caught:
        RunPod(KEY, server.base_url).terminate(pod_id)

    assert server.requests == []
    assert (caught.value.kind, caught.value.sent) == (Kind.REFUSED, False)
