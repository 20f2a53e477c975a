"""Builds one Observation from the provider, the pod's agent, the job and the local files.

Has no effects on the world. It caches the newest listing, offers and address, so that the provider
is asked as seldom as the decision allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.engine.billed_time import BilledTime
from controller.engine.boot_faults import read_boot_fault
from controller.engine.job_runtime import JobRuntime
from controller.engine.last_seen import pod_last_seen
from controller.engine.lease_context import LeaseContext
from controller.engine.process_state import ProcessState
from controller.planner.capacity_wait import offers_good_for
from controller.planner.lease_state import LeaseState
from controller.planner.observation import (
    ALIVE,
    Contact,
    JobObservation,
    Listing,
    LocalObservation,
    Observation,
    PodObservation,
    ProviderObservation,
)
from controller.planner.pod_spec import hardware
from controller.providers.base import Endpoint, Kind, Offer, Pod, PodStatus, ProviderError
from controller.providers.pod_status import endpoint_of, is_booting, is_up
from state.locks import Locks

LIST_EVERY = 20.0  # seconds between listings while the agent answers


@dataclass
class Observer:
    """Observes one lease; `now` of an observation is the time after its last request."""

    context: LeaseContext
    runtime: JobRuntime
    pause: float = 0.0  # seconds that the next observation waits for the job to change
    _listing: Listing | None = None
    _offers: tuple[Offer, ...] | None = None
    _offers_at: float = 0.0
    _endpoint: Endpoint | None = None
    _endpoint_pod: str | None = None

    def observe(self) -> Observation:
        lease_state = self.context.lease_state()
        self._list(lease_state, self.context.clock.now())
        contact = self._contact(lease_state)
        if contact and contact.status and contact.status.state == "running":
            self.process.job_seen_at = self.context.clock.wall()
        now = self.context.clock.now()
        provider = self._observe_provider(lease_state, now)
        return Observation(
            lease=lease_state,
            now=now,
            wall=self.context.clock.wall(),
            provider=provider,
            pods=self._observe_pods(lease_state, contact, now),
            job=self._observe_job(lease_state, contact, now),
            local=self._observe_local(lease_state),
        )

    @property
    def process(self) -> ProcessState:
        return self.context.process

    # -- the four parts of an observation ------------------------------------------------------

    def _observe_provider(self, lease_state: LeaseState, now: float) -> ProviderObservation:
        throttle, hold = self.process.throttle, self.process.conditions.hold
        offers = self._quote(lease_state, now)
        unquoted = offers is None and self._wants_quote(lease_state)
        unclear = lease_state.unsettled or lease_state.ambiguous
        return ProviderObservation(
            listing=self._listing,
            offers=offers,
            offers_at=self._offers_at if offers is not None else None,
            capacity_refused_at=throttle.capacity_refused_at,
            blind_since=hold("blind", self._listing is None, now),
            unquoted_since=hold("unquoted", unquoted, now),
            probing_since=hold("probing", unclear, now),
            throttled_until=throttle.until,
            throttled_since=throttle.since,
            create_trouble=throttle.reason,
            refused=self.process.provider_refusal,
            bill_retry_at=self.process.bill.retry_at,
        )

    def _observe_pods(
        self, lease_state: LeaseState, contact: Contact | None, now: float
    ) -> PodObservation:
        orders, sightings, hold = (
            self.process.orders,
            self.process.sightings,
            self.process.conditions.hold,
        )
        pod, pod_id = self._pod(lease_state), lease_state.pod
        asked = lease_state.needs_pod or lease_state.current is None
        silent = pod_id is not None and asked and not (contact and contact.reached)
        pending = bool(lease_state.pending_terminations)
        return PodObservation(
            pod_since=hold(f"alive {pod_id}", is_up(pod), now),
            booting_since=hold(f"booting {pod_id}", is_booting(pod), now),
            missing_since=hold(f"missing {pod_id}", self._is_missing(lease_state, pod), now),
            silent_since=hold("silent", silent and endpoint_of(pod) is not None, now),
            parking_since=hold("parking", _is_to_be_parked(lease_state), now),
            owing_since=hold("owing", pending, now),
            asked=dict(orders.sent_at),
            start_failures=dict(orders.start_failures),
            order_refused=orders.refused,
            listed=frozenset(sightings.listed),
            stopped_elsewhere=frozenset(sightings.stopped_elsewhere),
            boot_fault=read_boot_fault(self.context, pod),
        )

    def _observe_job(
        self, lease_state: LeaseState, contact: Contact | None, now: float
    ) -> JobObservation:
        failures, hold = self.process.failures, self.process.conditions.hold
        reached = contact is not None and contact.reached
        trusted = contact is not None and self.context.policy.trusts(contact.guard)
        mute = contact is not None and contact.reached and contact.status is None
        return JobObservation(
            contact=contact,
            mute_since=hold("mute", mute, now),
            guard_since=hold("unarmed", reached and not trusted, now),
            abandoned_since=hold("abandoned", bool(lease_state.abandon), now),
            failures=dict(failures.by_action),
            pull_failures=failures.pulls,
            unpulled=failures.unpulled,
            retry_at=failures.retry_at,
            max_seconds=self._max_seconds(lease_state),
        )

    def _observe_local(self, lease_state: LeaseState) -> LocalObservation:
        return LocalObservation(
            ready_pulled=self.process.ready_pulled,
            booked=self._booked(lease_state),
            unclosed=self._unclosed(lease_state),
            paid_until=self._paid_until(lease_state),
            spent_usd=self._spent(),
            cap_usd=self.context.cap_usd,
            superseded=lease_state.superseded(self._locks()),
        )

    # -- local files -----------------------------------------------------------------------------

    def _max_seconds(self, lease_state: LeaseState) -> float | None:
        """What the present run's job may take, including its grace to save."""
        if lease_state.current is None:
            return None
        stage = self.context.stages[lease_state.current.run]
        return stage.max_hours * 3600.0 + stage.grace_seconds

    def _booked(self, lease_state: LeaseState) -> frozenset[str]:
        if lease_state.pod is None:
            return frozenset()
        intervals = self.context.ledger.intervals(pod_id=lease_state.pod, open_only=True)
        return frozenset(row.pod_id for row in intervals if row.kind == "compute")

    def _paid_until(self, lease_state: LeaseState) -> float:
        if lease_state.pod is None or not lease_state.parked:
            return 0.0
        return BilledTime(self.context).paid_until(lease_state.pod)

    def _unclosed(self, lease_state: LeaseState) -> frozenset[str]:
        if lease_state.pod is not None or lease_state.current is not None:
            return frozenset()
        if lease_state.pending_terminations:
            return frozenset()
        intervals = self.context.ledger.intervals(open_only=True)
        return frozenset(row.pod_id for row in intervals if row.lease == lease_state.lease)

    def _locks(self) -> dict[str, str]:
        """The locks in force: stage → the run that passed."""
        locks = Locks(self.context.journal.connection)
        stages = {stage.name for stage in self.context.stages.values()}
        found = (locks.current(stage) for stage in stages)
        return {lock.stage: lock.run for lock in found if lock is not None and lock.run}

    def _spent(self) -> float:
        wall = self.context.clock.wall()
        return sum(self.context.ledger.spent(wall, run=run) for run in self.context.stages)

    # -- the provider and the pod ------------------------------------------------------------------

    def _pod(self, lease_state: LeaseState) -> Pod | None:
        if self._listing is None or lease_state.pod is None:
            return None
        return self._listing.get(lease_state.pod)

    def _is_missing(self, lease_state: LeaseState, pod: Pod | None) -> bool:
        gone = pod is None or pod.status is PodStatus.TERMINATED
        return self._listing is not None and lease_state.pod is not None and gone

    def _list(self, lease_state: LeaseState, now: float) -> None:
        """List the pods, unless the agent answers and the newest listing is recent."""
        if self._listing_suffices(lease_state, now) or not lease_state.nonces:
            return
        wall = self.context.clock.wall()
        try:
            pods = self.context.provider.list()
        except ProviderError as error:
            self._listing = None
            self._note_refusal(error)
            return
        self.process.provider_refusal = None
        self._listing = Listing(now, self._with_hidden(lease_state, pods))
        self._note_listing(lease_state, self._listing.pods, wall)

    def _listing_suffices(self, lease_state: LeaseState, now: float) -> bool:
        busy = lease_state.pod is not None and lease_state.current is not None
        quiet = busy and not lease_state.pending_terminations and lease_state.reached
        if not quiet or "silent" in self.process.conditions.since:
            return False
        return self._listing is not None and now - self._listing.started < LIST_EVERY

    def _note_refusal(self, error: ProviderError) -> None:
        if error.kind is Kind.REFUSED:
            self.process.provider_refusal = f"{error.what} {error.cause}".strip()

    def _note_listing(self, lease_state: LeaseState, pods: tuple[Pod, ...], wall: float) -> None:
        alive = {pod.id: pod for pod in pods if pod.status in ALIVE}
        runs_whole = BilledTime(self.context).runs_whole
        own = (pod for pod in alive.values() if pod.id in lease_state.pods)
        billing = {pod.id for pod in own if runs_whole(pod)}
        self.process.sightings.add({pod.id for pod in pods}, set(alive), billing, wall)
        self.process.orders.carried_out(set(alive))
        for pod in pods:
            if pod.id == lease_state.pod:
                self.context.last_seen.see(f"pod:{pod.id}", "provider", pod_last_seen(pod))

    def _with_hidden(self, lease_state: LeaseState, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
        """Add known pods that the listing does not show but that the provider has by their id."""
        known = {lease_state.pod, *(pending.pod for pending in lease_state.pending_terminations)}
        hidden = sorted(known - {None} - {pod.id for pod in pods}, key=str)
        return (*pods, *self._by_id(hidden))

    def _by_id(self, pods: list[str | None]) -> Iterator[Pod]:
        for pod_id in pods:
            try:
                pod = self.context.provider.get(str(pod_id))
            except ProviderError:
                continue  # then only the listing counts
            if pod is not None and pod.status is not PodStatus.TERMINATED:
                yield pod

    def _quote(self, lease_state: LeaseState, now: float) -> tuple[Offer, ...] | None:
        if not self._wants_quote(lease_state):
            return None
        good_for = offers_good_for(self.context.clock.wall(), self.context.policy)
        if self._offers is not None and now - self._offers_at < good_for:
            return self._offers
        need = hardware(self.context.stage_list, self.context.shape)
        try:
            self._offers = self.context.provider.offers(need)
        except ProviderError as error:
            self._note_refusal(error)
            self._offers = None
        self._offers_at = now
        return self._offers

    def _wants_quote(self, lease_state: LeaseState) -> bool:
        return lease_state.pod is None and lease_state.needs_pod

    def _contact(self, lease_state: LeaseState) -> Contact | None:
        endpoint, pause, self.pause = self._address(lease_state), self.pause, 0.0
        if endpoint is None or lease_state.pod is None or not lease_state.needs_pod:
            if pause:
                self.context.clock.wait(pause)
            return None
        assert lease_state.current is not None
        return self.runtime.ask(lease_state.pod, endpoint, lease_state.current, pause)

    def _address(self, lease_state: LeaseState) -> Endpoint | None:
        """From the newest listing; the last known address while the provider does not respond."""
        pod = self._pod(lease_state)
        if self._listing is not None:
            self._endpoint, self._endpoint_pod = endpoint_of(pod), lease_state.pod
        return self._endpoint if self._endpoint_pod == lease_state.pod else None


def _is_to_be_parked(lease_state: LeaseState) -> bool:
    return lease_state.current is None and lease_state.pod is not None and not lease_state.parked
