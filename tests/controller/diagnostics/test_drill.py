"""The drill: does a pod that is left alone stop itself, and what is said of one that does not."""

from __future__ import annotations

import dataclasses
import os
import signal
from typing import Any

import pytest

from controller.diagnostics import drill
from controller.diagnostics.drill import Evidence
from controller.diagnostics.drill_results import PASSED, REFUTED, STAGE, UNCLEAR
from controller.planner import actions
from controller.planner.lease_state import LeaseState, PendingTermination, RunFacts
from controller.planner.observation import Contact, Listing
from controller.planner.policy import Policy
from controller.providers.base import Endpoint, Offer, Pod, PodStatus
from remote.contract import GuardLimits, GuardReport
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.observations import changed, observe

FALSE, TRUE = "FAIL  self-stop", "PASS  self-stop"


def test_row_63_a_drill_proves_that_a_pod_stops_itself(laptop: Laptop) -> None:
    """The cheapest pod is rented, left alone, stopped by its own guard, terminated and booked."""
    laptop.write()
    never = laptop.podctl("doctor", "--register")
    result = laptop.podctl("doctor", "--drill", "-y")
    again = laptop.podctl("doctor")
    pods = laptop.cloud.state()["pods"]

    assert "WARN  self-stop: self-stop not tested" in never.out
    assert "podctl doctor --drill" in never.out
    assert "worst case $" in result.err
    for shown in (result.out, again.out):
        assert f"{TRUE}: tested on 20" in shown
        assert "s after the create call; its log names the host keys" in shown
    assert len(pods) == 1
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_row_64_a_pod_whose_key_may_not_stop_it_fails_the_drill(laptop: Laptop) -> None:
    """FAIL says what the provider answered and what that means; podctl ends the pod itself.

    From then on a run rents only with a word for it, whatever the guard may read.
    """
    laptop.write()
    laptop.cloud.faults({"name": "pod_key_denied"})
    result = laptop.podctl("doctor", "--drill", "-y", "--register", expect=1)
    run = laptop.podctl("run", "hello", "-y", expect=2)

    assert "FAILED: pods of this account do not stop themselves" in run.err
    assert "--unguarded" in run.err
    assert len(laptop.cloud.state()["pods"]) == 1
    assert f"{FALSE}: the drill of 20" in result.out
    assert "the order to stop is refused: HTTP 403; GraphQL: HTTP 403" in result.out
    assert "bills until podctl sync or gc terminates it" in result.out
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


@pytest.mark.long
def test_row_01_a_drill_whose_create_reply_is_lost_has_one_pod(laptop: Laptop) -> None:
    """It is settled by its nonce, like any other create, and the drill goes on with that pod."""
    laptop.write()
    laptop.cloud.faults({"name": "drop_reply", "times": 1})
    result = laptop.podctl("doctor", "--drill", "-y", "--register")

    assert "found pod" in result.err
    assert TRUE in result.out
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []


