"""Whatever a provider sends, the adapter's readers give a value or their one error."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import ValidationError

from controller.providers import Hardware, Kind
from controller.providers import runpod_wire as wire
from controller.providers.runpod_catalog import cpu_offer, gpu_offer
from controller.providers.runpod_errors import Ask, refused
from controller.providers.runpod_exchange import Answer, JsonBody
from controller.providers.runpod_log import EventBody
from tests.runpod_documents import a_pod

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


@given(st.dictionaries(fields, values, max_size=6), st.sets(fields, max_size=4))
def test_any_pod(changes: dict[str, Any], missing: set[str]) -> None:
    """A pod with any fields replaced or missing is read, or it is the validation's error."""
    document = {key: one for key, one in a_pod(**changes).items() if key not in missing}
    try:
        pod = wire.pod(document)
    except ValidationError:
        assert {"id"} & (set(changes) | missing)
        return

    assert math.isfinite(pod.usd_per_hour)
    assert pod.usd_per_hour >= 0
    assert all(isinstance(one, str) for pair in pod.env.items() for one in pair)
    assert pod.endpoint is None or 1 <= pod.endpoint.port <= 65535


@given(values)
def test_any_document(document: Any) -> None:
    """No document makes a reader fail in another way than by its validation."""
    for read in (wire.pod, wire.bill, wire.next_cursor, wire.BalanceReply.model_validate):
        try:
            read(document)
        except ValidationError:
            continue
    assert gpu_offer(document, Hardware()) is None
    assert cpu_offer(document, 2) is None


raw_bodies = st.binary(max_size=200) | values.map(lambda one: json.dumps(one).encode())
headers = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "RateLimit"]), st.text(max_size=30)
)


@given(st.integers(400, 599), raw_bodies, headers)
def test_any_refusal(status: int, raw: bytes, told: dict[str, str]) -> None:
    """Any error answer has one kind; a server's own failure is never a definite no."""
    answer = Answer(status, CIMultiDict(told), raw, JsonBody(), 0.0, 0.0)

    error = refused(Ask("create a pod", "POST", "/v2/pods", missing=Kind.REFUSED), answer)

    assert error.cause
    assert "\x1b" not in error.cause
    assert error.retry_after is None or error.retry_after >= 0
    assert status < 500 or error.kind is Kind.TRANSIENT


@given(st.binary(max_size=300), st.integers(1, 5))
def test_any_log(raw: bytes, tail: int) -> None:
    """Any bytes are a log of at most as many lines as were asked for."""
    assert len(EventBody(tail, 1.0).decode(raw)) <= tail
