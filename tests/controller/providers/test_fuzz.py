"""Whatever a provider sends, the adapter's readers give a value or their one error."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import ValidationError

from controller.providers.base import Hardware, Kind, ProviderError
from controller.providers.runpod import models
from controller.providers.runpod.account_models import BalanceReply
from controller.providers.runpod.catalog import cpu_offer, gpu_offer
from controller.providers.runpod.container_log import EventBody
from controller.providers.runpod.errors import RequestKind, refused
from controller.providers.runpod.provider import RunPod
from controller.providers.runpod.transport import ApiResponse, JsonBody
from tests.support.hostile_api import Request, reply, serve
from tests.support.runpod_documents import KEY, SPEC, a_pod

# A busy machine is slow to draw; the same examples in every run.
CALM = settings(
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
FEW = settings(CALM, max_examples=30)

A_VOLUME = {
    "id": "agv6w2qcg7",
    "name": "v",
    "size": 50,
    "dataCenter": "EU-RO-1",
    "type": "STANDARD",
}
A_BILL = {
    "podId": "7h9k2m4n6p",
    "startTime": "2026-03-13T20:00:00Z",
    "endTime": "2026-03-13T21:00:00Z",
    "totalAmount": 1.6,
    "gpuAmount": 1.58,
    "cpuAmount": 0,
    "diskAmount": 0.02,
}
PRICES = {"secure": 0.79, "community": None}
A_GPU = {
    "id": "NVIDIA L40S",
    "name": "L40S",
    "memory": 48,
    "secure": True,
    "community": False,
    "price": PRICES,
    "maxCount": {"secure": 8, "community": 0},
    "availability": "HIGH",
    "dataCenters": [{"id": "EU-RO-1", "availability": "LOW"}],
}
A_CPU = {
    "id": "cpu5c",
    "name": "Compute",
    "vcpu": {"min": 2, "max": 32},
    "ramGbPerVcpu": 2,
    "price": {"securePerVcpu": 0.03},
    "availability": "HIGH",
    "dataCenters": [],
}

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["EXITED", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
fields = st.sampled_from(sorted(a_pod()))


@CALM
@given(st.dictionaries(fields, values, max_size=6), st.sets(fields, max_size=4))
def test_row_13_any_pod(changes: dict[str, Any], missing: set[str]) -> None:
    """A pod with any fields replaced or missing is read, or it is the validation's error."""
    document = {key: value for key, value in a_pod(**changes).items() if key not in missing}
    try:
        pod = models.pod(document)
    except ValidationError:
        assert {"id"} & (set(changes) | missing)
        return

    assert math.isfinite(pod.usd_per_hour)
    assert pod.usd_per_hour >= 0
    assert all(isinstance(text, str) for pair in pod.env.items() for text in pair)
    assert pod.endpoint is None or 1 <= pod.endpoint.port <= 65535


@CALM
@given(values)
def test_any_document(document: Any) -> None:
    """No document makes a reader fail in another way than by its validation."""
    readers = (models.pod, models.bill, models.volume, models.next_cursor)
    for read in (*readers, BalanceReply.model_validate):
        try:
            read(document)
        except ValidationError:
            continue
    assert gpu_offer(document, Hardware()) is None
    assert cpu_offer(document, 2) is None


raw_bodies = st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "RateLimit"]), st.text(max_size=30)
)


@CALM
@given(st.integers(400, 599), raw_bodies, headers)
def test_any_refusal(status: int, raw: bytes, header_fields: dict[str, str]) -> None:
    """Any error answer has one kind; a server's own failure is never a definite no."""
    answer = ApiResponse(status, CIMultiDict(header_fields), raw, JsonBody(), 0.0, 0.0)

    error = refused(RequestKind("create a pod", "POST", "/v2/pods", missing=Kind.REFUSED), answer)

    assert error.cause
    assert "\x1b" not in error.cause
    assert error.retry_after is None or error.retry_after >= 0
    assert status < 500 or error.kind is Kind.TRANSIENT


@CALM
@given(st.binary(max_size=300), st.integers(1, 5))
def test_any_log(raw: bytes, tail: int) -> None:
    """Any bytes are a log of at most as many lines as were asked for."""
    assert len(EventBody(tail, 1.0).decode(raw)) <= tail


