"""The RunPod adapter: refusals, and what is no answer at all."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.providers.base import Kind, ProviderError
from controller.providers.runpod.errors import retry_after
from controller.providers.runpod.provider import RunPod
from controller.providers.runpod.transport import MAX_BODY
from tests.support.hostile_api import (
    Answering,
    cut_short,
    endless,
    hang_up,
    problem,
    reply,
    serve,
    silent,
)
from tests.support.runpod_documents import HTML, KEY, SPEC, a_pod, create, failing, listing

NO_GPU = "There are no longer any instances available with the requested specifications."
CDN = {"title": "Error 1010", "status": 403, "cloudflare_error": True, "error_code": 1010}
TYPE_ERROR = (
    'Variable "$input" got invalid value { name: "x" }; Field "objectMounts" is not defined by '
    'type "PodFindAndDeployOnDemandInput".'
)
UNKNOWN_PLACE = (
    'Variable "$input" got invalid value "EU-XX-9" at "input.dataCenterId"; '
    'Value "EU-XX-9" does not exist in "DataCenter" enum.'
)
POOR = "Your account balance is too low to rent a pod. Please add funds to your account."


@pytest.mark.parametrize(
    ("answer", "kind", "word"),
    [
        (problem(401, "missing bearer token"), Kind.REFUSED, "RUNPOD_API_KEY"),
        (problem(403, "access denied"), Kind.REFUSED, "config.toml"),
        (problem(403, "account cannot access the requested pool"), Kind.CAPACITY, "gpus"),
        (problem(402, "insufficient balance"), Kind.REFUSED, "funds"),
        (problem(400, POOR), Kind.REFUSED, "funds"),
        (problem(400, NO_GPU), Kind.CAPACITY, "podctl gpus"),
        (problem(400, "There are no instances currently available"), Kind.CAPACITY, ""),
        (problem(400, "There are not enough free GPUs on the host machine"), Kind.CAPACITY, ""),
        (problem(400, "network volume X not found"), Kind.REFUSED, ""),
        (reply(403, raw=HTML, kind="text/html"), Kind.TRANSIENT, "nothing about the key"),
        (reply(403, raw=b"error code: 1010", kind="text/plain"), Kind.TRANSIENT, "CDN"),
        (reply(403, CDN, kind="application/problem+json"), Kind.TRANSIENT, "CDN"),
        (problem(404, "template not found"), Kind.REFUSED, ""),
        (problem(409, "action not valid"), Kind.CONFLICT, "podctl status"),
        (problem(410, "gone"), Kind.REFUSED, "retired"),
        (problem(413, "too large"), Kind.REFUSED, ""),
        (problem(400, TYPE_ERROR), Kind.OUTAGE, "nothing was done"),
        (problem(400, 'Cannot query field "x" on type "Pod".'), Kind.OUTAGE, ""),
        (problem(400, UNKNOWN_PLACE), Kind.REFUSED, ""),
        (reply(400, {"errors": [{"message": TYPE_ERROR}]}), Kind.OUTAGE, ""),
        (reply(400, raw=HTML, kind="text/html"), Kind.TRANSIENT, ""),
        (problem(400, "Something went wrong. Please try again later."), Kind.TRANSIENT, ""),
        (problem(404, "Not Found"), Kind.OUTAGE, ""),
        (problem(404, "404 page not found"), Kind.OUTAGE, ""),
        (problem(401, "The API is down for maintenance"), Kind.OUTAGE, ""),
        (reply(401, raw=HTML, kind="text/html"), Kind.TRANSIENT, ""),
        (problem(422, "json: unknown field 'dataCenter'"), Kind.REFUSED, ""),
        (problem(500, NO_GPU), Kind.TRANSIENT, ""),
        (problem(503, "unavailable"), Kind.TRANSIENT, ""),
    ],
)
def test_answers_are_classified(answer: Answering, kind: Kind, word: str) -> None:
    """Each answer to a create has one kind; its text and the way out are shown."""
    error = failing(answer, create)

    assert error.kind is kind
    assert error.sent
    assert error.cause
    assert word in error.hint


def test_row_12_validation_errors_are_shown() -> None:
    """422 shows each of the provider's findings."""
    error = failing(problem(422, "Request validation failed.", "$: missing property 'x'"), create)

    assert error.kind is Kind.REFUSED
    assert "missing property 'x'" in error.cause


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry_after": "12"}, 12.0),
        ({}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-3"}, None),
        ({"retry_after": "inf"}, None),
        ({"ratelimit": '"minute";r=0;t=7, "hour";r=2800;t=1812'}, 7.0),
    ],
)
def test_row_09_throttled(headers: dict[str, str], expected: float | None) -> None:
    """429 is a definite no for now; the wait comes from the headers if they make sense."""

    error = failing(problem(429, "rate limit exceeded", **headers), create)

    assert (error.kind, error.retry_after) == (Kind.THROTTLED, expected)


