"""What is ordered of pods, and what it says of money: one method an action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller.engine.billed_time import BilledTime
from controller.engine.job_runtime import JobRuntime
from controller.engine.lease_context import LeaseContext
from controller.engine.loop import LeaseOutcome
from controller.planner import actions
from controller.planner import pod_spec as order
from controller.planner.actions import Action
from controller.planner.observation import STALE, Observation
from controller.providers.base import Kind, Offer, Pod, PodStatus, ProviderError

UNSENT_PAUSE = 5.0  # seconds before a create that never left is tried again
NO_HINT_PAUSE = 15.0  # seconds, when a 429 does not say how long
GUARD_STOPS = "PODCTL-GUARD stopping this pod"  # as remote/guard.py says it
GUARD_LINES = 50  # of the log's end, in which a guard that stopped its pod has said so
UNLISTED = 120.0  # seconds after which a pod that was seen alive may have ended by itself
BY_USER = "by user"  # as the provider's `lastStatusChange` has it


@dataclass
class PodActions:
    """Rents, starts, stops and ends pods, and finds out what the ledger has to know of it."""

    context: LeaseContext
    site: JobRuntime
    observation: Observation | None = None  # the look on which is acted

    @property
    def reckoning(self) -> BilledTime:
        return BilledTime(self.context)

    def open_generation(self, _: actions.OpenGeneration) -> LeaseOutcome:
        return LeaseOutcome(data={"nonce": self.context.draw_nonce()})

    def create(self, action: actions.Create) -> LeaseOutcome:
        spec = self._pod_spec(action.offer)
        try:
            pod = self.context.provider.create(spec)
        except ProviderError as error:
            return self._no_pod(error)
        self.context.memory.throttled_since = None
        return LeaseOutcome(data=self._bill(pod))

    def _pod_spec(self, offer: Offer) -> Any:
        context, nonce = self.context, self.context.lease_state().nonce
        assert nonce is not None
        usual = order.guard_limits(context.stage_list, context.shape, context.policy.boot + 900.0)
        return order.pod_spec(
            context.stage_list,
            offer,
            context.shape,
            nonce=nonce,
            owner=context.owner,
            public_key=context.public_key,
            args=context.bootstrap,
            limits=context.limits or usual,
        )

    def _no_pod(self, error: ProviderError) -> LeaseOutcome:
        kind = {Kind.CAPACITY: "capacity", Kind.REFUSED: "refused"}.get(error.kind, "later")
        why = f"{error.what} {error.cause}; {error.hint if kind == 'refused' else ''}".strip("; ")
        if error.kind in (Kind.THROTTLED, Kind.OUTAGE):
            self._create_later(why, error.retry_after or NO_HINT_PAUSE)
        elif kind == "later" and not error.sent:
            self._create_later(why, UNSENT_PAUSE)
        elif kind == "later":
            kind = "ambiguous"
            # The window in which it may still show begins now, whatever was looked for before.
            self.context.memory.since.pop("probing", None)
            self._create_later(why, 0.0)
        else:
            self.context.memory.throttled_since = None
        return LeaseOutcome("fail", {"kind": kind, "why": why})

    def _create_later(self, why: str, pause: float) -> None:
        """Not at once, and not for ever: how long no create was taken is remembered."""
        memory, now = self.context.memory, self.context.clock.now()
        memory.create_trouble = why
        memory.throttled_until = now + pause
        if memory.throttled_since is None:
            memory.throttled_since = now

    def adopt(self, action: actions.Adopt) -> LeaseOutcome:
        return LeaseOutcome(data=self._bill(self._listed(action.pod)))

    def account(self, action: actions.RecordPod) -> LeaseOutcome:
        return LeaseOutcome(data=self._bill(self._listed(action.pod)))

    def _bill(self, pod: Pod) -> dict[str, Any]:
        """What the ledger needs to know of a pod that begins to bill."""
        run, stage = self._serving()
        rate = pod.usd_per_hour
        if not rate:  # billed as quoted, not as free
            rate = self.context.lease_state().quoted_usd_per_hour
            booked = f"it is booked at the quoted ${rate:.4f}/h" if rate else "its bill will tell"
            if pod.status is not PodStatus.EXITED:
                self.context.tell(f"no price that makes sense is stated for pod {pod.id}: {booked}")
        return {
            "pod": pod.id,
            "usd_per_hour": rate,
            "disk_gb": pod.disk_gb,
            "volume_gb": pod.volume_gb,
            "network_volume": pod.network_volume_id,
            "started_at": pod.created_at or self.context.clock.wall(),
            "for_run": run,
            "stage": stage,
        }

    def _serving(self) -> tuple[str, str]:
        """The run and stage that the pod's time is for: the current one, or the last."""
        lease_state = self.context.lease_state()
        run = lease_state.current or lease_state.runs[-1]
        return run.run, run.stage

    def _listed(self, pod_id: str) -> Pod:
        pod = self._in_listing(pod_id)
        assert pod is not None, "the plan acts on listed pods only"
        return pod

    def terminate(self, action: actions.Terminate) -> LeaseOutcome:
        outcome = self._ask(action.pod, self.context.provider.terminate)
        if outcome.phase == "fail":
            return outcome
        self.site.drop()
        alive = self._seen_alive(action.pod) and not outcome.data.get("unknown")
        interrupted = self.interrupted(action.pod) or self._looked() > STALE
        found = {"at": self.context.clock.wall(), "seen_alive": alive, "interrupted": interrupted}
        return LeaseOutcome(data=outcome.data | found)

    def stop_pod(self, action: actions.StopPod) -> LeaseOutcome:
        outcome = self._ask(action.pod, self.context.provider.stop)
        if outcome.phase == "done" and self._seen_alive(action.pod):
            self.context.memory.ended[action.pod] = self.context.clock.wall()
        self.site.drop()
        return outcome

    def _seen_alive(self, pod: str) -> bool:
        """Whether the pod billed a moment ago: then an order that was just taken is what ends it.

        Asked after the order: our clock may have slept in the middle of it.
        """
        return self.context.clock.wall() - self.context.memory.alive.get(pod, 0.0) < UNLISTED

    def interrupted(self, pod_id: str) -> bool:
        """Whether somebody else stopped and started the pod since it first answered."""
        pod = self._in_listing(pod_id)
        return pod is not None and self.reckoning.interrupted(pod)

    def start_pod(self, action: actions.StartPod) -> LeaseOutcome:
        self.context.memory.stopped_at.pop(action.pod, None)
        outcome = self._ask(action.pod, self.context.provider.start)
        late = {"late": action.late or self._looked() > STALE}
        if outcome.phase == "fail":
            failures = self.context.memory.start_failures
            failures[action.pod] = failures.get(action.pod, 0) + 1
            return LeaseOutcome("fail", outcome.data | late)
        self.context.memory.start_failures.pop(action.pod, None)
        self.context.memory.resumed.add(action.pod)
        self.site.drop()
        pod = self._fresh(action.pod)
        # By the provider where it tells; our own clock may have slept since the order.
        started_at = min(max(action.at, pod.started_at or 0.0), self.context.clock.wall())
        return LeaseOutcome(data=self._bill(pod) | {"started_at": started_at} | late)

    def _looked(self) -> float:
        """Seconds since the listing on which is acted: a lid may have been closed since then."""
        listing = self.observation.listing if self.observation is not None else None
        return self.context.clock.now() - listing.started if listing is not None else 0.0

    def _fresh(self, pod_id: str) -> Pod:
        """The pod as it is now; as the listing had it where the provider does not answer."""
        try:
            return self.context.provider.get(pod_id) or self._listed(pod_id)
        except ProviderError:
            return self._listed(pod_id)

    def resumed(self, action: actions.RecordRestart) -> LeaseOutcome:
        pod = self._listed(action.pod)
        return LeaseOutcome(data=self._bill(pod) | {"started_at": self.reckoning.start_of(pod)})

    def _ask(self, pod: str, verb: Callable[[str], object]) -> LeaseOutcome:
        """Terminate, stop or start; a refusal of the account itself ends the drive."""
        try:
            outcome = LeaseOutcome(data={"unknown": verb(pod) is False})  # 404, to a terminate
            self.context.memory.order_refused = None
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                self.context.memory.order_refused = f"{error.what} {error.cause}".strip()
            outcome = LeaseOutcome("fail", {"why": error.what, "kind": str(error.kind)})
        self.context.memory.asked[pod] = self.context.clock.now()
        return outcome

    def confirm_gone(self, action: actions.ConfirmGone) -> LeaseOutcome:
        run, stage = self._serving()
        try:
            ended_at = self.reckoning.end_of(action.pod)
            meddled = self.context.lease_state().meddled
            missed = self.reckoning.unfollowed(action.pod, ended_at, meddled=meddled)
        except ProviderError as error:
            return self._bill_is_silent(error)
        served = vars(missed) | {"for_run": run, "stage": stage} if missed else {}
        return LeaseOutcome(data={"ended_at": ended_at} | served)

    def confirm_parked(self, action: actions.ConfirmParked) -> LeaseOutcome:
        run, stage = self._serving()
        try:
            ended_at = self.reckoning.end_of(action.pod, interrupted=self.interrupted(action.pod))
        except ProviderError as error:
            return self._bill_is_silent(error)
        if self._stopped_elsewhere(action.pod):
            self.context.memory.stopped_elsewhere.add(action.pod)
        found = {"ended_at": ended_at, "for_run": run, "stage": stage}
        return LeaseOutcome(data=found | {"volume_gb": self._listed(action.pod).volume_gb})

    def reckon(self, action: actions.ReconcileBilling) -> LeaseOutcome:
        run, stage = self._serving()
        try:
            hours = self.reckoning.missed_hours(action.pod, action.since)
        except ProviderError as error:
            return self._bill_is_silent(error)
        rate = self.context.lease_state().quoted_usd_per_hour
        found = {"since": action.since, "until": action.since + hours * 3600.0}
        return LeaseOutcome(data=found | {"for_run": run, "stage": stage, "usd_per_hour": rate})

    def _bill_is_silent(self, error: ProviderError) -> LeaseOutcome:
        """What only the bill can tell is asked again, for as long as we bear a silent provider."""
        self.reckoning.ask_later()
        return LeaseOutcome("fail", {"why": error.what})

    def _stopped_elsewhere(self, pod: str) -> bool:
        """Whether a person stopped it under us, and not its guard; a doubt is no such person.

        What was stopped before this command began is what the command is to carry on.
        """
        memory = self.context.memory
        if pod in memory.asked or pod not in memory.ran:
            return False
        try:
            log = self.context.provider.container_log(pod)
            by_guard = any(GUARD_STOPS in line for line in log[-GUARD_LINES:])
            return not by_guard and BY_USER in self.context.provider.last_change(pod).lower()
        except ProviderError:
            return False

    def mark_reached(self, action: actions.MarkReached) -> LeaseOutcome:
        pod = self._in_listing(action.pod)
        digest = self.context.memory.image_digests.get(action.pod, "")
        told = {"image_digest": digest} if digest else {}
        if pod is None or pod.started_at is None:
            return LeaseOutcome(data=told)
        return LeaseOutcome(data={"started_at": self.reckoning.began(pod)} | told)

    def _in_listing(self, pod_id: str) -> Pod | None:
        listing = self.observation.listing if self.observation is not None else None
        return listing.get(pod_id) if listing is not None else None

    def ask_unguarded(self, action: actions.AskUnguarded) -> LeaseOutcome:
        accepted = self.context.accept_unguarded(action.detail)
        why = f"the guard is not armed, so the worst case has no bound: {action.detail}"
        return LeaseOutcome(data={"accepted": accepted, "why": why})


POD_ORDERS: dict[type[Action], Callable[..., LeaseOutcome]] = {
    actions.OpenGeneration: PodActions.open_generation,
    actions.Create: PodActions.create,
    actions.RecordPod: PodActions.account,
    actions.Adopt: PodActions.adopt,
    actions.Terminate: PodActions.terminate,
    actions.StopPod: PodActions.stop_pod,
    actions.RecordRestart: PodActions.resumed,
    actions.ReconcileBilling: PodActions.reckon,
    actions.StartPod: PodActions.start_pod,
    actions.ConfirmGone: PodActions.confirm_gone,
    actions.ConfirmParked: PodActions.confirm_parked,
    actions.MarkReached: PodActions.mark_reached,
    actions.AskUnguarded: PodActions.ask_unguarded,
}