CALLS: dict[str, tuple[Callable[[RunPod], object], Any]] = {
    "create": (lambda provider: provider.create(SPEC), a_pod()),
    "list": (lambda provider: provider.list(), {"pods": [a_pod(), a_pod(id="second")]}),
    "get": (lambda provider: provider.get("7h9k2m4n6p"), a_pod()),
    "start": (lambda provider: provider.start("7h9k2m4n6p"), a_pod()),
    "stop": (lambda provider: provider.stop("7h9k2m4n6p"), a_pod()),
    "terminate": (lambda provider: provider.terminate("7h9k2m4n6p"), None),
    "volumes": (lambda provider: provider.volumes(), {"networkVolumes": [A_VOLUME]}),
    "billing": (lambda provider: provider.billing(0.0, 2e9), {"records": [A_BILL], "metadata": {}}),
    "log": (
        lambda provider: provider.container_log("7h9k2m4n6p"),
        {"line": "x", "source": "container"},
    ),
    "account": (lambda provider: provider.account(), {"keys": ["ssh-ed25519 AAAA me"]}),
    "register": (lambda provider: provider.register_key("ssh-ed25519 BBBB"), {"keys": []}),
    "gpus": (lambda provider: provider.offers(Hardware()), {"gpus": [A_GPU]}),
    "cpus": (lambda provider: provider.offers(Hardware(cpu="cpu5c")), {"cpus": [A_CPU]}),
}


@dataclass
class Mouth:
    """A server that says the same to everything."""

    status: int = 200
    raw: bytes = b""
    kind: str = "application/json"

    def __call__(self, handler: BaseHTTPRequestHandler, asked: Request) -> None:
        reply(self.status, raw=self.raw, kind=self.kind)(handler, asked)


@pytest.fixture(scope="module")
def said() -> Iterator[tuple[Mouth, RunPod]]:
    mouth = Mouth()
    with serve(mouth) as server:
        yield mouth, RunPod(KEY, server.base_url, call_seconds=5)


@st.composite
def mutated(draw: st.DrawFn, document: Any) -> Any:
    """A valid document in which one thing was dropped, replaced, added or buried."""
    changed = copy.deepcopy(document)
    inside = [node for node in walk(changed) if node]
    if not inside or draw(st.integers(0, 9)) == 0:
        return draw(values | st.just(document))
    place = draw(st.sampled_from(inside))
    key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    what = draw(st.sampled_from(["drop", "replace", "add", "bury"]))
    if what == "drop":
        del place[key]
    elif what == "add" and isinstance(place, dict):
        place[draw(st.text(max_size=8))] = draw(values)
    elif what == "bury":
        for _ in range(draw(st.integers(1, 60))):
            place[key] = [place[key]]
    else:
        place[key] = draw(values)
    return changed


def walk(value: Any) -> Iterator[dict[str, Any] | list[Any]]:
    """Every object and array of a document."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from walk(inner)


statuses = st.sampled_from([200, 200, 200, 201, 204, 206, 299, 302, 400, 404, 409, 418, 500, 503])


@pytest.mark.parametrize("name", sorted(CALLS))
@FEW
@given(data=st.data())
def test_row_13_whatever_an_endpoint_answers_is_a_value_or_the_one_error(
    said: tuple[Mouth, RunPod], name: str, data: st.DataObject
) -> None:
    """Every call over a real socket: fields dropped, replaced, added, buried; any bytes at all."""
    mouth, runpod = said
    call, document = CALLS[name]
    mouth.status = data.draw(statuses)
    mouth.raw = data.draw(
        mutated(document).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
    )
    mouth.kind = data.draw(st.sampled_from(["application/json", "text/event-stream", "text/html"]))

    message = ""
    try:
        call(runpod)
    except ProviderError as error:
        message = f"{error.what} {error.cause} {error.hint}"

    assert KEY not in message


def test_row_13_nesting_without_end_is_no_answer(said: tuple[Mouth, RunPod]) -> None:
    """A document that would exhaust the stack is refused, for every call that reads one."""
    mouth, runpod = said
    mouth.status, mouth.kind = 200, "application/json"
    mouth.raw = b'{"pods":' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    for name in ("list", "volumes", "billing", "account", "gpus", "cpus", "get", "create"):
        with pytest.raises(ProviderError):
            CALLS[name][0](runpod)
