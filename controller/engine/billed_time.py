"""When a pod started and stopped to bill, where podctl's own orders leave it uncertain."""

from __future__ import annotations

from dataclasses import dataclass

from controller.engine.lease_context import LeaseContext
from controller.engine.process_state import BillPolling
from controller.planner.lease_state import SAME_LIFE, PendingTermination
from controller.providers.base import Kind, Pod, PodStatus, ProviderError
from state.interval import Interval

BILL_PAUSE = 20.0  # seconds before a missing bill is asked for again
BILL_TRIES = 60  # counted and not timed, because a suspended machine tries nothing
FRESH = 30.0  # seconds, a little over LIST_EVERY
SURE_FOR = 900.0  # seconds after an order within which a missing pod was ended by it
NEGLIGIBLE_USD = 0.01  # difference of bill and ledger that is ignored


@dataclass(frozen=True)
class Unattributed:
    """Compute on the bill that the ledger lacks, as one interval after the last known end."""

    since: float  # Unix seconds
    until: float
    usd_per_hour: float


@dataclass(frozen=True)
class BilledTime:
    """Reads the ledger and the provider's bill; writes nothing."""

    context: LeaseContext

    @property
    def _bill(self) -> BillPolling:
        return self.context.process.bill

    def ask_later(self) -> None:
        """Postpone the next request for the bill, which had no answer."""
        self._bill.missed(self.context.clock.now() + BILL_PAUSE)

    def start_of(self, pod: Pod) -> float:
        """The provider's start time, unless it belongs to an interval that is already closed.

        If an interval is open, from a start whose answer was lost, it covers this start too.
        """
        now = self.context.clock.wall()
        reported = max(pod.started_at or now, self.paid_until(pod.id))
        return min(now, reported, self.open_since(pod.id) or now)

    def end_of(self, pod: str, *, interrupted: bool = False) -> float:
        """When the pod's billing ended: at podctl's order or, in doubt, as the bill shows.

        If the pod was `interrupted`, the bill has only the sum and must be complete.
        Raises ProviderError while a bill that is needed is missing.
        """
        wall = self.context.clock.wall()
        pending = next(
            (one for one in self.context.lease_state().pending_terminations if one.pod == pod), None
        )
        if (
            self.context.policy.bill_lag
            and (known := self._known_end(pod, pending, wall)) is not None
        ):
            return known
        ordered = pending.ended_at if pending and pending.ended_at else wall
        if interrupted or (pending is not None and pending.interrupted):
            noticed = self.context.process.sightings.stopped_at.setdefault(pod, ordered)
            self._want_bill(until=noticed, asked=wall)
        # Not the earlier of the two: an accepted order may have had no effect.
        return self._billed_until(pod) or ordered

    def _known_end(self, pod: str, pending: PendingTermination | None, wall: float) -> float | None:
        """The end that a later bill would show: the order's time, or now for a pod that bills."""
        if pending is not None:
            ended = pending.ended_at or wall
            return ended if pending.sure and wall - ended < SURE_FOR else None
        ended_at = self.context.process.orders.ended_at
        if pod in ended_at:
            return ended_at[pod]
        return (
            wall if wall - self.context.process.sightings.billed_at.get(pod, 0.0) < FRESH else None
        )

    def _pending_termination(self, pod: str) -> PendingTermination | None:
        pending = self.context.lease_state().pending_terminations
        return next((one for one in pending if one.pod == pod), None)

    def _want_bill(self, until: float, asked: float) -> None:
        """Raises ProviderError while a bill of the time `asked` may still grow before `until`."""
        late = until > asked - self.context.policy.bill_lag
        if late and self._bill.misses < BILL_TRIES:
            raise ProviderError("the provider's bill may still grow", kind=Kind.TRANSIENT)

    def _billed_until(self, pod: str) -> float | None:
        """The end of the open compute interval by the provider's bill; None: it has no answer."""
        last = self._open(pod)
        if last is None or last.usd_per_hour <= 0:
            return None
        hours = self.unbooked_hours(pod, last.started_at)
        if hours is None:
            return None
        return min(self.context.clock.wall(), last.started_at + hours * 3600.0)

    def unattributed(self, pod: str, ended_at: float, *, meddled: bool) -> Unattributed | None:
        """Compute of a parked pod that somebody else started, by the bill.

        A pod with an open interval until `ended_at` is checked only if somebody `meddled` with it.
        Raises ProviderError while the bill is missing.
        """
        since, last = self._life_end(pod), self.open_since(pod)
        if not since or (last is not None and not meddled):
            return None
        if meddled:
            hours = self._hours_before(pod, ended_at if last is not None else since, last)
        elif self.context.clock.wall() - since < self.context.policy.bill_lag:
            return None  # parked a moment ago
        else:
            hours = self.unbooked_hours(pod, since) or 0.0
        rate, seconds = self._compute(pod)[-1].usd_per_hour, hours * 3600.0
        # The last known use of a parked pod was podctl's own, so the missed use came before it.
        begin = since - seconds if meddled and last is None else since
        missed = Unattributed(begin, begin + seconds, rate)
        return missed if hours * rate > NEGLIGIBLE_USD else None

    def _hours_before(self, pod: str, until: float, last: float | None) -> float:
        """Unbooked hours until then, without those of the open interval.

        Raises ProviderError while the bill may still grow before `until`.
        """
        self._want_bill(until=until, asked=self.context.clock.wall())
        hours = self._unbooked(pod) or 0.0
        self._bill.answered()
        return hours - (max(0.0, until - last) / 3600.0 if last is not None else 0.0)

    def runs_whole(self, pod: Pod) -> bool:
        """Whether a pod that is listed as running has run without a break since it was booked.

        False when it was stopped and started meanwhile, and when the listing may be stale: its
        reported start belongs to a closed interval, or it is starting although it had answered, or
        for longer than a boot may take, so that its guard may have stopped it.
        """
        if pod.started_at is None:
            return True
        life = self.context.lease_state().life
        answered = life is not None and life[0] == pod.id
        late = self.context.clock.wall() - pod.started_at > self.context.policy.boot
        if pod.status is PodStatus.STARTING and (answered or late):
            return False
        unpaid = pod.started_at > self._life_end(pod.id) - SAME_LIFE
        return unpaid and not self.interrupted(pod)

    def interrupted(self, pod: Pod) -> bool:
        """Whether somebody else stopped and started the pod since its open interval started."""
        began, reported = self.began(pod), pod.started_at
        if began is None or reported is None:
            return False
        return reported - began > SAME_LIFE

    def began(self, pod: Pod) -> float | None:
        """When the pod first started within its open interval, Unix seconds."""
        life = self.context.lease_state().life
        if life is not None and life[0] == pod.id:
            return life[1]
        booked, reported = self.open_since(pod.id), pod.started_at
        slow = booked and reported and reported - booked > self.context.policy.boot
        return booked if slow else reported  # no boot takes that long

    def open_since(self, pod: str) -> float | None:
        """When the pod's open compute interval began, Unix seconds."""
        last = self._open(pod)
        return None if last is None else last.started_at

    def paid_until(self, pod: str) -> float:
        """The end of the newest closed compute interval, Unix seconds; 0: there is none."""
        return max((one.ended_at or 0.0 for one in self._compute(pod)), default=0.0)

    def _life_end(self, pod: str) -> float:
        """The same, without intervals that ended because another stage continued on the pod."""
        ended = (one for one in self._compute(pod) if one.end_source != "stage")
        return max((one.ended_at or 0.0 for one in ended), default=0.0)

    def _open(self, pod: str) -> Interval | None:
        return next((one for one in self._compute(pod) if one.open), None)

    def _compute(self, pod: str) -> list[Interval]:
        """The pod's compute intervals, oldest first."""
        return [one for one in self.context.ledger.intervals(pod_id=pod) if one.kind == "compute"]

    def missed_hours(self, pod: str, since: float) -> float:
        """Hours since `since` that no interval has; none are missed while one is open."""
        if self.open_since(pod) is not None:
            return 0.0
        return self.unbooked_hours(pod, since) or 0.0

    def unbooked_hours(self, pod: str, since: float) -> float | None:
        """Hours of compute on the provider's bill that no closed interval of the ledger has.

        They started at `since`, Unix seconds. The bill lags, so its last minutes may still grow.
        None when the bill does not know the pod or had no answer for too long. Raises
        ProviderError until then.
        """
        asked = self.context.clock.wall()
        hours = self._unbooked(pod)
        if hours is not None:
            self._want_bill(until=since + hours * 3600.0, asked=asked)
            self._bill.answered()
        return hours

    def _unbooked(self, pod: str) -> float | None:
        """The same by the present bill, which may still grow."""
        compute = [one for one in self._compute(pod) if one.usd_per_hour > 0]
        if not compute or self._bill.misses >= BILL_TRIES:
            return None
        wall = self.context.clock.wall()
        records = self.context.provider.billing(compute[0].started_at - 3600.0, wall + 3600.0)
        if not (own := [record for record in records if record.pod_id == pod]):
            return None
        billed = sum(record.compute_usd for record in own)
        booked = sum(
            one.duration_ms(0) * one.usd_per_hour / 3_600_000 for one in compute if not one.open
        )
        return max(0.0, billed - booked) / compute[-1].usd_per_hour
