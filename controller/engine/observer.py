"""Eyes: one look at the provider, the pod's agent and what is here. Changes nothing but caches."""

from __future__ import annotations

from dataclasses import dataclass

from controller.engine.billed_time import BilledTime
from controller.engine.job_runtime import JobRuntime
from controller.engine.last_seen import pod_sighting
from controller.engine.lease_context import LeaseContext
from controller.planner import boot_log
from controller.planner.boot_log import BootFault
from controller.planner.lease_state import LeaseState
from controller.planner.observation import ALIVE, Contact, Listing, Observation
from controller.planner.pod_spec import hardware
from controller.providers.base import Endpoint, Kind, Offer, Pod, PodStatus, ProviderError

LIST_EVERY = 20.0  # seconds between listings while the agent answers
SETTLED = (PodStatus.EXITED, PodStatus.ERROR, PodStatus.TERMINATED)
OFFERS_EVERY = 60.0  # seconds for which a quote is good


@dataclass
class Observer:
    """Looks; keeps the newest listing, quote and address so as not to ask too often."""

    scene: LeaseContext
    site: JobRuntime
    _listing: Listing | None = None
    _offers: tuple[Offer, ...] | None = None
    _offers_at: float = 0.0
    _endpoint: Endpoint | None = None
    _endpoint_pod: str | None = None

    def look(self) -> Observation:
        rental = self.scene.rental()
        memory, now = self.scene.memory, self.scene.clock.now()
        self._list(rental, now)
        contact = self._contact(rental)
        if contact and contact.status and contact.status.state == "running":
            memory.alive_at = self.scene.clock.wall()
        now = self.scene.clock.now()
        pod = self._pod(rental)
        gone = pod is None or pod.status is PodStatus.TERMINATED
        absent = self._listing is not None and rental.pod is not None and gone
        unclear = rental.unsettled or rental.ambiguous
        silent = rental.pod is not None and not (contact and contact.reached)
        trusted = contact is not None and self.scene.policy.trusts(contact.guard)
        unarmed = bool(contact and contact.reached and not trusted)
        mute = bool(contact and contact.reached and contact.status is None)
        alive = pod is not None and pod.status is not PodStatus.EXITED
        booting = pod is not None and pod.status not in SETTLED and endpoint_of(pod) is None
        parking = rental.current is None and rental.pod is not None and not rental.parked
        offers = self._quote(rental, now)
        unquoted = offers is None and self._wants_quote(rental)
        return Observation(
            rental=rental,
            now=now,
            listing=self._listing,
            offers=offers,
            contact=contact,
            probing_since=memory.hold("probing", unclear, now),
            pod_since=memory.hold(f"alive {rental.pod}", alive, now),
            booting_since=memory.hold(f"booting {rental.pod}", booting, now),
            owing_since=memory.hold("owing", bool(rental.debts), now),
            parking_since=memory.hold("parking", parking, now),
            silent_since=memory.hold("silent", silent and endpoint_of(pod) is not None, now),
            mute_since=memory.hold("mute", mute, now),
            missing_since=memory.hold(f"missing {rental.pod}", absent, now),
            blind_since=memory.hold("blind", self._listing is None, now),
            guard_since=memory.hold("unarmed", unarmed, now),
            asked=dict(memory.asked),
            listed=frozenset(memory.listed),
            throttled_until=memory.throttled_until,
            throttled_since=memory.throttled_since,
            start_failures=dict(memory.start_failures),
            failures=dict(memory.failures),
            pull_failures=memory.pull_failures,
            held=memory.held,
            retry_at=memory.retry_at,
            bill_retry_at=memory.bill_retry_at,
            wall=self.scene.clock.wall(),
            ready_pulled=memory.ready_pulled,
            booked=self._booked(rental),
            unclosed=self._unclosed(rental),
            paid_until=self._paid_until(rental),
            spent_usd=self._spent(),
            stopped_elsewhere=frozenset(memory.stopped_elsewhere),
            boot_fault=self._boot_fault(rental, pod),
            create_trouble=memory.create_trouble,
            unquoted_since=memory.hold("unquoted", unquoted, now),
            refused=memory.refused,
            order_refused=memory.order_refused,
            max_seconds=self._max_seconds(rental),
            abandoned_since=memory.hold("abandoned", bool(rental.abandon), now),
            cap_usd=self.scene.cap_usd,
        )

    def _max_seconds(self, rental: LeaseState) -> float | None:
        """What the present run's job may take, with its grace to save."""
        if rental.current is None:
            return None
        stage = self.scene.stages[rental.current.run]
        return stage.max_hours * 3600.0 + stage.grace_seconds

    def _booked(self, rental: LeaseState) -> frozenset[str]:
        if rental.pod is None:
            return frozenset()
        found = self.scene.ledger.intervals(pod_id=rental.pod, open_only=True)
        return frozenset(one.pod_id for one in found if one.kind == "compute")

    def _paid_until(self, rental: LeaseState) -> float:
        if rental.pod is None or not rental.parked:
            return 0.0
        return BilledTime(self.scene).paid_until(rental.pod)

    def _unclosed(self, rental: LeaseState) -> frozenset[str]:
        if rental.pod is not None or rental.debts or rental.current is not None:
            return frozenset()
        found = self.scene.ledger.intervals(open_only=True)
        return frozenset(one.pod_id for one in found if one.lease == rental.lease)

    def _spent(self) -> float:
        wall = self.scene.clock.wall()
        return sum(self.scene.ledger.spent(wall, run=run) for run in self.scene.stages)

    def _pod(self, rental: LeaseState) -> Pod | None:
        if self._listing is None or rental.pod is None:
            return None
        return self._listing.get(rental.pod)

    # -- the provider ----------------------------------------------------------------------

    def _list(self, rental: LeaseState, now: float) -> None:
        """A fresh listing whenever something hangs on it; seldom while the agent answers."""
        quiet = rental.pod is not None and not rental.debts and rental.current is not None
        settled = quiet and rental.reached and "silent" not in self.scene.memory.since
        if settled and self._listing is not None and now - self._listing.started < LIST_EVERY:
            return
        if not rental.nonces:
            return
        wall = self.scene.clock.wall()
        try:
            pods = self.scene.provider.list()
        except ProviderError as error:
            self._listing = None
            if error.kind is Kind.REFUSED:
                self.scene.memory.refused = f"{error.what} {error.cause}".strip()
            return
        self.scene.memory.refused = None
        pods = self._with_hidden(rental, pods)
        self._listing = Listing(now, pods)
        self.scene.memory.listed.update(pod.id for pod in pods)
        alive = {pod.id: pod for pod in pods if pod.status in ALIVE}
        ours = (pod for pod in alive.values() if pod.id in rental.pods)
        whole = BilledTime(self.scene).runs_whole
        self.scene.memory.alive = {pod.id: wall for pod in ours if whole(pod)}
        self.scene.memory.alive_before.update(self.scene.memory.alive)
        self.scene.memory.ran.update(alive)
        for pod_id in alive:  # when it was seen stopped was in a life before this one
            self.scene.memory.stopped_at.pop(pod_id, None)
        for pod_id in self.scene.memory.resumed & alive.keys():
            self.scene.memory.resumed.discard(pod_id)  # our order was carried out: what comes
            self.scene.memory.asked.pop(pod_id, None)  # next is not its doing
        for pod in pods:
            if pod.id == rental.pod:
                self.scene.sightings.see(f"pod:{pod.id}", "provider", pod_sighting(pod))

    def _with_hidden(self, rental: LeaseState, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
        """Add pods that we know of, that the listing does not show, and that are there by id."""
        listed = {pod.id for pod in pods}
        known = {rental.pod, *(debt.pod for debt in rental.debts)} - {None} - listed
        found = []
        for pod_id in sorted(one for one in known if one is not None):
            try:
                pod = self.scene.provider.get(pod_id)
            except ProviderError:
                continue  # the listing alone is what there is
            if pod is not None and pod.status is not PodStatus.TERMINATED:
                found.append(pod)
        return (*pods, *found)

    def _quote(self, rental: LeaseState, now: float) -> tuple[Offer, ...] | None:
        if not self._wants_quote(rental):
            return None
        if self._offers is not None and now - self._offers_at < OFFERS_EVERY:
            return self._offers
        try:
            self._offers = self.scene.provider.offers(
                hardware(self.scene.stage_list, self.scene.shape)
            )
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                self.scene.memory.refused = f"{error.what} {error.cause}".strip()
            self._offers = None
        self._offers_at = now
        return self._offers

    def _wants_quote(self, rental: LeaseState) -> bool:
        return rental.pod is None and rental.current is not None

    def _boot_fault(self, rental: LeaseState, pod: Pod | None) -> BootFault | None:
        """Why the host cannot start a pod that was never reached; read every so often."""
        memory, now = self.scene.memory, self.scene.clock.now()
        over = pod is None or pod.status in (PodStatus.EXITED, PodStatus.TERMINATED)
        if pod is None or over or rental.reached:
            return None
        if now - memory.boot_log_at >= self.scene.policy.poll_log or not memory.boot_log_at:
            memory.boot_log_at = now
            try:
                lines = self.scene.provider.system_log(pod.id)
            except ProviderError:
                return memory.boot_faults.get(pod.id)  # it only shortens a wait
            found = boot_log.fault(lines)
            memory.boot_faults = {pod.id: found} if found is not None else {}
            memory.image_digests[pod.id] = boot_log.image_digest(lines)
        return memory.boot_faults.get(pod.id)

    # -- the pod ---------------------------------------------------------------------------

    def _contact(self, rental: LeaseState) -> Contact | None:
        endpoint = self._address(rental)
        if endpoint is None or rental.pod is None or rental.current is None:
            return None
        return self.site.ask(rental.pod, endpoint, rental.current)

    def _address(self, rental: LeaseState) -> Endpoint | None:
        """From the newest listing; the last known one while the provider does not answer."""
        pod = self._pod(rental)
        if self._listing is not None:
            self._endpoint, self._endpoint_pod = endpoint_of(pod), rental.pod
        return self._endpoint if self._endpoint_pod == rental.pod else None


def endpoint_of(pod: Pod | None) -> Endpoint | None:
    """Where to connect, once the pod is ready."""
    return pod.endpoint if pod is not None and pod.ready else None
