"""The RunPod adapter: container log, account, bill and catalog."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from controller.providers.base import Hardware, Kind
from controller.providers.runpod.container_log import EventBody
from controller.providers.runpod.provider import RunPod
from controller.providers.runpod.requests import same_key
from tests.support.hostile_api import Answering, Request, problem, reply, serve
from tests.support.runpod_documents import HTML, KEY, a_pod, by_path, failing


def events(*lines: str, source: str = "container") -> bytes:
    return b"".join(
        f"id: {i}\ndata: {json.dumps({'source': source, 'line': line, 'ts': str(i)})}\n\n".encode()
        for i, line in enumerate(lines)
    )


def streaming(first: bytes, then: Callable[[Any], None]) -> Answering:
    def answer(handler: Any, _: Request) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(first)
        handler.wfile.flush()
        then(handler)

    return answer


def hold(handler: Any) -> None:
    """Keep the stream open until the client leaves."""
    handler.connection.settimeout(20)
    handler.connection.recv(1)


def test_log_of_a_live_stream() -> None:
    """The backfill is returned although the stream stays open."""
    raw = events("pulling", source="system") + events("SSH host keys:", "Key: a\r\n")
    with serve(streaming(raw, hold)) as server:
        lines = RunPod(KEY, server.base_url).container_log("abc", tail=100)

    assert lines == ("SSH host keys:", "Key: a\r\n")
    assert server.requests[0].path == "/v2/pods/abc/logs?source=container&tail=100"
    assert server.requests[0].headers["Accept"] == "text/event-stream"


def test_log_ends_at_its_tail() -> None:
    """As many events as were asked for end the call at once."""
    start = time.monotonic()
    with serve(streaming(events(*map(str, range(9))), hold)) as server:
        lines = RunPod(KEY, server.base_url).container_log("abc", tail=5)

    assert lines == ("4", "5", "6", "7", "8")
    assert time.monotonic() - start < 2


def test_log_that_is_cut() -> None:
    """Whole events before a cut are kept; the one that was cut, and nonsense, are left out."""
    raw = b": ping\n\ndata: nonsense\n\n" + events("one", "two") + b'data: {"line": "thr'
    with serve(streaming(raw, lambda _: None)) as server:
        lines = RunPod(KEY, server.base_url).container_log("abc")

    assert lines == ("one", "two")


def test_log_line_endings() -> None:
    """CR LF between events is as good as LF."""
    assert EventBody(10, 1).decode(events("a", "b").replace(b"\n", b"\r\n")) == ["a", "b"]


def test_log_that_is_a_page() -> None:
    """An HTML page is not a log."""
    error = failing(
        reply(200, raw=HTML, kind="text/html"), lambda provider: provider.container_log("abc")
    )

    assert error.kind is Kind.TRANSIENT


def test_account() -> None:
    """Keys from REST, the balance from GraphQL, the skew from the answer's own date."""
    answers = by_path(
        ssh_keys=reply(200, {"keys": ["ssh-ed25519 AAAA x"]}),
        graphql=reply(200, {"data": {"myself": {"clientBalance": 12.5}}}),
    )
    with serve(answers) as server:
        account = RunPod(KEY, server.base_url, clock=lambda: time.time() - 3600).account()

    assert account.ssh_keys == ("ssh-ed25519 AAAA x",)
    assert account.balance_usd == 12.5
    assert account.clock_skew_seconds == pytest.approx(3600, abs=3)


@pytest.mark.parametrize(
    "answer",
    [
        problem(410, "gone"),
        reply(200, {"errors": [{"message": "Unauthorized"}], "data": {"myself": None}}),
        reply(502, raw=HTML, kind="text/html"),
        reply(200, {"data": {"myself": {"clientBalance": "much"}}}),
    ],
)
def test_untold_balance_is_none(answer: Answering) -> None:
    """Where GraphQL does not tell the balance, it is not known, and the rest still is."""
    with serve(by_path(ssh_keys=reply(200, {"keys": []}), graphql=answer)) as server:
        account = RunPod(KEY, server.base_url).account()

    assert account.balance_usd is None


