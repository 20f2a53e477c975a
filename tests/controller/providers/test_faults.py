"""The adapter against a cloud that fails on purpose: what the caller is told, and what is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.providers.base import Hardware, Kind, PodSpec, PodStatus, ProviderError
from controller.providers.retry import Retrying
from controller.providers.runpod.provider import RunPod
from tests.support.emulated_cloud import EmulatedCloud, until

GPU = "NVIDIA A40"
NONCE = "0123456789abcdef"


@pytest.fixture
def runpod(cloud: EmulatedCloud) -> RunPod:
    return RunPod(cloud.api_key, cloud.base_url, name="emulator", call_seconds=10)


@pytest.fixture
def spec(runpod: RunPod) -> PodSpec:
    (offer,) = runpod.offers(Hardware(gpus=(GPU,)))
    return PodSpec(
        name=f"podctl-test-{NONCE}",
        image="runpod/base",
        offer=offer,
        args="sleep 600",
        env={"PODCTL_NONCE": NONCE},
        disk_gb=5,
        volume_gb=10,
    )


def refusal(runpod: RunPod, spec: PodSpec) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        runpod.create(spec)
    return caught.value


def nonces(runpod: RunPod) -> list[str | None]:
    return [pod.nonce for pod in runpod.list()]


def test_no_capacity(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """A type without stock is CAPACITY for a create, and the last of the offers."""
    cloud.faults({"name": "no_capacity", "match": {"gpu": GPU}})

    error = refusal(runpod, spec)
    offers = runpod.offers(Hardware(min_gpu_memory_gb=40))

    assert error.kind is Kind.CAPACITY
    assert (offers[-1].id, offers[-1].availability) == (GPU, "NONE")
    assert runpod.list() == ()


def test_no_balance(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """Without money, a create is refused for good and says so."""
    cloud.set_balance(0.01)

    error = refusal(runpod, spec)

    assert error.kind is Kind.REFUSED
    assert "funds" in error.hint
    assert runpod.account().balance_usd == pytest.approx(0.01, abs=1e-4)


@pytest.mark.parametrize("fault", ["drop_reply", "fail_after_commit"])
def test_lost_reply(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec, fault: str) -> None:
    """A create whose reply is lost may have happened, and here it did: once."""
    cloud.faults({"name": fault})

    error = refusal(runpod, spec)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)
    assert nonces(runpod) == [NONCE]


@pytest.mark.parametrize("fault", ["fail_before_commit", "bad_gateway"])
def test_failed_create(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec, fault: str) -> None:
    """A create that failed before it was done looks the same, and nothing was rented."""
    cloud.faults({"name": fault, "match": {"method": "^POST$"}})

    error = refusal(runpod, spec)

    assert (error.kind, error.sent) == (Kind.TRANSIENT, True)
    assert nonces(runpod) == []


def test_throttled_create(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """A throttled create did not happen, and says how long to wait."""
    cloud.faults({"name": "throttle", "match": {"method": "^POST$"}, "value": 7})

    error = refusal(runpod, spec)

    assert (error.kind, error.retry_after) == (Kind.THROTTLED, 7.0)
    assert nonces(runpod) == []


def test_outlasted(cloud: EmulatedCloud, runpod: RunPod) -> None:
    """The retrying provider gets its list through an HTML page and a 429."""
    cloud.faults(
        {"name": "bad_gateway", "times": 1},
        {"name": "throttle", "times": 1, "value": 3},
    )
    waits: list[float] = []

    assert Retrying(runpod, sleep=waits.append).list() == ()
    assert len(waits) == 2
    assert 3.0 in waits


def test_host_is_full_on_start(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """A parked pod whose GPU is taken meanwhile is CAPACITY to start, and stays parked."""
    pod = runpod.create(spec)
    cloud.until_running(pod.id)
    runpod.stop(pod.id)
    cloud.faults({"name": "no_gpu_on_start"})

    with pytest.raises(ProviderError) as caught:
        runpod.start(pod.id)

    assert caught.value.kind is Kind.CAPACITY
    stopped = runpod.get(pod.id)
    assert stopped is not None
    assert (stopped.status, stopped.volume_gb, stopped.usd_per_hour) == (PodStatus.EXITED, 10, 0.0)


def test_stop_of_a_parked_pod(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """An action that the pod's state does not allow is a conflict: look again."""
    pod = runpod.create(spec)
    cloud.until_running(pod.id)
    runpod.stop(pod.id)

    with pytest.raises(ProviderError) as caught:
        runpod.stop(pod.id)
    assert caught.value.kind is Kind.CONFLICT


def test_running_is_not_ready(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """A RUNNING pod without a runtime is not ready."""
    cloud.faults({"name": "no_runtime"})
    pod = runpod.create(spec)

    def running() -> bool:
        listed = runpod.get(pod.id)
        return listed is not None and listed.status is PodStatus.RUNNING and not listed.ready

    assert until(running)


def test_a_network_volume_is_mounted(cloud: EmulatedCloud, runpod: RunPod, spec: PodSpec) -> None:
    """A network volume takes the place of the pod's own."""
    body = {"name": "shared", "size": 10, "dataCenter": "EU-SE-1"}
    volume = cloud.api("POST", "/v2/network-volumes", body).body

    pod = runpod.create(replace(spec, network_volume_id=volume["id"]))

    assert (pod.network_volume_id, pod.volume_gb) == (volume["id"], 0)


def test_an_unknown_volume_is_refused(runpod: RunPod, spec: PodSpec) -> None:
    """A volume that is not there is a refusal, not a lack of capacity."""
    error = refusal(runpod, replace(spec, network_volume_id="nosuchvolume"))

    assert error.kind is Kind.REFUSED
    assert "volume" in error.cause
