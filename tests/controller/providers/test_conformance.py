"""What any provider must do, on the emulator; with PODCTL_LIVE_TEST=1 on RunPod too.

The live part rents the cheapest CPU pod for a few minutes, with the key of this environment.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from controller.providers.base import (
    Hardware,
    Kind,
    Offer,
    Pod,
    PodSpec,
    PodStatus,
    Provider,
    ProviderError,
)
from controller.providers.factory import Settings, access, open_provider
from controller.providers.runpod.provider import RunPod

T = TypeVar("T")
LIVE = "PODCTL_LIVE_TEST"
IMAGE = "runpod/base:1.0.2-ubuntu2204"
GREETING = "podctl conformance"


@dataclass(frozen=True)
class Place:
    """A provider under test, its address, and how patient one has to be with it."""

    provider: Provider
    base_url: str
    boot_seconds: float
    live: bool


@pytest.fixture(params=["emulator", "runpod"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "emulator":
        base_url = request.getfixturevalue("cloud").base_url
        settings = Settings(environ={"PODCTL_EMULATOR_URL": base_url}, home=Path("/nowhere"))
        return Place(open_provider("emulator", settings), base_url, boot_seconds=30, live=False)
    if os.environ.get(LIVE) != "1":
        pytest.skip(f"rents for money; {LIVE}=1 turns it on")
    base_url = access("runpod", Settings()).base_url
    return Place(open_provider("runpod", Settings()), base_url, boot_seconds=600, live=True)


@pytest.fixture
def spec(place: Place) -> Iterator[PodSpec]:
    """A small CPU pod. Whatever came of it is ended after the test, found by its nonce."""
    nonce = secrets.token_hex(8)
    yield PodSpec(
        name=f"podctl-conformance-{nonce}",
        image=IMAGE,
        offer=cheapest(place.provider),
        args=f"bash -c 'echo \"{GREETING}\"; exec /start.sh'",
        env={
            "PODCTL_NONCE": nonce,
            "PUBLIC_KEY": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPhGqFPeCwKMx1dsUMdHsyu1VmEFm4BE8QBN"
            "tzQuP7m5 conformance",
            "QUOTED": "a \"b\" 'c' $d\nsecond line",
        },
        disk_gb=5,
        volume_gb=0,
    )
    for pod in place.provider.list():
        if pod.nonce == nonce:
            place.provider.terminate(pod.id)


def cheapest(provider: Provider) -> Offer:
    """The first CPU offer that may be in stock."""
    flavors = [offer for offer in provider.catalog() if offer.kind == "cpu"]
    for flavor in flavors:
        need = Hardware(cpu=flavor.id, vcpu_count=flavor.count)
        for offer in provider.offers(need):
            if offer.availability != "NONE":
                return offer
    pytest.skip("no CPU flavor is in stock")


def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first answer that is something; fails after the deadline."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (value := look()) is not None:
            return value
        time.sleep(0.05 if seconds < 60 else 3)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


def pod_when(place: Place, pod_id: str, good: Callable[[Pod], bool], what: str) -> Pod:
    def look() -> Pod | None:
        pod = place.provider.get(pod_id)
        return pod if pod and good(pod) else None

    return until(look, place.boot_seconds, what)


def test_life_of_a_pod(place: Place, spec: PodSpec) -> None:
    """create, list, get, log, stop, start, terminate and billing tell one consistent story."""
    start = time.time()
    provider = place.provider
    created = provider.create(spec)
    assert created.nonce == spec.env["PODCTL_NONCE"]

    listed = until(
        lambda: next((pod for pod in provider.list() if pod.id == created.id), None), 60, "listed"
    )
    assert (listed.name, listed.env["QUOTED"]) == (spec.name, spec.env["QUOTED"])

    ready = pod_when(place, created.id, lambda pod: pod.ready and pod.endpoint is not None, "ready")
    assert ready.status is PodStatus.RUNNING
    assert ready.usd_per_hour == pytest.approx(spec.offer.usd_per_hour, rel=0.05)
    assert (ready.disk_gb, ready.volume_gb, ready.gpu) == (5, 0, None)
    assert ready.created_at == pytest.approx(start, abs=120)

    def greeted() -> bool | None:
        return any(GREETING in line for line in provider.container_log(created.id)) or None

    until(greeted, place.boot_seconds, "the first process in the log")

    provider.stop(created.id)
    parked = pod_when(place, created.id, lambda pod: pod.status is PodStatus.EXITED, "EXITED")
    assert (parked.usd_per_hour, parked.endpoint, parked.ready) == (0.0, None, False)

    provider.start(created.id)
    pod_when(place, created.id, lambda pod: pod.ready and pod.endpoint is not None, "ready again")

    provider.terminate(created.id)
    until(
        lambda: all(pod.id != created.id for pod in provider.list()) or None, 60, "gone from lists"
    )
    provider.terminate(created.id)
    assert provider.get(created.id) is None

    records = [
        record for record in provider.billing(start, time.time()) if record.pod_id == created.id
    ]
    assert all(record.start < record.end and record.total_usd >= 0 for record in records)
    if not place.live:  # RunPod books later
        assert records
        assert sum(record.total_usd for record in records) == pytest.approx(
            sum(record.compute_usd + record.disk_usd for record in records), abs=1e-6
        )


def test_catalog_and_offers(place: Place) -> None:
    """The catalog has each type once with a price; offers are a priced choice of it."""
    catalog = place.provider.catalog()
    offers = place.provider.offers(Hardware(min_gpu_memory_gb=40, gpu_count=2))

    assert len({offer.id for offer in catalog}) == len(catalog)
    assert {"gpu", "cpu"} == {offer.kind for offer in catalog}
    assert all(offer.usd_per_hour > 0 and offer.memory_gb > 0 for offer in catalog)
    assert offers
    assert all(offer.memory_gb >= 40 and offer.count == 2 for offer in offers)
    stocked = [offer.usd_per_hour for offer in offers if offer.availability != "NONE"]
    assert stocked == sorted(stocked)


def test_nobodys_pod(place: Place) -> None:
    """A pod that never was is None for get, no error for terminate, and an error to stop."""
    assert place.provider.get("nosuchpod00000") is None
    place.provider.terminate("nosuchpod00000")
    with pytest.raises(ProviderError) as caught:
        place.provider.stop("nosuchpod00000")

    assert caught.value.kind is Kind.CONFLICT


def test_nonsense_is_refused(place: Place, spec: PodSpec) -> None:
    """A body that breaks the rules is refused with the provider's findings; nothing is rented."""
    before = {pod.id for pod in place.provider.list()}
    with pytest.raises(ProviderError) as caught:
        place.provider.create(replace(spec, disk_gb=0))

    assert caught.value.kind is Kind.REFUSED
    assert caught.value.cause
    assert {pod.id for pod in place.provider.list()} == before


def test_account(place: Place) -> None:
    """Keys, a balance if it is told, and a clock that agrees within a few seconds here."""
    account = place.provider.account()

    assert account.balance_usd is None or account.balance_usd >= 0
    assert place.live or account.balance_usd == pytest.approx(100.0, abs=0.01)
    assert account.clock_skew_seconds is not None
    assert abs(account.clock_skew_seconds) < (300 if place.live else 3)


def test_registering_a_key(place: Place) -> None:
    """A registered key is there beside the others, once, however often it is registered."""
    if place.live:
        pytest.skip("would change the account's own keys")
    keys = [f"ssh-ed25519 AAAA{name} {name}" for name in ("one", "two", "one")]
    for key in keys:
        place.provider.register_key(key)

    assert [key for key in place.provider.account().ssh_keys if key in keys] == keys[:2]


def test_a_wrong_key(place: Place) -> None:
    """A key that is not accepted is a refusal that says where the key comes from."""
    with pytest.raises(ProviderError) as caught:
        RunPod("rpa_wrong", place.base_url).list()

    assert (caught.value.kind, caught.value.status) == (Kind.REFUSED, 401)
    assert "RUNPOD_API_KEY" in caught.value.hint