@pytest.mark.long
def test_row_26_a_killed_drill_is_carried_on_by_sync(laptop: Laptop) -> None:
    """kill -9 while the pod lives: sync sees it to its end, and the finding is kept."""
    laptop.write()
    process = laptop.start("doctor", "--drill", "-y", "--register")
    until(laptop.living_pods, 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    laptop.podctl("sync")

    assert laptop.living_pods() == []
    assert TRUE in laptop.podctl("doctor").out
    assert len(laptop.cloud.state()["pods"]) == 1


def test_a_drill_can_be_stopped(laptop: Laptop) -> None:
    """`podctl stop` ends it like any other lease; nothing is held against the account."""
    laptop.write()
    laptop.cloud.faults({"name": "slow_boot", "value": 60.0})
    process = laptop.start("doctor", "--drill", "-y", "--register")
    until(laptop.living_pods, 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    laptop.podctl("stop", STAGE, "-y")

    assert laptop.living_pods() == []
    assert "self-stop not tested on this account" in laptop.podctl("doctor").out


def test_a_drill_asks_first_and_a_run_says_that_none_was_held(laptop: Laptop) -> None:
    """Without an answer nothing is rented; what is not known is said where money is at stake."""
    laptop.write()
    result = laptop.podctl("doctor", "--drill", expect=2)
    config = laptop.folder / "podctl.toml"
    config.write_text(config.read_text().replace('"emulator"', '"runpod"'))
    laptop.environment = {
        "RUNPOD_API_BASE_URL": laptop.cloud.base_url,
        "RUNPOD_API_KEY": laptop.cloud.api_key,
    }
    run = laptop.podctl("run", "hello", expect=2)

    assert "-y" in result.err
    assert "self-stop not tested on this account" in run.err
    assert laptop.cloud.state()["pods"] == []


# -- what a drill decides ------------------------------------------------------------------------

NONCE, RUN = "0123456789abcdef", "self-stop-0001"
LIMITS = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=300.0)
POLICY = Policy()
POD = Pod(
    "p1",
    f"podctl-self-stop-{NONCE}",
    PodStatus.RUNNING,
    env={"PODCTL_NONCE": NONCE},
    usd_per_hour=0.06,
    endpoint=Endpoint("127.0.0.1", 2222, "root"),
    ready=True,
)
RENTAL = LeaseState(
    "l1", (RunFacts(RUN, STAGE),), generation=1, nonces=(NONCE,), pod="p1", had_pod=True,
    pods=("p1",), quoted_usd_per_hour=0.06, keeps_disk=False,
)  # fmt: skip
SEEN = observe(
    RENTAL, now=1000.0, listing=Listing(999.0, (POD,)), pod_since=990.0, booked=frozenset({"p1"})
)
ARMED = Evidence(armed=True)


def decide(evidence: Evidence = ARMED, pod: Pod | None = POD, **changes: Any) -> actions.Action:
    listing = Listing(999.0, (pod,) if pod else ())
    observation = changed(SEEN, **({"listing": listing} | changes))
    return drill.decide(observation, POLICY, LIMITS, evidence)


def guarded(left: float, armed: bool = True) -> Contact:
    return Contact(True, guard=GuardReport("b", armed, "HTTP 403", "boot", left, 100.0))


def outcome(action: actions.Action) -> str:
    assert isinstance(action, actions.Finish), action
    return action.outcome


def test_a_living_pod_is_only_watched() -> None:
    """Nothing is sent to it and nothing started, whether the guard counts or the API is away."""
    for contact in (None, Contact(False), Contact(True), guarded(30.0), guarded(-1.0)):
        assert isinstance(decide(contact=contact), actions.Wait)
        assert isinstance(decide(contact=contact, listing=None), actions.Wait)


def test_only_a_stop_that_the_guard_made_proves_anything() -> None:
    """A pod that its host stopped looks the same: without the guard's word it is unclear."""
    parked = dataclasses.replace(RENTAL, parked=True)
    stopped_pod = dataclasses.replace(POD, status=PodStatus.EXITED, ready=False)
    after: dict[str, Any] = {"pod": stopped_pod, "lease": parked, "booked": frozenset()}

    assert decide(pod=stopped_pod) == actions.ConfirmParked("p1")
    assert isinstance(decide(pod=stopped_pod, bill_retry_at=1001.0), actions.Wait)
    assert outcome(decide(**after)) == PASSED
    assert outcome(decide(Evidence(ordered=True), **after)) == PASSED
    assert outcome(decide(Evidence(), **after)) == UNCLEAR


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"contact": guarded(-61.0)}, REFUTED),
        ({"contact": Contact(True), "guard_since": 1000.0 - 211.0}, REFUTED),
        ({"pod_since": 1000.0 - 1621.0}, UNCLEAR),
        ({"pod": dataclasses.replace(POD, status=PodStatus.ERROR)}, UNCLEAR),
        ({"pod": dataclasses.replace(POD, usd_per_hour=0.6)}, UNCLEAR),
    ],
)
def test_every_wait_has_an_end(changes: dict[str, Any], found: str) -> None:
    """An order without effect, no guard, no answer, a failed host, another price: it is over."""
    assert outcome(decide(**changes)) == found


def test_what_bills_comes_before_the_drill() -> None:
    """Debts, a surplus pod and the user's stop are the plan's; one pod is rented at most."""
    other = dataclasses.replace(POD, id="p2")
    both = Listing(999.0, (POD, other))
    owing = dataclasses.replace(RENTAL, pod=None, pending_terminations=(PendingTermination("p1"),))
    paid = dataclasses.replace(RENTAL, pod=None)
    stopped = dataclasses.replace(RENTAL, stop="terminate")

    assert isinstance(decide(lease=owing), actions.Terminate)
    assert decide(listing=both) == actions.RecordPod("p2")
    assert outcome(decide(lease=stopped)) == "stopped"
    assert outcome(decide(lease=paid, pod=None)) == "bad-hosts"


def test_a_pod_without_a_gpu_is_taken_first_and_an_absent_one_never() -> None:
    """Cents: the cheapest CPU pod that is to be had, else the cheapest GPU."""
    gpu = Offer("gpu", "A40", "A40", 1, 48, 0.01, "HIGH", "SECURE")
    cpu = Offer("cpu", "cpu5c", "5", 2, 4, 0.07, "LOW", "SECURE")
    none = Offer("cpu", "cpu3c", "3", 2, 4, 0.06, "NONE", "SECURE")

    assert drill.cheapest([gpu, cpu, none]) == cpu
    assert drill.cheapest([gpu, none]) == gpu
    assert drill.cheapest([none]) is None
    assert drill.stage(gpu).hardware.gpus == ("A40",)
    assert drill.stage(cpu).hardware.cpu == "cpu5c"
