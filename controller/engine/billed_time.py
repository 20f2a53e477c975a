"""When a pod began and ceased to bill, where our own orders do not say it for certain."""

from __future__ import annotations

from dataclasses import dataclass

from controller.engine.lease_context import LeaseContext
from controller.engine.process_state import BillPolling
from controller.planner.lease_state import SAME_LIFE, PendingTermination
from controller.providers.base import Kind, Pod, PodStatus, ProviderError
from state.interval import Interval

BILL_PAUSE = 20.0  # seconds before a bill that did not come is asked for again
BILL_TRIES = 60  # counted, not timed: a clock that slept has tried nothing
FRESH = 30.0  # seconds: LIST_EVERY and a little
SURE_FOR = 900.0  # seconds in which a pod that was told to go and is not there went by that order
NEGLIGIBLE_USD = 0.01  # by which a bill and a ledger may differ


@dataclass(frozen=True)
class Unattributed:
    """Compute that is on the bill and in no book; as one piece, from the last end that we know."""

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
        """The bill did not come: it is asked for again, so many times."""
        self._bill.missed(self.context.clock.now() + BILL_PAUSE)

    def start_of(self, pod: Pod) -> float:
        """The provider's word for it, unless that is about a life that was paid already.

        Where a row is open, of a start whose answer no journal has, that life and this are one row.
        """
        now = self.context.clock.wall()
        told = max(pod.started_at or now, self.paid_until(pod.id))
        return min(now, told, self.open_since(pod.id) or now)

    def end_of(self, pod: str, *, interrupted: bool = False) -> float:
        """When the provider took our order; where that is in doubt, as its bill has it.

        Of an `interrupted` life the bill tells the sum alone, so that it has to be whole.

        Raises ProviderError when the bill is needed and does not come.
        """
        wall = self.context.clock.wall()
        debt = next(
            (one for one in self.context.lease_state().pending_terminations if one.pod == pod), None
        )
        if self.context.policy.bill_lag and (known := self._known_end(pod, debt, wall)) is not None:
            return known
        ordered = debt.ended_at if debt and debt.ended_at else wall
        if interrupted or (debt is not None and debt.interrupted):
            noticed = self.context.process.sightings.stopped_at.setdefault(pod, ordered)
            self._want_bill(until=noticed, asked=wall)
        # Not the earlier of the two: an order that was taken may have been forgotten.
        return self._billed_until(pod) or ordered

    def _known_end(self, pod: str, debt: PendingTermination | None, wall: float) -> float | None:
        """What a bill that lags would say later: our order's time, or now for one that bills."""
        if debt is not None:
            told = debt.ended_at or wall
            return told if debt.sure and wall - told < SURE_FOR else None
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
        """The end of the open compute interval by the provider's bill; None: it does not say."""
        last = self._open(pod)
        if last is None or last.usd_per_hour <= 0:
            return None
        hours = self.unbooked_hours(pod, last.started_at)
        if hours is None:
            return None
        return min(self.context.clock.wall(), last.started_at + hours * 3600.0)

    def unattributed(self, pod: str, ended_at: float, *, meddled: bool) -> Unattributed | None:
        """Lives of a pod that we had parked and that somebody else started, by the bill.

        A pod that is in the books until `ended_at` is asked about only when it was `meddled` with.
        Raises ProviderError while the bill does not come.
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
        # Of a pod that is parked the last life that we know was ours: what we missed lies before.
        begin = since - seconds if meddled and last is None else since
        missed = Unattributed(begin, begin + seconds, rate)
        return missed if hours * rate > NEGLIGIBLE_USD else None

    def _hours_before(self, pod: str, until: float, last: float | None) -> float:
        """Hours that are in no book, of all lives until then, but for that of the open row.

        Raises ProviderError while the bill may still grow before `until`.
        """
        self._want_bill(until=until, asked=self.context.clock.wall())
        hours = self._unbooked(pod) or 0.0
        self._bill.answered()
        return hours - (max(0.0, until - last) / 3600.0 if last is not None else 0.0)

    def runs_whole(self, pod: Pod) -> bool:
        """Whether a pod that shows as running did so without a break since the books have it so.

        Not when it was stopped and started meanwhile. And not when it shows as what it is not:
        its start, as the provider tells it, is that of a life that was paid, or it is only
        getting up although it had answered, or for longer than a boot may take: by then its guard
        may have stopped it.
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
        """Whether somebody else stopped and started the pod since its present row was opened."""
        began, told = self.began(pod), pod.started_at
        return began is not None and told is not None and told - began > SAME_LIFE

    def began(self, pod: Pod) -> float | None:
        """When the first life of the pod's present row began, Unix seconds."""
        life = self.context.lease_state().life
        if life is not None and life[0] == pod.id:
            return life[1]
        booked, told = self.open_since(pod.id), pod.started_at
        slow = booked and told and told - booked > self.context.policy.boot
        return booked if slow else told  # no image takes that long

    def open_since(self, pod: str) -> float | None:
        """When the pod's open compute interval began, Unix seconds."""
        last = self._open(pod)
        return None if last is None else last.started_at

    def paid_until(self, pod: str) -> float:
        """The end of the newest closed compute interval, Unix seconds; 0: there is none."""
        return max((one.ended_at or 0.0 for one in self._compute(pod)), default=0.0)

    def _life_end(self, pod: str) -> float:
        """The same, of those that ended with a life of the pod and not with a stage on it."""
        ended = (one for one in self._compute(pod) if one.end_source != "stage")
        return max((one.ended_at or 0.0 for one in ended), default=0.0)

    def _open(self, pod: str) -> Interval | None:
        return next((one for one in self._compute(pod) if one.open), None)

    def _compute(self, pod: str) -> list[Interval]:
        """The pod's compute intervals, oldest first."""
        return [one for one in self.context.ledger.intervals(pod_id=pod) if one.kind == "compute"]

    def missed_hours(self, pod: str, since: float) -> float:
        """Of a life that no interval has: none is missed where one is open, for it is that life."""
        if self.open_since(pod) is not None:
            return 0.0
        return self.unbooked_hours(pod, since) or 0.0

    def unbooked_hours(self, pod: str, since: float) -> float | None:
        """Hours of compute on the provider's bill that no closed interval of the ledger has.

        They began at `since`, Unix seconds. A bill is late: what it says of the last minutes may
        still grow, and is asked again. None when it does not know the pod, which is no gift, or
        was asked in vain for too long. Raises ProviderError until then.
        """
        asked = self.context.clock.wall()
        hours = self._unbooked(pod)
        if hours is not None:
            self._want_bill(until=since + hours * 3600.0, asked=asked)
            self._bill.answered()
        return hours

    def _unbooked(self, pod: str) -> float | None:
        """The same, as the bill is now, which may still grow."""
        compute = [one for one in self._compute(pod) if one.usd_per_hour > 0]
        if not compute or self._bill.misses >= BILL_TRIES:
            return None
        wall = self.context.clock.wall()
        records = self.context.provider.billing(compute[0].started_at - 3600.0, wall + 3600.0)
        if not (mine := [one for one in records if one.pod_id == pod]):
            return None
        billed = sum(one.compute_usd for one in mine)
        booked = sum(
            one.duration_ms(0) * one.usd_per_hour / 3_600_000 for one in compute if not one.open
        )
        return max(0.0, billed - booked) / compute[-1].usd_per_hour