def test_retry_after_as_a_date() -> None:
    """A date is measured by the provider's own clock."""
    date = {"Date": "Wed, 21 Oct 2026 07:28:00 GMT"}

    assert retry_after({**date, "Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}) == 30.0
    assert retry_after({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}) is None


@pytest.mark.parametrize(
    "answer",
    [
        hang_up,
        cut_short,
        reply(502, raw=HTML, kind="text/html"),
        reply(200, raw=HTML, kind="text/html"),
        reply(200, raw=b'{"pods": [{"id": "x'),
        reply(200, raw=b"[" * 200_000),
        reply(200, raw=b"\xff\xfe\x00"),
        reply(200, raw=b""),
        reply(200, [1, 2]),
        reply(200, {"pods": {"a": 1}}),
        reply(200, {"pods": [a_pod()]}, headers={"Content-Encoding": "gzip"}),
        reply(403, raw=HTML, kind="text/html"),
    ],
    ids=lambda reply: getattr(reply, "__name__", "reply"),
)
@pytest.mark.parametrize("call", [create, listing])
def test_row_14_garbage_is_transient(answer: Answering, call: Callable[[RunPod], Any]) -> None:
    """What is no answer of the API is TRANSIENT and may have happened; never a traceback."""
    error = failing(answer, call)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)


@pytest.mark.parametrize("call", [create, listing])
def test_row_14_a_huge_answer_is_cut(call: Callable[[RunPod], Any]) -> None:
    """A hundred megabytes are not read: the answer is unusable after the cap."""
    error = failing(endless, call)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)
    assert str(MAX_BODY) in error.cause


def test_a_silent_server_has_a_deadline() -> None:
    """A call ends at its deadline, and says that the request may have arrived."""
    start = time.monotonic()
    error = failing(silent, listing, seconds=0.4)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)
    assert time.monotonic() - start < 8


def test_row_15_a_certificate_of_another_authority_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    """Whoever answers in the provider's place gets no key and no request; the cause is named."""
    with serve(reply(200, {"pods": []}), tls=own_authority(tmp_path)) as server:
        for call in (create, listing):
            with pytest.raises(ProviderError) as caught:
                call(RunPod(KEY, server.base_url, call_seconds=10))

            assert (caught.value.kind, caught.value.sent) == (Kind.TRANSIENT, False)
            assert "certificate" in caught.value.cause.lower()

    assert server.requests == []


def own_authority(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, signed by nobody that anybody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "server.pem"
    path.write_bytes(pem + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, raw=HTML, kind="text/html"),
        reply(302, headers={"Location": "http://192.0.2.1/login"}),
        reply(511, raw=HTML, kind="text/html"),
    ],
)
@pytest.mark.parametrize("call", [create, listing])
def test_row_15_a_sign_in_page_is_not_the_provider(
    answer: Answering, call: Callable[[RunPod], Any]
) -> None:
    """A captive portal's page or redirection is no answer; the hint names what may be between."""
    error = failing(answer, call)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)
    assert "captive portal" in error.hint


def test_nothing_is_replayed() -> None:
    """A dropped connection does not make any layer send the request a second time."""
    with serve(hang_up) as server:
        provider = RunPod(KEY, server.base_url)
        for call in (create, listing, lambda provider: provider.terminate("abc")):
            with pytest.raises(ProviderError):
                call(provider)

    assert [request.method for request in server.requests] == ["POST", "GET", "DELETE"]


def test_refused_connection_was_not_sent() -> None:
    """Where nobody listens, nothing was sent: a create certainly did not happen."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ProviderError) as caught:
            RunPod(KEY, f"http://127.0.0.1:{port}").create(SPEC)

    assert (caught.value.kind, caught.value.sent) == (Kind.TRANSIENT, False)


def test_row_15_failed_handshake_was_not_sent() -> None:
    """Where TLS fails, nothing was sent."""
    with serve(silent) as server, pytest.raises(ProviderError) as caught:
        RunPod(KEY, server.base_url.replace("http:", "https:"), call_seconds=3).create(SPEC)

    assert (caught.value.kind, caught.value.sent) == (Kind.TRANSIENT, False)


def test_row_15_unknown_host_was_not_sent() -> None:
    """Where the name does not resolve, nothing was sent."""
    with pytest.raises(ProviderError) as caught:
        RunPod(KEY, "https://no-such-host.invalid", call_seconds=5).list()

    assert (caught.value.kind, caught.value.sent) == (Kind.TRANSIENT, False)


def test_the_key_stays_secret() -> None:
    """No error, nor anything chained to it, carries the key."""
    error = failing(reply(401, {"detail": "no"}), listing)
    shown = "".join(traceback.format_exception(error)) + repr(error.as_dict())

    assert error.__cause__ is None
    assert KEY not in shown
    assert KEY not in repr(vars(RunPod(KEY)))
