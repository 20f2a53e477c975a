"""A drill: rent the cheapest pod, leave it alone, and see whether it stops itself.

A drill is an ordinary lease with one run that is never started: renting, lost responses, pending
terminations and closing are the planner's; this module decides only while the pod runs. An
unfinished drill is resumed by `podctl sync` and ended by `podctl stop`, like any other lease.
`decide` is pure; `RecordingWorld` reads the pod's log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from controller.clock import Clock
from controller.diagnostics.drill_results import PASSED, REFUTED, STAGE, UNCLEAR
from controller.engine.loop import World
from controller.engine.outcomes import LeaseOutcome
from controller.planner import decide as plan
from controller.planner.actions import Action, ConfirmParked, Create, Finish, Wait
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.planner.provisioning import wait_for_provider
from controller.planner.teardown import bill_wait, ledger_correction
from controller.providers import prices
from controller.providers.base import Offer, Pod, PodStatus, Provider, ProviderError
from controller.ssh.host_keys import log_fingerprints
from jobs.stage import Criterion, HardwareNeed, Stage
from remote.contract import GuardLimits

LIMITS = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=300.0)
NEAR_LIMITS = GuardLimits(boot_grace=3.0, idle=3.0, hard_cap=30.0)  # for the emulator
MIN_STOP_SECONDS = 5.0  # for the provider to carry out the stop
DISK_GB = 10
GUARD = "PODCTL-GUARD "


@dataclass(frozen=True)
class Evidence:
    """Observations of a drill's pod, other than its status."""

    listed_seconds: float | None = None  # create call to the first listing that shows the pod
    host_keys: bool = False  # its log names them
    armed: bool = False  # the pod's log says that the guard is armed
    ordered: bool = False  # the guard ordered the stop
    refusal: str = ""  # the guard's last message about a failed stop or a failed check

    def read(self, log: Iterable[str]) -> Evidence:
        """These observations, completed from a container's log."""
        lines = list(log)
        messages = [line.partition(GUARD)[2] for line in lines if GUARD in line]
        refusals = [
            text for text in messages if re.match(r"not armed|the order to stop is refused", text)
        ]
        return replace(
            self,
            host_keys=self.host_keys or bool(log_fingerprints(lines)),
            armed=self.armed or any(text.startswith("armed") for text in messages),
            ordered=self.ordered or any(text.startswith("stopping this pod") for text in messages),
            refusal=refusals[-1] if refusals else self.refusal,
        )

    @property
    def measured(self) -> str:
        listed = self.listed_seconds
        listing = "" if listed is None else f"listed {listed:.1f} s after the create call; "
        return f"{listing}its log {'names' if self.host_keys else 'does not name'} the host keys"


def stage(offer: Offer) -> Stage:
    """The smallest stage for `offer`. Nothing is uploaded or started."""
    cpu = offer.kind == "cpu"
    return Stage(
        name=STAGE,
        title="Does a pod stop itself?",
        command=("true",),
        outputs=("none",),
        criteria=(Criterion(kind="exists", path="none"),),
        hardware=HardwareNeed(
            gpus=() if cpu else (offer.id,),
            cpu=offer.id if cpu else None,
            vcpu_count=max(2, offer.count) if cpu else 4,
            cloud="COMMUNITY" if offer.cloud == "COMMUNITY" else "SECURE",
            disk_gb=DISK_GB,
            volume_gb=10,
        ),
        hours=0.05,
        max_hours=0.1,
    )


def cheapest(catalog: Iterable[Offer]) -> Offer | None:
    """The cheapest available offer; a pod without a GPU comes first."""
    available = [
        offer
        for offer in catalog
        if offer.availability != "NONE"
        and not prices.obstacle(offer.kind, offer.usd_per_hour, offer.count)
    ]
    return min(available, key=lambda item: (item.kind != "cpu", item.usd_per_hour), default=None)


def order_seconds(limits: GuardLimits) -> float:
    """Seconds that a stop call may take before it counts as without effect."""
    return max(MIN_STOP_SECONDS, limits.boot_grace)


