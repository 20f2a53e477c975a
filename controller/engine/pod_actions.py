"""Orders to pods and the facts about them that the ledger needs: one method per action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from controller.engine.listed_pods import ListedPods
from controller.engine.outcomes import (
    ActionFailed,
    BilledUse,
    CreateFailed,
    GenerationOpened,
    LeaseOutcome,
    OrderAccepted,
    OrderFailed,
    PodGone,
    PodKeptWarm,
    PodParked,
    PodReached,
    PodStarted,
    PodTerminated,
    UnguardedDecision,
)
from controller.engine.stop_cause import stopped_by_user
from controller.errors import PodctlError
from controller.planner import actions, pod_spec
from controller.planner.actions import Action
from controller.planner.observation import STALE
from controller.providers.base import Kind, Offer, Pod, PodSpec, ProviderError
from controller.providers.pod_status import endpoint_of
from remote.contract import GuardLimits

UNSENT_PAUSE = 5.0  # seconds before a create that never left this machine is tried again
NO_HINT_PAUSE = 15.0  # seconds, when a 429 does not say how long
UNLISTED = 120.0  # seconds after which a pod that was seen alive may have ended by itself


@dataclass
class PodActions(ListedPods):
    """Creates, starts, stops and terminates pods."""

    # -- create and adopt --------------------------------------------------------------------

    def open_generation(self, _: actions.OpenGeneration) -> LeaseOutcome:
        return GenerationOpened(self.context.draw_nonce())

    def create(self, action: actions.Create) -> LeaseOutcome:
        spec = self._pod_spec(action.offer)
        try:
            pod = self.context.provider.create(spec)
        except ProviderError as error:
            return self._create_failed(error)
        self.process.throttle.clear()
        return replace(self._billing(pod), hard_cap=self._guard_limits().hard_cap)

    def _guard_limits(self) -> GuardLimits:
        context = self.context
        boot_grace = context.policy.boot + 900.0
        return context.limits or pod_spec.guard_limits(
            context.stage_list, context.shape, boot_grace
        )

    def _pod_spec(self, offer: Offer) -> PodSpec:
        context, nonce = self.context, self.context.lease_state().nonce
        assert nonce is not None
        return pod_spec.pod_spec(
            context.stage_list,
            offer,
            context.shape,
            nonce=nonce,
            owner=context.owner,
            public_key=context.public_key,
            args=context.bootstrap,
            limits=self._guard_limits(),
        )

    def _create_failed(self, error: ProviderError) -> LeaseOutcome:
        kind = {Kind.CAPACITY: "capacity", Kind.REFUSED: "refused"}.get(error.kind, "later")
        why = f"{error.what} {error.cause}; {error.hint if kind == 'refused' else ''}".strip("; ")
        if kind != "later":
            self.process.throttle.clear()
            if kind == "capacity":
                self.process.throttle.capacity_refused_at = self.context.clock.now()
            return CreateFailed(why, kind)
        if error.kind in (Kind.THROTTLED, Kind.OUTAGE):
            self._postpone_create(why, error.retry_after or NO_HINT_PAUSE)
        elif not error.sent:
            self._postpone_create(why, UNSENT_PAUSE)
        else:
            kind = "ambiguous"
            # The pod may show up within a settle window that starts now.
            self.process.conditions.restart("probing")
            self._postpone_create(why, 0.0)
        return CreateFailed(why, kind)

    def _postpone_create(self, why: str, pause: float) -> None:
        self.process.throttle.postpone(why, self.context.clock.now(), pause)

    def ask_offers_again(self, _: actions.AskAgain) -> LeaseOutcome:
        return LeaseOutcome()

    def adopt(self, action: actions.Adopt) -> LeaseOutcome:
        billing = self._billing(self._listed(action.pod))
        return replace(billing, hard_cap=self._guard_limits().hard_cap)

    def record_pod(self, action: actions.RecordPod) -> LeaseOutcome:
        return self._billing(self._listed(action.pod))

    # -- terminate, stop and start -------------------------------------------------------------

    def terminate(self, action: actions.Terminate) -> LeaseOutcome:
        order = self._order(action.pod, self.context.provider.terminate)
        if not isinstance(order, OrderAccepted):
            return order
        self.runtime.drop()
        return PodTerminated(
            unknown=order.unknown,
            seen_alive=self._seen_alive(action.pod) and not order.unknown,
            interrupted=self.interrupted(action.pod) or self._listing_age() > STALE,
            at=self.context.clock.wall(),
        )

    def keep_warm(self, action: actions.KeepWarm) -> LeaseOutcome:
        """Ask the pod's guard to end it in time. Whatever hinders that ends the pod at once."""
        endpoint = endpoint_of(self._in_listing(action.pod))
        if endpoint is None:
            return ActionFailed("the pod has no address")
        asked = self.context.clock.wall()
        try:
            seconds = self.runtime.keep_warm(
                action.pod, endpoint, action.after, action.seconds, action.then
            )
        except PodctlError as error:
            return ActionFailed(f"{error.what}: {error.cause}".rstrip(": "))
        return PodKeptWarm(asked + seconds)

    def stop_pod(self, action: actions.StopPod) -> LeaseOutcome:
        order = self._order(action.pod, self.context.provider.stop)
        if not order.failed and self._seen_alive(action.pod):
            self.process.orders.ended_at[action.pod] = self.context.clock.wall()
        self.runtime.drop()
        return order

    def _seen_alive(self, pod: str) -> bool:
        """Whether the pod billed a moment ago, so that the accepted order is what ends it.

        Call it after the order: this machine may have been suspended during the request.
        """
        seen = self.process.sightings.billing.get(pod, 0.0)
        return self.context.clock.wall() - seen < UNLISTED

    def start_pod(self, action: actions.StartPod) -> LeaseOutcome:
        self.process.sightings.stopped_at.pop(action.pod, None)
        order = self._order(action.pod, self.context.provider.start)
        late = action.late or self._listing_age() > STALE
        if isinstance(order, OrderFailed):
            self.process.orders.start_failed(action.pod)
            return replace(order, late=late)
        self.process.orders.start_accepted(action.pod)
        self.runtime.drop()
        pod = self._refreshed(action.pod)
        # The provider's time if it states one: this machine may have been suspended since.
        started_at = min(max(action.at, pod.started_at or 0.0), self.context.clock.wall())
        return PodStarted(replace(self._billing(pod), started_at=started_at), late)

    def _refreshed(self, pod_id: str) -> Pod:
        """The pod as the provider has it now; the listed one when the provider does not answer."""
        try:
            return self.context.provider.get(pod_id) or self._listed(pod_id)
        except ProviderError:
            return self._listed(pod_id)

    def record_restart(self, action: actions.RecordRestart) -> LeaseOutcome:
        pod = self._listed(action.pod)
        billing = self._billing(pod)
        return replace(billing, started_at=self.billed_time.start_of(pod))

    def _order(self, pod: str, send: Callable[[str], object]) -> OrderAccepted | OrderFailed:
        """Send a terminate, stop or start; remembers a refusal for good, which ends the drive."""
        orders = self.process.orders
        outcome: OrderAccepted | OrderFailed
        try:
            outcome = OrderAccepted(unknown=send(pod) is False)
            orders.refused = None
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                orders.refused = f"{error.what} {error.cause}".strip()
            outcome = OrderFailed(error.what, str(error.kind))
        orders.sent_at[pod] = self.context.clock.now()
        return outcome

    # -- confirm and reconcile -------------------------------------------------------------------

    def confirm_gone(self, action: actions.ConfirmGone) -> LeaseOutcome:
        run, stage = self._current_run()
        meddled = self.context.lease_state().meddled
        try:
            ended_at = self.billed_time.end_of(action.pod)
            missed = self.billed_time.unattributed(action.pod, ended_at, meddled=meddled)
        except ProviderError as error:
            return self._bill_missing(error)
        use = BilledUse(**vars(missed), for_run=run, stage=stage) if missed else None
        return PodGone(ended_at, use)

    def confirm_parked(self, action: actions.ConfirmParked) -> LeaseOutcome:
        run, stage = self._current_run()
        interrupted = self.interrupted(action.pod)
        try:
            ended_at = self.billed_time.end_of(action.pod, interrupted=interrupted)
        except ProviderError as error:
            return self._bill_missing(error)
        if stopped_by_user(self.context, action.pod):
            self.process.sightings.stopped_elsewhere.add(action.pod)
        return PodParked(ended_at, run, stage, self._listed(action.pod).volume_gb)

    def reconcile_billing(self, action: actions.ReconcileBilling) -> LeaseOutcome:
        run, stage = self._current_run()
        try:
            hours = self.billed_time.missed_hours(action.pod, action.since)
        except ProviderError as error:
            return self._bill_missing(error)
        rate = self.context.lease_state().quoted_usd_per_hour
        return BilledUse(action.since, action.since + hours * 3600.0, rate, run, stage)

    def _bill_missing(self, error: ProviderError) -> LeaseOutcome:
        """The bill does not have the answer yet; the planner asks again after a pause."""
        self.billed_time.ask_later()
        return ActionFailed(error.what)

    def mark_reached(self, action: actions.MarkReached) -> LeaseOutcome:
        pod = self._in_listing(action.pod)
        digest = self.process.boot_logs.image_digests.get(action.pod) or None
        if pod is None or pod.started_at is None:
            return PodReached(image_digest=digest)
        return PodReached(self.billed_time.began(pod), digest)

    def ask_unguarded(self, action: actions.AskUnguarded) -> LeaseOutcome:
        accepted = self.context.accept_unguarded(action.detail)
        why = f"the guard is not armed, so the worst case has no bound: {action.detail}"
        return UnguardedDecision(accepted, why)


POD_ACTIONS: dict[type[Action], Callable[..., LeaseOutcome]] = {
    actions.OpenGeneration: PodActions.open_generation,
    actions.Create: PodActions.create,
    actions.AskAgain: PodActions.ask_offers_again,
    actions.RecordPod: PodActions.record_pod,
    actions.Adopt: PodActions.adopt,
    actions.Terminate: PodActions.terminate,
    actions.KeepWarm: PodActions.keep_warm,
    actions.StopPod: PodActions.stop_pod,
    actions.RecordRestart: PodActions.record_restart,
    actions.ReconcileBilling: PodActions.reconcile_billing,
    actions.StartPod: PodActions.start_pod,
    actions.ConfirmGone: PodActions.confirm_gone,
    actions.ConfirmParked: PodActions.confirm_parked,
    actions.MarkReached: PodActions.mark_reached,
    actions.AskUnguarded: PodActions.ask_unguarded,
}