def test_bill() -> None:
    """Records that touch the window, with compute and disk apart."""
    record = {
        "startTime": "2026-03-13T20:00:00Z",
        "endTime": "2026-03-13T21:00:00Z",
        "podId": "abc",
        "totalAmount": 1.5,
        "gpuAmount": 1.0,
        "cpuAmount": 0.25,
        "diskAmount": 0.25,
    }
    early = {**record, "startTime": "2026-03-13T10:00:00Z", "endTime": "2026-03-13T11:00:00Z"}
    start = 1773432000.0
    with serve(reply(200, {"records": [early, record], "metadata": {}})) as server:
        (bill,) = RunPod(KEY, server.base_url).billing(start + 60, start + 120)

    assert (bill.pod_id, bill.start, bill.end) == ("abc", start, start + 3600)
    assert (bill.total_usd, bill.compute_usd, bill.disk_usd) == (1.5, 1.25, 0.25)
    assert "bucketSize=hour" in server.requests[0].path
    assert "startTime=2026-03-13T20:01:00Z" in server.requests[0].path.replace("%3A", ":")


def gpu(id_: str, memory: int, secure: float, community: float, **more: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "name": id_.removeprefix("NVIDIA "),
        "pool": None,
        "manufacturer": "NVIDIA",
        "memory": memory,
        "secure": secure > 0,
        "community": community > 0,
        "price": {"secure": secure, "community": community},
        "maxCount": {"secure": 8, "community": 1},
        "availability": "HIGH",
        **more,
    }


CATALOG = reply(
    200,
    {
        "gpus": [
            gpu("NVIDIA H200", 141, 3.59, 0),
            gpu("NVIDIA L40S", 48, 0.79, 0.5, availability="NONE"),
            gpu(
                "NVIDIA A40", 48, 0.44, 0.3, dataCenters=[{"id": "EU-RO-1", "availability": "LOW"}]
            ),
            gpu("NVIDIA RTX 4090", 24, 0.69, 0.34),
            gpu("NVIDIA RTX 3070", 8, 0, 0.13),
            {"id": "broken"},
        ],
        "cpus": [
            {
                "id": "cpu5c",
                "name": "Compute-Optimized",
                "group": "Gen 5",
                "vcpu": {"min": 2, "max": 32},
                "ramGbPerVcpu": 2.5,
                "price": {"securePerVcpu": 0.04, "serverlessPerVcpu": 0.03},
            }
        ],
    },
)


def test_offers() -> None:
    """Prices are for the whole pod in the asked cloud; what is out of stock comes last."""
    with serve(CATALOG) as server:
        provider = RunPod(KEY, server.base_url)
        secure = provider.offers(Hardware(gpu_count=2, min_gpu_memory_gb=40))
        community = provider.offers(Hardware(gpu_count=2, cloud="COMMUNITY"))
        placed = provider.offers(Hardware(gpus=("A40", "RTX 4090"), data_centers=("EU-RO-1",)))

    assert [(offer.id, offer.usd_per_hour) for offer in secure] == [
        ("NVIDIA A40", 0.88),
        ("NVIDIA H200", 7.18),
        ("NVIDIA L40S", 1.58),
    ]
    assert community == ()  # at most one GPU a pod there
    assert [(center.name, center.availability) for center in placed] == [
        ("A40", "LOW"),
        ("RTX 4090", "HIGH"),  # no data centers listed: only the overall stock is known
    ]


def test_cpu_offers() -> None:
    """A CPU flavor is priced and sized by its vCPUs."""
    with serve(CATALOG) as server:
        (offer,) = RunPod(KEY, server.base_url).offers(Hardware(cpu="cpu5c", vcpu_count=8))

    assert (offer.kind, offer.count, offer.memory_gb, offer.usd_per_hour) == ("cpu", 8, 20, 0.32)
    assert offer.availability == "UNKNOWN"


def test_catalog() -> None:
    """Every type once; those of the community cloud where no other has them."""
    with serve(CATALOG) as server:
        catalog = RunPod(KEY, server.base_url).catalog()

    assert [(offer.id, offer.cloud, offer.count) for offer in catalog] == [
        ("cpu5c", "SECURE", 2),
        ("NVIDIA RTX 3070", "COMMUNITY", 1),
        ("NVIDIA A40", "SECURE", 1),
        ("NVIDIA RTX 4090", "SECURE", 1),
        ("NVIDIA H200", "SECURE", 1),
        ("NVIDIA L40S", "SECURE", 1),
    ]


def test_same_key() -> None:
    """A key is the same with another comment."""
    assert same_key("ssh-ed25519 AAAA me", "ssh-ed25519 AAAA")
    assert not same_key("ssh-ed25519 AAAA", "ssh-ed25519 AAAB")


def test_calls_in_threads() -> None:
    """One provider may be used by several threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    with serve(reply(200, {"pods": [a_pod()]})) as server, ThreadPoolExecutor(4) as threads:
        provider = RunPod(KEY, server.base_url)
        counts = [*threads.map(lambda _: len(provider.list()), range(12))]

    assert counts == [1] * 12