def decide(
    observation: Observation, policy: Policy, limits: GuardLimits, evidence: Evidence
) -> Action:
    """The next action of a drill."""
    lease_state, run = observation.lease, observation.lease.current
    single_generation = replace(policy, generations=1)
    others = any(pod.id != lease_state.pod for pod in observation.ours())
    if (
        run is None
        or lease_state.pod is None
        or lease_state.stop
        or lease_state.pending_terminations
        or others
        or observation.provider.refused
    ):
        return plan.decide(observation, single_generation)
    if observation.provider.listing is None:
        return wait_for_provider(observation, policy, "for the provider")
    if observation.pod is None:
        return plan.decide(observation, single_generation)
    return _watch(observation, policy, limits, evidence, run, observation.pod)


def _watch(
    observation: Observation,
    policy: Policy,
    limits: GuardLimits,
    evidence: Evidence,
    run: RunFacts,
    pod: Pod,
) -> Action:
    quoted = observation.lease.quoted_usd_per_hour
    if billing_action := ledger_correction(observation, pod.id):
        return billing_action
    if pod.status is PodStatus.EXITED:
        return _stopped(observation, evidence, run, pod)
    if pod.status in (PodStatus.ERROR, PodStatus.TERMINATED):
        return Finish(run.run, UNCLEAR, f"the provider reports {pod.status}")
    if quoted and pod.usd_per_hour > quoted * policy.price_tolerance:
        text = f"it costs ${pod.usd_per_hour:.2f}/h and was quoted at ${quoted:.2f}/h"
        return Finish(run.run, UNCLEAR, text)
    if reason := _overdue(observation, policy, limits, evidence):
        return Finish(run.run, REFUTED, f"{reason}; {evidence.measured}")
    since = observation.since(observation.pods.pod_since)
    patience = policy.boot + limits.boot_grace + order_seconds(limits)
    if observation.now - since > patience:
        text = f"it neither answered nor stopped in {(observation.now - since) / 60:.0f} minutes"
        return Finish(run.run, UNCLEAR, f"{text}; {evidence.measured}")
    return Wait(policy.poll_boot, "for the pod to stop itself", since + patience)


def _stopped(observation: Observation, evidence: Evidence, run: RunFacts, pod: Pod) -> Action:
    if not observation.lease.parked:
        return bill_wait(observation) or ConfirmParked(
            pod.id
        )  # from here on the pod no longer bills
    if not evidence.armed and not evidence.ordered:
        text = "the pod stopped, and its log does not say that the guard did it"
        return Finish(run.run, UNCLEAR, f"{text}; {evidence.measured}")
    return Finish(run.run, PASSED, f"the pod stopped itself; {evidence.measured}")


def _overdue(
    observation: Observation, policy: Policy, limits: GuardLimits, evidence: Evidence
) -> str | None:
    """Why the pod will not stop itself; None if that is not known."""
    guard = observation.job.contact.guard if observation.job.contact else None
    stops_in = guard.stops_in_seconds if guard else None
    patience = order_seconds(limits)
    if stops_in is not None and stops_in < -patience:
        detail = evidence.refusal or (guard.detail if guard else "")
        return f"its guard ordered the stop {-stops_in:.0f} s ago without effect ({detail})"
    since = observation.since(observation.job.guard_since)
    if guard is None and observation.now - since > policy.guard + limits.boot_grace + patience:
        return "nothing guards this pod: " + (evidence.refusal or "no guard ever reported")
    return None


@dataclass
class RecordingWorld:
    """The loop's world for a drill, which also reads the pod's log and measures times."""

    world: World
    provider: Provider
    clock: Clock
    limits: GuardLimits
    evidence: Evidence = field(default_factory=Evidence)
    _create_sent_at: float | None = None  # when the create call was sent

    def observe(self) -> Observation:
        observation = self.world.observe()
        pod = observation.pod
        if (
            pod is not None
            and self._create_sent_at is not None
            and self.evidence.listed_seconds is None
        ):
            self.evidence = replace(
                self.evidence, listed_seconds=observation.now - self._create_sent_at
            )
        if pod is not None and pod.status in (PodStatus.RUNNING, PodStatus.EXITED):
            self._read_log(pod.id)
        return observation

    def _read_log(self, pod: str) -> None:
        try:
            self.evidence = self.evidence.read(self.provider.container_log(pod))
        except ProviderError:
            return  # the next observation reads it, or the result is decided without it

    def perform(self, action: Action) -> LeaseOutcome:
        if isinstance(action, Create):
            self._create_sent_at = self.clock.now()
        return self.world.perform(action)

    def wait(self, action: Wait) -> None:
        self.world.wait(action)

    def decide(self, observation: Observation, policy: Policy) -> Action:
        return decide(observation, policy, self.limits, self.evidence)
