"""Hands: every effect of the loop, one method an action. What goes wrong becomes an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from controller import actions, order
from controller.actions import Action
from controller.errors import ConnectionLost, PodctlError
from controller.loop import Outcome
from controller.observe import Eyes
from controller.observed import Observed
from controller.providers import Kind, Offer, Pod, ProviderError
from controller.scene import Scene
from controller.site import Site

UNSENT_PAUSE = 5.0  # seconds before a create that never left is tried again
NO_HINT_PAUSE = 15.0  # seconds, when a 429 does not say how long
PULL_PAUSE = 5.0  # seconds before an incomplete pull is tried again


@dataclass
class Hands:
    """The World of the loop: its eyes, and what it does."""

    scene: Scene
    site: Site
    eyes: Eyes
    _seen: Observed | None = None

    def look(self) -> Observed:
        self._seen = self.eyes.look()
        return self._seen

    def perform(self, action: Action) -> Outcome:
        return _METHODS[type(action)](self, action)

    # -- pods ------------------------------------------------------------------------------

    def open_generation(self, _: actions.OpenGeneration) -> Outcome:
        return Outcome(data={"nonce": self.scene.draw_nonce()})

    def create(self, action: actions.Create) -> Outcome:
        spec = self._pod_spec(action.offer)
        try:
            pod = self.scene.provider.create(spec)
        except ProviderError as error:
            return self._no_pod(error)
        return Outcome(data=self._bill(pod))

    def _pod_spec(self, offer: Offer) -> Any:
        scene, nonce = self.scene, self.scene.rental().nonce
        assert nonce is not None
        limits = order.guard_limits(scene.stage_list, scene.policy.boot + 900.0)
        return order.pod_spec(
            scene.stage_list,
            offer,
            scene.shape,
            nonce=nonce,
            owner=scene.owner,
            public_key=scene.public_key,
            args=scene.bootstrap,
            limits=limits,
        )

    def _no_pod(self, error: ProviderError) -> Outcome:
        why = f"{error.what} {error.cause}".strip()
        kind = {Kind.CAPACITY: "capacity", Kind.REFUSED: "refused"}.get(error.kind, "later")
        now = self.scene.clock.now()
        if error.kind is Kind.THROTTLED:
            self.scene.memory.throttled_until = now + (error.retry_after or NO_HINT_PAUSE)
        elif kind == "later" and error.sent:
            kind = "ambiguous"
        elif kind == "later":
            self.scene.memory.throttled_until = now + UNSENT_PAUSE
        return Outcome("fail", {"kind": kind, "why": why})

    def adopt(self, action: actions.Adopt) -> Outcome:
        return Outcome(data=self._bill(self._listed(action.pod)))

    def account(self, action: actions.Account) -> Outcome:
        return Outcome(data=self._bill(self._listed(action.pod)))

    def _bill(self, pod: Pod) -> dict[str, Any]:
        """What the ledger needs to know of a pod that begins to bill."""
        run, stage = self._serving()
        return {
            "pod": pod.id,
            # A reply without a price is billed as quoted, not as free.
            "usd_per_hour": pod.usd_per_hour or self.scene.rental().quoted_usd_per_hour,
            "disk_gb": pod.disk_gb,
            "volume_gb": pod.volume_gb,
            "network_volume": pod.network_volume_id,
            "started_at": pod.created_at or self.scene.clock.wall(),
            "for_run": run,
            "stage": stage,
        }

    def _serving(self) -> tuple[str, str]:
        """The run and stage that the pod's time is for: the current one, or the last."""
        rental = self.scene.rental()
        run = rental.current or rental.runs[-1]
        return run.run, run.stage

    def _listed(self, pod_id: str) -> Pod:
        assert self._seen is not None
        assert self._seen.listing is not None
        pod = self._seen.listing.get(pod_id)
        assert pod is not None, "the plan acts on listed pods only"
        return pod

    def terminate(self, action: actions.Terminate) -> Outcome:
        outcome = self._ask(action.pod, self.scene.provider.terminate)
        if outcome.phase == "done":
            self.scene.memory.ended[action.pod] = self.scene.clock.wall()
            self.site.drop()
        return outcome

    def stop_pod(self, action: actions.StopPod) -> Outcome:
        outcome = self._ask(action.pod, self.scene.provider.stop)
        if outcome.phase == "done":
            self.scene.memory.ended[action.pod] = self.scene.clock.wall()
            self.site.drop()
        return outcome

    def start_pod(self, action: actions.StartPod) -> Outcome:
        outcome = self._ask(action.pod, self.scene.provider.start)
        if outcome.phase == "fail":
            return outcome
        self.site.drop()
        at = self.scene.clock.wall()
        pod = self.scene.provider.get(action.pod) or self._listed(action.pod)
        return Outcome(data=self._bill(pod) | {"started_at": at})

    def _ask(self, pod: str, verb: Callable[[str], None]) -> Outcome:
        """Terminate, stop or start; a refusal of the account itself ends the drive."""
        try:
            verb(pod)
            outcome = Outcome()
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                self.scene.memory.refused = f"{error.what} {error.cause}".strip()
            outcome = Outcome("fail", {"why": error.what, "kind": str(error.kind)})
        self.scene.memory.asked[pod] = self.scene.clock.now()
        return outcome

    def confirm_gone(self, action: actions.ConfirmGone) -> Outcome:
        return Outcome(data={"ended_at": self._end_of(action.pod)})

    def confirm_parked(self, action: actions.ConfirmParked) -> Outcome:
        run, stage = self._serving()
        found = {"ended_at": self._end_of(action.pod), "for_run": run, "stage": stage}
        return Outcome(data=found | {"volume_gb": self._listed(action.pod).volume_gb})

    def _end_of(self, pod: str) -> float:
        """When the provider took our word; else, for an end without us, as its bill has it."""
        if pod in self.scene.memory.ended:
            return self.scene.memory.ended[pod]
        return self._billed_until(pod) or self.scene.clock.wall()

    def _billed_until(self, pod: str) -> float | None:
        """The end of the open compute interval by the provider's bill; None when it says nothing.

        The bill may be late: then the interval ends too early, and `cost --reconcile` says so.
        """
        intervals = self.scene.ledger.intervals(pod_id=pod)
        compute = [one for one in intervals if one.kind == "compute"]
        last = next((one for one in compute if one.open), None)
        now = self.scene.clock.wall()
        if last is None or last.usd_per_hour <= 0:
            return None
        try:
            records = self.scene.provider.billing(compute[0].started_at - 3600.0, now + 3600.0)
        except ProviderError:
            return None
        billed = sum(one.compute_usd for one in records if one.pod_id == pod)
        booked = sum(
            one.duration_ms(0) * one.usd_per_hour / 3_600_000 for one in compute if not one.open
        )
        hours = (billed - booked) / last.usd_per_hour
        return min(now, last.started_at + hours * 3600.0) if hours > 0 else None

    def mark_reached(self, _: actions.MarkReached) -> Outcome:
        return Outcome()

    def ask_unguarded(self, action: actions.AskUnguarded) -> Outcome:
        accepted = self.scene.accept_unguarded(action.detail)
        why = f"the guard is not armed, so the worst case has no bound: {action.detail}"
        return Outcome(data={"accepted": accepted, "why": why})

    # -- runs ------------------------------------------------------------------------------

    def upload(self, action: actions.Upload) -> Outcome:
        pod = self._present()
        try:
            return Outcome(data=self.site.upload(action.run) | {"pod": pod})
        except ConnectionLost as error:
            return Outcome("fail", {"why": error.what, "fatal": False})
        except PodctlError as error:
            return Outcome("fail", {"why": _explained(error), "fatal": True})

    def start_job(self, action: actions.StartJob) -> Outcome:
        stage, pod = self.scene.stages[action.run], self._present()
        try:
            attempt = self.site.start(action.run, again=action.again)
        except PodctlError as error:
            return Outcome("fail", {"why": _explained(error)})
        return Outcome(data={"pod": pod, "stage": stage.name, "attempt": attempt})

    def disqualify(self, _: actions.Disqualify) -> Outcome:
        return Outcome()

    def stop_job(self, action: actions.StopJob) -> Outcome:
        try:
            self.site.stop(action.run, action.reason)
        except PodctlError as error:
            return Outcome("fail", {"why": _explained(error)})
        return Outcome()

    def pull_ready(self, action: actions.PullReady) -> Outcome:
        """What does not come over now comes over at the end; nothing hangs on it."""
        assert self._seen is not None
        assert self._seen.contact is not None
        assert self._seen.contact.status is not None
        sha256 = self._seen.contact.status.ready_sha256
        try:
            self.site.pull_ready(action.run)
        except PodctlError as error:
            self.scene.tell(f"could not pull yet: {_explained(error)}")
        self.scene.memory.ready_pulled = sha256
        return Outcome()

    def pull(self, action: actions.Pull) -> Outcome:
        assert self._seen is not None
        assert self._seen.contact is not None
        try:
            return Outcome(data=self.site.pull(action.run, self._seen.contact))
        except PodctlError as error:
            self.scene.memory.pull_failures += 1
            self.scene.memory.pull_retry_at = self.scene.clock.now() + PULL_PAUSE
            self.scene.tell(f"the pull is not complete: {_explained(error)}")
            return Outcome("fail", {"why": _explained(error)})

    def judge(self, action: actions.Judge) -> Outcome:
        return Outcome(data=self.site.judge(action.run))

    def lock(self, action: actions.Lock) -> Outcome:
        try:
            return Outcome(data=self.site.lock(action.run))
        except PodctlError as error:
            return Outcome("fail", {"why": _explained(error)})

    def finish(self, _: actions.Finish) -> Outcome:
        self.scene.memory.ready_pulled = None
        self.scene.memory.pull_failures = 0
        return Outcome()

    def close(self, _: actions.Close) -> Outcome:
        self.site.drop()
        return Outcome()

    def _present(self) -> str:
        pod = self.scene.rental().pod
        assert pod is not None
        return pod


def _explained(error: PodctlError) -> str:
    """The whole error in one line, for the journal."""
    return ": ".join(part for part in (error.what, error.where, error.cause) if part)


_METHODS: dict[type[Action], Callable[..., Outcome]] = {
    actions.OpenGeneration: Hands.open_generation,
    actions.Create: Hands.create,
    actions.Account: Hands.account,
    actions.Adopt: Hands.adopt,
    actions.Terminate: Hands.terminate,
    actions.StopPod: Hands.stop_pod,
    actions.StartPod: Hands.start_pod,
    actions.ConfirmGone: Hands.confirm_gone,
    actions.ConfirmParked: Hands.confirm_parked,
    actions.MarkReached: Hands.mark_reached,
    actions.AskUnguarded: Hands.ask_unguarded,
    actions.Upload: Hands.upload,
    actions.StartJob: Hands.start_job,
    actions.Disqualify: Hands.disqualify,
    actions.StopJob: Hands.stop_job,
    actions.PullReady: Hands.pull_ready,
    actions.Pull: Hands.pull,
    actions.Judge: Hands.judge,
    actions.Lock: Hands.lock,
    actions.Finish: Hands.finish,
    actions.Close: Hands.close,
}
