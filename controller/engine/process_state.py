"""What this process saw and did since it started, as parts owned by those who use them.

Nothing here is persisted: a process that starts later waits longer, and decides nothing else.
Times are seconds of the clock that counts sleep, unless a comment says Unix time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.planner.boot_log import BootFault
from controller.planner.observation import Failure
from controller.planner.unpulled_files import UnpulledFiles


@dataclass
class OfferThrottle:
    """When the next create may be sent, and since when the provider has accepted none."""

    until: float = 0.0
    since: float | None = None
    reason: str = ""  # why the last create was not accepted
    capacity_refused_at: float | None = None  # when the last one found no capacity

    def postpone(self, reason: str, now: float, pause: float) -> None:
        """Send no create for `pause` seconds."""
        self.reason, self.until = reason, now + pause
        if self.since is None:
            self.since = now

    def clear(self) -> None:
        """A create got a definite answer."""
        self.since = None


@dataclass
class PodRequests:
    """The terminate, stop and start orders that this process sent."""

    sent_at: dict[str, float] = field(default_factory=dict)  # pod → its newest order
    ended_at: dict[str, float] = field(default_factory=dict)  # pod → Unix time of an accepted end
    starting: set[str] = field(default_factory=set)  # ordered to start, not seen alive since
    start_failures: dict[str, int] = field(default_factory=dict)  # pod → in a row
    refused: str | None = None  # why the provider refused the last order for good

    def start_failed(self, pod: str) -> None:
        self.start_failures[pod] = self.start_failures.get(pod, 0) + 1

    def start_accepted(self, pod: str) -> None:
        self.start_failures.pop(pod, None)
        self.starting.add(pod)

    def carried_out(self, alive: set[str]) -> None:
        """Pods that were ordered to start are alive: what happens to them next is news."""
        for pod in self.starting & alive:
            self.starting.discard(pod)
            self.sent_at.pop(pod, None)


@dataclass
class PodSightings:
    """What the provider's listings showed to this process."""

    listed: set[str] = field(default_factory=set)
    ran: set[str] = field(default_factory=set)
    billing: dict[str, float] = field(default_factory=dict)  # newest listing: pod → Unix time
    billed_at: dict[str, float] = field(default_factory=dict)  # any listing: pod → Unix time
    stopped_at: dict[str, float] = field(default_factory=dict)  # pod → Unix time when noticed
    stopped_elsewhere: set[str] = field(default_factory=set)  # stopped by somebody else

    def add(self, listed: set[str], alive: set[str], billing: set[str], wall: float) -> None:
        """Record one listing; `billing` are the pods that ran without a break until `wall`."""
        self.listed |= listed
        self.ran |= alive
        self.billing = dict.fromkeys(billing, wall)
        self.billed_at.update(self.billing)
        for pod in alive:  # a stop that was noticed before belongs to an earlier start
            self.stopped_at.pop(pod, None)


@dataclass
class BootLogs:
    """System logs of pods that boot, as they were read last."""

    read_at: float = 0.0
    faults: dict[str, BootFault] = field(default_factory=dict)  # pod → why it does not start
    image_digests: dict[str, str] = field(default_factory=dict)  # pod → digest of its image


@dataclass
class FailureCounters:
    """Failures of work on the pod, in a row, and when it may be tried again."""

    by_action: dict[str, Failure] = field(default_factory=dict)  # upload, start, stop
    pulls: int = 0
    unpulled: UnpulledFiles | None = None  # what the last pull left on the pod
    retry_at: float = 0.0

    def add(self, action: str, why: str, retry_at: float) -> None:
        """Count one more failure of `action`, which is not tried again before `retry_at`."""
        times = self.by_action[action].times if action in self.by_action else 0
        self.by_action[action] = Failure(times + 1, why)
        self.retry_at = retry_at

    def clear(self, action: str) -> None:
        self.by_action.pop(action, None)

    def clear_pulls(self) -> None:
        self.pulls, self.unpulled = 0, None


@dataclass
class BillPolling:
    """Requests for a provider's bill that does not have what is asked for yet."""

    misses: int = 0  # in a row
    retry_at: float = 0.0

    def missed(self, retry_at: float) -> None:
        self.misses += 1
        self.retry_at = retry_at

    def answered(self) -> None:
        self.misses = 0


@dataclass
class ConditionTimes:
    """Since when each named condition has held without a break."""

    since: dict[str, float] = field(default_factory=dict)

    def hold(self, condition: str, holds: bool, now: float) -> float | None:
        """Since when `condition` holds; None when it does not."""
        if not holds:
            self.since.pop(condition, None)
            return None
        return self.since.setdefault(condition, now)

    def restart(self, condition: str) -> None:
        """Count `condition` from the next observation on."""
        self.since.pop(condition, None)


@dataclass
class ProcessState:
    """The parts of one drive; losing them costs time and no fact."""

    throttle: OfferThrottle = field(default_factory=OfferThrottle)
    orders: PodRequests = field(default_factory=PodRequests)
    sightings: PodSightings = field(default_factory=PodSightings)
    boot_logs: BootLogs = field(default_factory=BootLogs)
    failures: FailureCounters = field(default_factory=FailureCounters)
    bill: BillPolling = field(default_factory=BillPolling)
    conditions: ConditionTimes = field(default_factory=ConditionTimes)
    provider_refusal: str | None = None  # why the provider refuses the key or the account
    job_seen_at: float | None = None  # Unix time at which the job was last seen running
    ready_pulled: str | None = None  # sha256 of the ready.json that was pulled last
    warned_runs: set[str] = field(default_factory=set)  # runs whose number of files was warned of
