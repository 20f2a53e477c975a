"""Observations as plain values: with the policy, the only input of `decide`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.planner.boot_log import BootFault
from controller.planner.lease_state import SAME_LIFE, LeaseState, RunFacts
from controller.planner.unpulled_files import UnpulledFiles
from controller.providers.base import Offer, Pod, PodStatus
from remote.contract import GuardReport, Status

ALIVE = (PodStatus.PROVISIONING, PodStatus.STARTING, PodStatus.RUNNING)  # compute bills
STALE = 120.0  # seconds after a listing after which somebody else may have changed a pod


@dataclass(frozen=True)
class Listing:
    """One complete listing of the account's pods; `started` is when the request was sent."""

    started: float
    pods: tuple[Pod, ...]

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in self.pods if pod.id == pod_id), None)


@dataclass(frozen=True)
class Contact:
    """The result of one SSH request. `reached` False means only that the pod did not answer."""

    reached: bool
    status: Status | None = None  # the agent's, once our code is on the pod
    guard: GuardReport | None = None
    error: str = ""
    refused: bool = False  # the host is not the one we pinned, or refuses our key
    forgotten: bool = False  # it answers, but podctl's code is no longer on its disk
    # Evidence that the container runs without an sshd: the port refuses connections.
    no_sshd: str = ""
    no_sshd_ever: bool = False  # its start script has ended, so no sshd will start


@dataclass(frozen=True)
class Failure:
    """Failures in a row, and the reason of the last one."""

    times: int
    why: str


@dataclass(frozen=True)
class Repeated:
    """Unexpected exceptions of one action in a row, and the text of the last one."""

    times: int
    why: str
    retry_at: float = 0.0


@dataclass(frozen=True)
class ProviderObservation:
    """What the provider answered, and what its answers forbid for now."""

    listing: Listing | None = None  # None: the provider did not answer
    offers: tuple[Offer, ...] | None = None  # None: not asked, or not answered
    offers_at: float | None = None  # when the offers were asked for
    capacity_refused_at: float | None = None  # a create was refused for want of capacity
    blind_since: float | None = None  # the provider has not answered
    unquoted_since: float | None = None  # the provider has not stated its offers
    probing_since: float | None = None  # the search for an unanswered create's pod began
    throttled_until: float = 0.0  # no create before
    throttled_since: float | None = None  # no create was accepted since
    create_trouble: str = ""  # why the last create was not accepted
    refused: str | None = None  # the provider refuses the key or the account
    bill_retry_at: float = 0.0  # the bill is not asked before


@dataclass(frozen=True)
class PodObservation:
    """The lease's present pod, and those whose termination is pending."""

    pod_since: float | None = None  # the present pod runs, or is about to
    booting_since: float | None = None  # the present pod is alive and not ready
    missing_since: float | None = None  # no listing shows the present pod
    silent_since: float | None = None  # its SSH has not answered
    parking_since: float | None = None  # every run has its outcome, and the pod is not parked
    owing_since: float | None = None  # a terminated pod is not confirmed gone
    asked: Mapping[str, float] = field(default_factory=dict)  # pod → its newest order
    start_failures: Mapping[str, int] = field(default_factory=dict)  # pod → starts refused
    order_refused: str | None = None  # the provider refuses orders, as for a restricted key
    listed: frozenset[str] = frozenset()  # pods that any listing showed to this process
    stopped_elsewhere: frozenset[str] = frozenset()  # stopped by others during this process
    boot_fault: BootFault | None = None  # in the system log of a pod that was never reached


@dataclass(frozen=True)
class JobObservation:
    """The agent's answer about the present run's job, and failed attempts to work on it."""

    contact: Contact | None = None  # None: not tried
    mute_since: float | None = None  # sshd answers, the agent does not
    guard_since: float | None = None  # the pod is reached, and no guard limits its bill
    abandoned_since: float | None = None  # the user gave the run up, as this process knows
    failures: Mapping[str, Failure] = field(default_factory=dict)  # upload, start, stop → in a row
    pull_failures: int = 0
    unpulled: UnpulledFiles | None = None  # what the last pull left on the pod
    retry_at: float = 0.0  # no upload, start or pull before
    max_seconds: float | None = None  # that the present run's job may take


