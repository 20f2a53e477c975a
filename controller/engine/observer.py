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

    context: LeaseContext
    site: JobRuntime
    _listing: Listing | None = None
    _offers: tuple[Offer, ...] | None = None
    _offers_at: float = 0.0
    _endpoint: Endpoint | None = None
    _endpoint_pod: str | None = None

    def look(self) -> Observation:
        lease_state = self.context.lease_state()
        memory, now = self.context.memory, self.context.clock.now()
        self._list(lease_state, now)
        contact = self._contact(lease_state)
        if contact and contact.status and contact.status.state == "running":
            memory.alive_at = self.context.clock.wall()
        now = self.context.clock.now()
        pod = self._pod(lease_state)
        gone = pod is None or pod.status is PodStatus.TERMINATED
        absent = self._listing is not None and lease_state.pod is not None and gone
        unclear = lease_state.unsettled or lease_state.ambiguous
        silent = lease_state.pod is not None and not (contact and contact.reached)
        trusted = contact is not None and self.context.policy.trusts(contact.guard)
        unarmed = bool(contact and contact.reached and not trusted)
        mute = bool(contact and contact.reached and contact.status is None)
        alive = pod is not None and pod.status is not PodStatus.EXITED
        booting = pod is not None and pod.status not in SETTLED and endpoint_of(pod) is None
        parking = (
            lease_state.current is None and lease_state.pod is not None and not lease_state.parked
        )
        offers = self._quote(lease_state, now)
        unquoted = offers is None and self._wants_quote(lease_state)
        return Observation(
            lease=lease_state,
            now=now,
            listing=self._listing,
            offers=offers,
            contact=contact,
            probing_since=memory.hold("probing", unclear, now),
            pod_since=memory.hold(f"alive {lease_state.pod}", alive, now),
            booting_since=memory.hold(f"booting {lease_state.pod}", booting, now),
            owing_since=memory.hold("owing", bool(lease_state.debts), now),
            parking_since=memory.hold("parking", parking, now),
            silent_since=memory.hold("silent", silent and endpoint_of(pod) is not None, now),
            mute_since=memory.hold("mute", mute, now),
            missing_since=memory.hold(f"missing {lease_state.pod}", absent, now),
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
            wall=self.context.clock.wall(),
            ready_pulled=memory.ready_pulled,
            booked=self._booked(lease_state),
            unclosed=self._unclosed(lease_state),
            paid_until=self._paid_until(lease_state),
            spent_usd=self._spent(),
            stopped_elsewhere=frozenset(memory.stopped_elsewhere),
            boot_fault=self._boot_fault(lease_state, pod),
            create_trouble=memory.create_trouble,
            unquoted_since=memory.hold("unquoted", unquoted, now),
            refused=memory.refused,
            order_refused=memory.order_refused,
            max_seconds=self._max_seconds(lease_state),
            abandoned_since=memory.hold("abandoned", bool(lease_state.abandon), now),
            cap_usd=self.context.cap_usd,
        )

    def _max_seconds(self, lease_state: LeaseState) -> float | None:
        """What the present run's job may take, with its grace to save."""
        if lease_state.current is None:
            return None
        stage = self.context.stages[lease_state.current.run]
        return stage.max_hours * 3600.0 + stage.grace_seconds

    def _booked(self, lease_state: LeaseState) -> frozenset[str]:
        if lease_state.pod is None:
            return frozenset()
        found = self.context.ledger.intervals(pod_id=lease_state.pod, open_only=True)
        return frozenset(one.pod_id for one in found if one.kind == "compute")

    def _paid_until(self, lease_state: LeaseState) -> float:
        if lease_state.pod is None or not lease_state.parked:
            return 0.0
        return BilledTime(self.context).paid_until(lease_state.pod)

    def _unclosed(self, lease_state: LeaseState) -> frozenset[str]:
        if lease_state.pod is not None or lease_state.debts or lease_state.current is not None:
            return frozenset()
        found = self.context.ledger.intervals(open_only=True)
        return frozenset(one.pod_id for one in found if one.lease == lease_state.lease)

    def _spent(self) -> float:
        wall = self.context.clock.wall()
        return sum(self.context.ledger.spent(wall, run=run) for run in self.context.stages)

    def _pod(self, lease_state: LeaseState) -> Pod | None:
        if self._listing is None or lease_state.pod is None:
            return None
        return self._listing.get(lease_state.pod)

    # -- the provider ----------------------------------------------------------------------

    def _list(self, lease_state: LeaseState, now: float) -> None:
        """A fresh listing whenever something hangs on it; seldom while the agent answers."""
        quiet = (
            lease_state.pod is not None
            and not lease_state.debts
            and lease_state.current is not None
        )
        settled = quiet and lease_state.reached and "silent" not in self.context.memory.since
        if settled and self._listing is not None and now - self._listing.started < LIST_EVERY:
            return
        if not lease_state.nonces:
            return
        wall = self.context.clock.wall()
        try:
            pods = self.context.provider.list()
        except ProviderError as error:
            self._listing = None
            if error.kind is Kind.REFUSED:
                self.context.memory.refused = f"{error.what} {error.cause}".strip()
            return
        self.context.memory.refused = None
        pods = self._with_hidden(lease_state, pods)
        self._listing = Listing(now, pods)
        self.context.memory.listed.update(pod.id for pod in pods)
        alive = {pod.id: pod for pod in pods if pod.status in ALIVE}
        ours = (pod for pod in alive.values() if pod.id in lease_state.pods)
        whole = BilledTime(self.context).runs_whole
        self.context.memory.alive = {pod.id: wall for pod in ours if whole(pod)}
        self.context.memory.alive_before.update(self.context.memory.alive)
        self.context.memory.ran.update(alive)
        for pod_id in alive:  # when it was seen stopped was in a life before this one
            self.context.memory.stopped_at.pop(pod_id, None)
        for pod_id in self.context.memory.resumed & alive.keys():
            self.context.memory.resumed.discard(pod_id)  # our order was carried out: what comes
            self.context.memory.asked.pop(pod_id, None)  # next is not its doing
        for pod in pods:
            if pod.id == lease_state.pod:
                self.context.sightings.see(f"pod:{pod.id}", "provider", pod_sighting(pod))

    def _with_hidden(self, lease_state: LeaseState, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
        """Add pods that we know of, that the listing does not show, and that are there by id."""
        listed = {pod.id for pod in pods}
        known = {lease_state.pod, *(debt.pod for debt in lease_state.debts)} - {None} - listed
        found = []
        for pod_id in sorted(one for one in known if one is not None):
            try:
                pod = self.context.provider.get(pod_id)
            except ProviderError:
                continue  # the listing alone is what there is
            if pod is not None and pod.status is not PodStatus.TERMINATED:
                found.append(pod)
        return (*pods, *found)

    def _quote(self, lease_state: LeaseState, now: float) -> tuple[Offer, ...] | None:
        if not self._wants_quote(lease_state):
            return None
        if self._offers is not None and now - self._offers_at < OFFERS_EVERY:
            return self._offers
        try:
            self._offers = self.context.provider.offers(
                hardware(self.context.stage_list, self.context.shape)
            )
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                self.context.memory.refused = f"{error.what} {error.cause}".strip()
            self._offers = None
        self._offers_at = now
        return self._offers

    def _wants_quote(self, lease_state: LeaseState) -> bool:
        return lease_state.pod is None and lease_state.current is not None

    def _boot_fault(self, lease_state: LeaseState, pod: Pod | None) -> BootFault | None:
        """Why the host cannot start a pod that was never reached; read every so often."""
        memory, now = self.context.memory, self.context.clock.now()
        over = pod is None or pod.status in (PodStatus.EXITED, PodStatus.TERMINATED)
        if pod is None or over or lease_state.reached:
            return None
        if now - memory.boot_log_at >= self.context.policy.poll_log or not memory.boot_log_at:
            memory.boot_log_at = now
            try:
                lines = self.context.provider.system_log(pod.id)
            except ProviderError:
                return memory.boot_faults.get(pod.id)  # it only shortens a wait
            found = boot_log.fault(lines)
            memory.boot_faults = {pod.id: found} if found is not None else {}
            memory.image_digests[pod.id] = boot_log.image_digest(lines)
        return memory.boot_faults.get(pod.id)

    # -- the pod ---------------------------------------------------------------------------

    def _contact(self, lease_state: LeaseState) -> Contact | None:
        endpoint = self._address(lease_state)
        if endpoint is None or lease_state.pod is None or lease_state.current is None:
            return None
        return self.site.ask(lease_state.pod, endpoint, lease_state.current)

    def _address(self, lease_state: LeaseState) -> Endpoint | None:
        """From the newest listing; the last known one while the provider does not answer."""
        pod = self._pod(lease_state)
        if self._listing is not None:
            self._endpoint, self._endpoint_pod = endpoint_of(pod), lease_state.pod
        return self._endpoint if self._endpoint_pod == lease_state.pod else None


def endpoint_of(pod: Pod | None) -> Endpoint | None:
    """Where to connect, once the pod is ready."""
    return pod.endpoint if pod is not None and pod.ready else None
