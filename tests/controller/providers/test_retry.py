"""What is tried again, how long is waited, and what is never sent twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.providers.base import Kind, Provider, ProviderError
from controller.providers.retry import Patience, Retrying
from controller.providers.runpod.provider import RunPod
from tests.support.hostile_api import Answering, Request, Server, hang_up, problem, reply, serve
from tests.support.runpod_documents import KEY, SPEC, a_pod

Call = Callable[[Provider], Any]
CALLS: dict[str, Call] = {
    "list": lambda provider: provider.list(),
    "get": lambda provider: provider.get("abc"),
    "stop": lambda provider: provider.stop("abc"),
    "terminate": lambda provider: provider.terminate("abc"),
    "billing": lambda provider: provider.billing(0, 1),
    "start": lambda provider: provider.start("abc"),
    "create": lambda provider: provider.create(SPEC),
}
GOOD = {**a_pod(), "pods": [], "records": []}  # serves as the answer of each of them


@dataclass
class Cloud:
    """A retrying provider over a scripted server, and the waits it asked for."""

    provider: Retrying
    server: Server
    waits: list[float] = field(default_factory=list)

    @property
    def sent(self) -> int:
        return len(self.server.requests)


@contextmanager
def cloud(*script: Answering, patience: Patience | None = None) -> Iterator[Cloud]:
    """Answers in turn; the last one goes on for ever. Time passes only in `waits`."""
    left = list(script)

    def answer(handler: Any, asked: Request) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler, asked)

    waits: list[float] = []
    with serve(answer) as server:
        provider: Provider = RunPod(KEY, server.base_url)
        yield Cloud(
            Retrying(provider, patience, sleep=waits.append, jitter=lambda: 1.0), server, waits
        )


@pytest.mark.parametrize("name", ["list", "get", "stop", "terminate", "billing"])
def test_passing_failures_are_outlasted(name: str) -> None:
    """What may be repeated is repeated after 503, a dropped connection and 429."""
    script = (problem(503, "later"), hang_up, problem(429, "slow"), reply(200, GOOD))
    with cloud(*script) as here:
        CALLS[name](here.provider)

    assert here.sent == 4
    assert here.waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("answer", [problem(503, "later"), hang_up, problem(429, "slow")])
def test_create_is_sent_once(answer: Answering) -> None:
    """Nothing makes a create be sent twice."""
    with cloud(answer, reply(201, GOOD)) as here, pytest.raises(ProviderError):
        here.provider.create(SPEC)

    assert (here.sent, here.waits) == (1, [])


def test_create_tells_what_to_wait() -> None:
    """A throttled create comes to the caller with the provider's wish."""
    with cloud(problem(429, "slow", retry_after="7")) as here, pytest.raises(ProviderError) as no:
        here.provider.create(SPEC)

    assert (no.value.kind, no.value.retry_after) == (Kind.THROTTLED, 7.0)


def test_start_repeats_only_a_definite_no() -> None:
    """A throttled start is repeated, one whose fate is unknown is not."""
    with cloud(problem(429, "slow"), reply(200, GOOD)) as throttled:
        throttled.provider.start("abc")
    with cloud(hang_up, reply(200, GOOD)) as unknown, pytest.raises(ProviderError):
        unknown.provider.start("abc")

    assert (throttled.sent, unknown.sent) == (2, 1)


@pytest.mark.parametrize(
    "answer",
    [problem(401, "no"), problem(422, "no"), problem(409, "no"), problem(402, "no")],
)
def test_answers_are_not_retried(answer: Answering) -> None:
    """A refusal or a conflict is an answer: asking again would not change it."""
    with cloud(answer) as here, pytest.raises(ProviderError):
        here.provider.stop("abc")

    assert here.sent == 1


def test_retry_after_is_honoured_and_capped() -> None:
    """The provider's wish is followed up to the longest wait."""
    script = (
        problem(429, "slow", retry_after="3"),
        problem(503, "later", retry_after="86400"),
        reply(200, GOOD),
    )
    with cloud(*script) as here:
        here.provider.list()

    assert here.waits == [3.0, 20.0]


def test_deadline() -> None:
    """All tries together end before the deadline, with the last error as it came."""
    patience = Patience(deadline=10.0, tries=100)
    with (
        cloud(problem(503, "later"), patience=patience) as here,
        pytest.raises(ProviderError) as no,
    ):
        here.provider.list()

    assert no.value.kind is Kind.TRANSIENT
    assert sum(here.waits) <= 10.0
    assert here.waits == [0.5, 1.0, 2.0, 4.0]


def test_number_of_tries() -> None:
    """Tries are counted too, so that waits of nothing do not become a storm."""
    patience = Patience(tries=3)
    slow = problem(429, "slow", retry_after="0")
    with cloud(slow, patience=patience) as here, pytest.raises(ProviderError):
        here.provider.list()

    assert here.sent == 3


def test_name_passes_through() -> None:
    """The wrapper has the name of what it wraps."""
    assert Retrying(RunPod(KEY, name="emulator")).name == "emulator"