@dataclass(frozen=True)
class LocalObservation:
    """What the ledger and the local files say about the lease."""

    ready_pulled: str | None = None  # sha256 of the ready.json that was pulled last
    booked: frozenset[str] = frozenset()  # pods with an open compute interval
    # Pods of this lease with open intervals only: the journal record about them was lost.
    unclosed: frozenset[str] = frozenset()
    paid_until: float = 0.0  # Unix seconds at which the parked pod's last compute interval ended
    spent_usd: float = 0.0  # by this lease
    cap_usd: float | None = None  # at which the job writes a checkpoint and is stopped
    # Runs of the lease whose stage is locked by another run, with that run.
    superseded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Observation:
    """One look at the world, composed of four parts.

    Times but `wall` are seconds of a clock that counts sleep; "since" counts in this process only.
    """

    lease: LeaseState
    now: float
    provider: ProviderObservation = ProviderObservation()
    pods: PodObservation = PodObservation()
    job: JobObservation = JobObservation()
    local: LocalObservation = LocalObservation()
    wall: float = 0.0  # Unix seconds
    incidents: Mapping[str, Repeated] = field(default_factory=dict)  # by `unexpected_error.name_of`

    def since(self, moment: float | None) -> float:
        """When a condition began; now when it does not hold."""
        return self.now if moment is None else moment

    @property
    def pod(self) -> Pod | None:
        """The present pod as the newest listing shows it."""
        if self.provider.listing is None or self.lease.pod is None:
            return None
        return self.provider.listing.get(self.lease.pod)

    @property
    def runs(self) -> bool:
        """Whether the present pod's compute bills, by the newest listing."""
        return self.pod is not None and self.pod.status in ALIVE

    @property
    def runs_unbooked(self) -> bool:
        """Whether it bills and the ledger has no open interval for it."""
        return self.runs and self.lease.pod not in self.local.booked

    @property
    def stopped_unbooked(self) -> bool:
        """Whether it stopped, by whatever cause, while the ledger has it running."""
        pod = self.pod
        return pod is not None and pod.status is PodStatus.EXITED and pod.id in self.local.booked

    @property
    def unfollowed_start(self) -> float | None:
        """When the parked pod ran without podctl, as the provider reports; Unix seconds."""
        pod = self.pod
        if pod is None or pod.status is not PodStatus.EXITED or pod.started_at is None:
            return None
        known = max(self.local.paid_until, self.lease.correction) + SAME_LIFE
        return pod.started_at if self.local.paid_until and pod.started_at > known else None

    @property
    def life_began(self) -> float:
        """Unix seconds at which the present pod was last started, as the provider reports."""
        life = self.lease.life
        known = life[1] if life is not None and life[0] == self.lease.pod else 0.0
        reported = self.pod.started_at if self.pod is not None else None
        return max(known, reported or 0.0)

    @property
    def worked_seconds(self) -> float:
        """Seconds for which the present run's job can have run since the pod's last start."""
        run = self.lease.current
        if run is None or not run.started_at:
            return 0.0
        return max(0.0, self.wall - max(run.started_at, self.life_began))

    @property
    def unreachable_for(self) -> float:
        """Seconds for which the agent of the present pod has not answered."""
        since = (self.pods.silent_since, self.job.mute_since, self.pods.booting_since)
        return max((self.now - moment for moment in since if moment is not None), default=0.0)

    @property
    def over_cap(self) -> bool:
        return self.local.cap_usd is not None and self.local.spent_usd >= self.local.cap_usd

    def locked_by_other(self, run: RunFacts) -> str | None:
        """Why `run` must neither work nor be locked: another run has locked its stage."""
        other = self.local.superseded.get(run.run)
        return f"{run.stage} is locked by {other}" if other else None

    @property
    def unguarded_for(self) -> float:
        """Seconds for which the reached pod has had no trusted guard."""
        return self.now - self.job.guard_since if self.job.guard_since is not None else 0.0

    def ours(self) -> tuple[Pod, ...]:
        """Living pods that carry a nonce of this lease, in name and environment."""
        if self.provider.listing is None:
            return ()
        return tuple(
            pod
            for pod in self.provider.listing.pods
            if pod.nonce in self.lease.nonces and pod.status is not PodStatus.TERMINATED
        )
