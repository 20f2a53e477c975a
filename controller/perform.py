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
from controller.reckoning import Reckoning
from controller.scene import Scene
from controller.site import Site

UNSENT_PAUSE = 5.0  # seconds before a create that never left is tried again
NO_HINT_PAUSE = 15.0  # seconds, when a 429 does not say how long
RETRY_PAUSE = 5.0  # seconds before a failed upload, start or pull is tried again
GUARD_STOPS = "PODCTL-GUARD stopping this pod"  # as remote/guard.py says it
GUARD_LINES = 50  # of the log's end, in which a guard that stopped its pod has said so
UNSEEN = 120.0  # seconds after which a pod that was seen alive may have ended by itself
BY_USER = "by user"  # as the provider's `lastStatusChange` has it


@dataclass
class Hands:
    """The World of the loop: its eyes, and what it does."""

    scene: Scene
    site: Site
    eyes: Eyes
    _seen: Observed | None = None

    @property
    def reckoning(self) -> Reckoning:
        return Reckoning(self.scene)

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
        usual = order.guard_limits(scene.stage_list, scene.policy.boot + 900.0)
        return order.pod_spec(
            scene.stage_list,
            offer,
            scene.shape,
            nonce=nonce,
            owner=scene.owner,
            public_key=scene.public_key,
            args=scene.bootstrap,
            limits=scene.limits or usual,
        )

    def _no_pod(self, error: ProviderError) -> Outcome:
        kind = {Kind.CAPACITY: "capacity", Kind.REFUSED: "refused"}.get(error.kind, "later")
        why = f"{error.what} {error.cause}; {error.hint if kind == 'refused' else ''}".strip("; ")
        now = self.scene.clock.now()
        if error.kind is Kind.THROTTLED:
            self.scene.memory.throttled_until = now + (error.retry_after or NO_HINT_PAUSE)
        elif kind == "later" and error.sent:
            kind = "ambiguous"
            # The window in which it may still show begins now, whatever was looked for before.
            self.scene.memory.since.pop("probing", None)
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
        if outcome.phase == "fail":
            return outcome
        self.site.drop()
        alive = self._seen_alive(action.pod) and not outcome.data.get("unknown")
        return Outcome(data=outcome.data | {"at": self.scene.clock.wall(), "seen_alive": alive})

    def stop_pod(self, action: actions.StopPod) -> Outcome:
        outcome = self._ask(action.pod, self.scene.provider.stop)
        if outcome.phase == "done" and self._seen_alive(action.pod):
            self.scene.memory.ended[action.pod] = self.scene.clock.wall()
        self.site.drop()
        return outcome

    def _seen_alive(self, pod: str) -> bool:
        """Whether the pod billed a moment ago: then an order that was just taken is what ends it.

        Asked after the order: our clock may have slept in the middle of it.
        """
        return self.scene.clock.wall() - self.scene.memory.alive.get(pod, 0.0) < UNSEEN

    def start_pod(self, action: actions.StartPod) -> Outcome:
        outcome = self._ask(action.pod, self.scene.provider.start)
        if outcome.phase == "fail":
            failures = self.scene.memory.start_failures
            failures[action.pod] = failures.get(action.pod, 0) + 1
            return outcome
        self.scene.memory.start_failures.pop(action.pod, None)
        self.scene.memory.resumed.add(action.pod)
        self.site.drop()
        pod = self._fresh(action.pod)
        # By the provider where it tells; our own clock may have slept since the order.
        started_at = min(max(action.at, pod.started_at or 0.0), self.scene.clock.wall())
        return Outcome(data=self._bill(pod) | {"started_at": started_at})

    def _fresh(self, pod_id: str) -> Pod:
        """The pod as it is now; as the listing had it where the provider does not answer."""
        try:
            return self.scene.provider.get(pod_id) or self._listed(pod_id)
        except ProviderError:
            return self._listed(pod_id)

    def resumed(self, action: actions.Resumed) -> Outcome:
        pod = self._listed(action.pod)
        return Outcome(data=self._bill(pod) | {"started_at": self.reckoning.start_of(pod)})

    def _ask(self, pod: str, verb: Callable[[str], object]) -> Outcome:
        """Terminate, stop or start; a refusal of the account itself ends the drive."""
        try:
            outcome = Outcome(data={"unknown": verb(pod) is False})  # 404, to a terminate
            self.scene.memory.order_refused = None
        except ProviderError as error:
            if error.kind is Kind.REFUSED:
                self.scene.memory.order_refused = f"{error.what} {error.cause}".strip()
            outcome = Outcome("fail", {"why": error.what, "kind": str(error.kind)})
        self.scene.memory.asked[pod] = self.scene.clock.now()
        return outcome

    def confirm_gone(self, action: actions.ConfirmGone) -> Outcome:
        try:
            return Outcome(data={"ended_at": self.reckoning.end_of(action.pod)})
        except ProviderError as error:
            return self._bill_is_silent(error)

    def confirm_parked(self, action: actions.ConfirmParked) -> Outcome:
        run, stage = self._serving()
        try:
            ended_at = self.reckoning.end_of(action.pod)
        except ProviderError as error:
            return self._bill_is_silent(error)
        if self._stopped_elsewhere(action.pod):
            self.scene.memory.stopped_elsewhere.add(action.pod)
        found = {"ended_at": ended_at, "for_run": run, "stage": stage}
        return Outcome(data=found | {"volume_gb": self._listed(action.pod).volume_gb})

    def reckon(self, action: actions.Reckon) -> Outcome:
        run, stage = self._serving()
        try:
            hours = self.reckoning.missed_hours(action.pod, action.since)
        except ProviderError as error:
            return self._bill_is_silent(error)
        rate = self.scene.rental().quoted_usd_per_hour
        found = {"since": action.since, "until": action.since + hours * 3600.0}
        return Outcome(data=found | {"for_run": run, "stage": stage, "usd_per_hour": rate})

    def _bill_is_silent(self, error: ProviderError) -> Outcome:
        """What only the bill can tell is asked again, for as long as we bear a silent provider."""
        self.reckoning.ask_later()
        return Outcome("fail", {"why": error.what})

    def _stopped_elsewhere(self, pod: str) -> bool:
        """Whether a person stopped it under us, and not its guard; a doubt is no such person.

        What was stopped before this command began is what the command is to carry on.
        """
        memory = self.scene.memory
        if pod in memory.asked or pod not in memory.ran:
            return False
        try:
            log = self.scene.provider.container_log(pod)
            by_guard = any(GUARD_STOPS in line for line in log[-GUARD_LINES:])
            return not by_guard and BY_USER in self.scene.provider.last_change(pod).lower()
        except ProviderError:
            return False

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
            found = self.site.upload(action.run) | {"pod": pod}
        except ConnectionLost as error:
            self._again("upload", error)
            return Outcome("fail", {"why": error.what, "fatal": False})
        except PodctlError as error:
            return Outcome("fail", {"why": _explained(error), "fatal": True})
        self.scene.memory.failures.pop("upload", None)
        return Outcome(data=found)

    def start_job(self, action: actions.StartJob) -> Outcome:
        stage, pod, at = self.scene.stages[action.run], self._present(), self.scene.clock.wall()
        try:
            attempt = self.site.start(action.run, again=action.again)
        except PodctlError as error:
            self._again("start", error)
            return Outcome("fail", {"why": _explained(error)})
        self.scene.memory.failures.pop("start", None)
        return Outcome(data={"pod": pod, "stage": stage.name, "attempt": attempt, "at": at})

    def _again(self, what: str, error: PodctlError) -> None:
        """Not at once: what failed a moment ago fails again."""
        why, now = _explained(error), self.scene.clock.now()
        self.scene.memory.fail(what, why, now + RETRY_PAUSE)
        self.scene.tell(f"the {what} failed: {why}")

    def disqualify(self, _: actions.Disqualify) -> Outcome:
        return Outcome()

    def rework(self, action: actions.Rework) -> Outcome:
        cost = self._rework(action.run)
        self.scene.tell(f"{action.run}: {_rework_in_words(**cost)}")
        return Outcome(data={"accepted": True} | cost)

    def ask_rework(self, action: actions.AskRework) -> Outcome:
        cost = self._rework(action.run)
        question = f"{action.why}; going on elsewhere: {_rework_in_words(**cost)}"
        return Outcome(data={"accepted": self.scene.accept_rework(question)} | cost)

    def _rework(self, run: str) -> dict[str, float]:
        """What was done since the newest file that is here, and has to be done again."""
        rental, memory = self.scene.rental(), self.scene.memory
        facts = next(one for one in rental.runs if one.run == run)
        until = memory.alive_at or self.scene.clock.wall()
        since = max(facts.started_at or until, self.site.kept_until(run) or 0.0)
        hours = max(0.0, until - since) / 3600.0
        return {"hours": round(hours, 4), "usd": round(hours * rental.quoted_usd_per_hour, 4)}

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
            self.scene.memory.retry_at = self.scene.clock.now() + RETRY_PAUSE
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


def _rework_in_words(hours: float, usd: float) -> str:
    return f"about {hours * 60:.0f} min of work (${usd:.2f}) since the last file that is here"


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
    actions.Resumed: Hands.resumed,
    actions.Reckon: Hands.reckon,
    actions.StartPod: Hands.start_pod,
    actions.ConfirmGone: Hands.confirm_gone,
    actions.ConfirmParked: Hands.confirm_parked,
    actions.MarkReached: Hands.mark_reached,
    actions.AskUnguarded: Hands.ask_unguarded,
    actions.Upload: Hands.upload,
    actions.StartJob: Hands.start_job,
    actions.Disqualify: Hands.disqualify,
    actions.Rework: Hands.rework,
    actions.AskRework: Hands.ask_rework,
    actions.StopJob: Hands.stop_job,
    actions.PullReady: Hands.pull_ready,
    actions.Pull: Hands.pull,
    actions.Judge: Hands.judge,
    actions.Lock: Hands.lock,
    actions.Finish: Hands.finish,
    actions.Close: Hands.close,
}
