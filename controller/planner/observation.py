"""What the loop can see, as plain values: the only input of `plan.decide` besides the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.planner.boot_log import BootFault
from controller.planner.lease_state import SAME_LIFE, LeaseState
from controller.planner.unpulled_files import UnpulledFiles
from controller.providers.base import Offer, Pod, PodStatus
from remote.contract import GuardReport, Status

ALIVE = (PodStatus.PROVISIONING, PodStatus.STARTING, PodStatus.RUNNING)  # compute bills
STALE = 120.0  # seconds after a listing in which somebody else may have had a pod


@dataclass(frozen=True)
class Listing:
    """One whole listing of the account's pods. `started` is when the request was sent."""

    started: float
    pods: tuple[Pod, ...]

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in self.pods if pod.id == pod_id), None)


@dataclass(frozen=True)
class Contact:
    """What SSH said. `reached` False means the pod did not answer, and nothing more."""

    reached: bool
    status: Status | None = None  # the agent's, once our code is on the pod
    guard: GuardReport | None = None
    error: str = ""
    refused: bool = False  # the host is not the one we pinned, or refuses our key
    forgotten: bool = False  # it answers, and our code is not on its disk any more
    # The port refuses us and the container, which runs, announces no sshd: why we think so.
    no_sshd: str = ""
    no_sshd_ever: bool = False  # its start script is over: none comes any more


@dataclass(frozen=True)
class Failure:
    """What went wrong so many times in a row, and how the last time."""

    times: int
    why: str


@dataclass(frozen=True)
class Repeated:
    """An action that raised what nobody foresaw: how often in a row, and how the last time."""

    times: int
    why: str
    retry_at: float = 0.0


@dataclass(frozen=True)
class Observation:
    """One look at the world. Times but `wall` are seconds of a clock that counts sleep."""

    lease: LeaseState
    now: float
    listing: Listing | None = None  # None: the provider did not answer
    offers: tuple[Offer, ...] | None = None  # None: not asked, or not answered
    contact: Contact | None = None  # None: not tried
    # Since when, as far as this process knows:
    probing_since: float | None = None  # entered the probe of an unanswered create
    pod_since: float | None = None  # the present pod runs, or is about to
    booting_since: float | None = None  # the present pod is alive and not ready
    owing_since: float | None = None  # a pod that was told to go is not confirmed gone
    parking_since: float | None = None  # every run has its outcome, and the pod is not parked
    silent_since: float | None = None  # SSH has not answered
    mute_since: float | None = None  # sshd answers, the agent does not
    missing_since: float | None = None  # the pod is in no listing
    blind_since: float | None = None  # the provider has not answered
    guard_since: float | None = None  # reached, and no guard bounds its bill
    asked: Mapping[str, float] = field(default_factory=dict)  # pod → last terminate or stop
    listed: frozenset[str] = frozenset()  # pods that a listing showed to this process
    throttled_until: float = 0.0
    throttled_since: float | None = None
    # Of this process; the next one begins to count anew:
    start_failures: Mapping[str, int] = field(default_factory=dict)  # pod → starts refused
    failures: Mapping[str, Failure] = field(default_factory=dict)  # upload, start → in a row
    incidents: Mapping[str, Repeated] = field(default_factory=dict)  # by `unforeseen.name_of`
    pull_failures: int = 0
    held: UnpulledFiles | None = None  # what the last pull had to leave
    retry_at: float = 0.0  # of an upload, a start or a pull
    bill_retry_at: float = 0.0
    wall: float = 0.0  # Unix seconds
    ready_pulled: str | None = None  # sha256 of the ready.json that was pulled last
    booked: frozenset[str] = frozenset()  # pods whose compute bills, by the ledger
    # Pods of this lease that bill by the ledger alone: the journal's word of them was cut off.
    unclosed: frozenset[str] = frozenset()
    paid_until: float = 0.0  # Unix seconds to which the parked pod's compute is in the ledger
    spent_usd: float = 0.0  # by this lease
    stopped_elsewhere: frozenset[str] = frozenset()  # pods stopped under this process by others
    boot_fault: BootFault | None = None  # by the system log of a pod that was never reached
    create_trouble: str = ""  # why the last create was not taken
    unquoted_since: float | None = None  # the provider has not said what it offers
    refused: str | None = None  # the provider says no for good: key or account
    order_refused: str | None = None  # the same to an order alone, as to a restricted key
    max_seconds: float | None = None  # that the present run's job may take
    abandoned_since: float | None = None  # the user's word to give it up, in this process
    cap_usd: float | None = None  # at which the job is checkpointed and stopped

    @property
    def pod(self) -> Pod | None:
        """The present pod as the newest listing shows it."""
        if self.listing is None or self.lease.pod is None:
            return None
        return self.listing.get(self.lease.pod)

    @property
    def runs(self) -> bool:
        """Whether the present pod's compute bills, by the newest listing."""
        return self.pod is not None and self.pod.status in ALIVE

    @property
    def runs_unbooked(self) -> bool:
        """Whether it does, and the ledger does not know."""
        return self.runs and self.lease.pod not in self.booked

    @property
    def stopped_unbooked(self) -> bool:
        """Whether it stopped, by its guard or anybody else, and the ledger lets it run on."""
        pod = self.pod
        return pod is not None and pod.status is PodStatus.EXITED and pod.id in self.booked

    @property
    def unfollowed_start(self) -> float | None:
        """When the parked pod, by the provider's word, ran without us; Unix seconds."""
        pod = self.pod
        if pod is None or pod.status is not PodStatus.EXITED or pod.started_at is None:
            return None
        known = max(self.paid_until, self.lease.reckoned) + SAME_LIFE
        return pod.started_at if self.paid_until and pod.started_at > known else None

    @property
    def life_began(self) -> float:
        """Unix seconds at which the present pod was started last, by the provider's word."""
        life = self.lease.life
        known = life[1] if life is not None and life[0] == self.lease.pod else 0.0
        told = self.pod.started_at if self.pod is not None else None
        return max(known, told or 0.0)

    @property
    def worked_seconds(self) -> float:
        """For how long the present run's job can have been at work in the pod's present life."""
        run = self.lease.current
        if run is None or not run.started_at:
            return 0.0
        return max(0.0, self.wall - max(run.started_at, self.life_began))

    @property
    def unreachable_for(self) -> float:
        """Seconds for which the agent of the present pod could not be asked anything."""
        since = (self.silent_since, self.mute_since, self.booting_since)
        return max((self.now - one for one in since if one is not None), default=0.0)

    @property
    def over_cap(self) -> bool:
        return self.cap_usd is not None and self.spent_usd >= self.cap_usd

    @property
    def unguarded_for(self) -> float:
        """Seconds for which the reached pod has had no guard to trust."""
        return self.now - self.guard_since if self.guard_since is not None else 0.0

    def ours(self) -> tuple[Pod, ...]:
        """Living pods that carry a nonce of this lease, in name and environment."""
        if self.listing is None:
            return ()
        return tuple(
            pod
            for pod in self.listing.pods
            if pod.nonce in self.lease.nonces and pod.status is not PodStatus.TERMINATED
        )
