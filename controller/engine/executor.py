"""Hands: every effect of the loop, one method an action. What goes wrong becomes an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from controller.billing_pods import in_words, rates_of
from controller.engine.job_runtime import Site
from controller.engine.lease_context import Scene
from controller.engine.loop import Outcome
from controller.engine.observer import Eyes
from controller.engine.pod_actions import POD_ORDERS, PodOrders
from controller.errors import ConnectionLost, Paused, PodctlError
from controller.incident import Incident, attempt
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.observation import Observed
from controller.planner.unpulled_files import LeftOnPod

ROOM_PAUSE = 10.0  # seconds before a disk that was full is tried again
RETRY_PAUSE = 5.0  # seconds before a failed upload, start or pull is tried again


@dataclass
class Hands:
    """The World of the loop: its eyes, what it does with runs, and its orders to pods."""

    scene: Scene
    site: Site
    eyes: Eyes
    pods: PodOrders = field(init=False)

    def __post_init__(self) -> None:
        self.pods = PodOrders(self.scene, self.site)

    def look(self) -> Observed:
        self.pods.seen = self.eyes.look()
        return self.pods.seen

    def perform(self, action: Action) -> Outcome:
        refused = False
        try:
            outcome = self._perform(action)
            refused = outcome.phase == "fail"
            return outcome
        finally:
            # It may show for a whole window from now on, also where its outcome is not written.
            if isinstance(action, actions.Create) and not refused:
                self.scene.memory.since.pop("probing", None)

    def _perform(self, action: Action) -> Outcome:
        if (order := POD_ORDERS.get(type(action))) is not None:
            return order(self.pods, action)
        return _METHODS[type(action)](self, action)

    @property
    def _seen(self) -> Observed:
        assert self.pods.seen is not None
        return self.pods.seen

    # -- runs ------------------------------------------------------------------------------

    def upload(self, action: actions.Upload) -> Outcome:
        pod = self._present()
        try:
            found = self.site.upload(action.run) | {"pod": pod}
        except Paused as error:  # the next look decides whether it goes on
            self.scene.tell(f"the upload is interrupted: {error.what}")
            return Outcome("fail", {"why": error.what, "fatal": False})
        except ConnectionLost as error:
            self._again("upload", error)
            return Outcome("fail", {"why": error.what, "fatal": False})
        except PodctlError as error:
            self._again("upload", error)  # of a run that was started before, on another pod
            full = error.code == "pod-disk-full"
            return Outcome("fail", {"why": _explained(error), "fatal": True, "disk_full": full})
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
        found = {"pod": pod, "stage": stage.name, "attempt": attempt, "at": at}
        # Of a pod that was stopped and started meanwhile only the bill of all of it is known.
        return Outcome(data=found | {"interrupted": self.pods.interrupted(pod)})

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
            self._again("stop", error)
            return Outcome("fail", {"why": _explained(error)})
        self.scene.memory.failures.pop("stop", None)
        return Outcome()

    def pull_ready(self, action: actions.PullReady) -> Outcome:
        """What does not come over now comes over at the end; nothing hangs on it."""
        assert self._seen.contact is not None
        assert self._seen.contact.status is not None
        sha256 = self._seen.contact.status.ready_sha256
        pulled = attempt(partial(self.site.pull_ready, action.run))
        if isinstance(pulled, Incident):
            self.scene.tell(f"could not pull yet: {pulled.text}")
            if isinstance(pulled.error, Paused):
                return Outcome()  # the next look decides whether it goes on
        self.scene.memory.ready_pulled = sha256
        return Outcome()

    def pull(self, action: actions.Pull) -> Outcome:
        assert self._seen.contact is not None
        try:
            found = self.site.pull(action.run, self._seen.contact)
            self.scene.memory.held = None
            return Outcome(data=found)
        except Paused as error:
            self.scene.tell(f"the pull goes on: {error.what}")
            return Outcome("fail", {"why": error.what, "paused": True})
        except LeftOnPod as error:  # trying again does not mend that
            self.scene.memory.pull_failures += 1
            self.scene.memory.held = error.held
            return Outcome("fail", {"why": _explained(error)})
        except PodctlError as error:
            if self._waits_for_room(error):
                return Outcome("fail", {"why": _explained(error)})
            self.scene.memory.pull_failures += 1
            self.scene.memory.retry_at = self.scene.clock.now() + RETRY_PAUSE
            self.scene.tell(f"the pull is not complete: {_explained(error)}")
            return Outcome("fail", {"why": _explained(error)})

    def _waits_for_room(self, error: PodctlError) -> bool:
        """Whether a full disk here is waited for: said with what that costs, and not for ever."""
        memory, now = self.scene.memory, self.scene.clock.now()
        full = error.code == "local-disk-full"
        since = memory.hold("full", full, now)
        if since is None or self.scene.rental().stop or now - since > self.scene.policy.room:
            return False
        memory.retry_at = now + ROOM_PAUSE
        bills = in_words(rates_of(self.scene.ledger.intervals(open_only=True)))
        minutes = self.scene.policy.room / 60
        self.scene.tell(f"{error.what}: waiting for room, for up to {minutes:.0f} minutes; {bills}")
        return True

    def judge(self, action: actions.Judge) -> Outcome:
        return Outcome(data=self.site.judge(action.run))

    def lock(self, action: actions.Lock) -> Outcome:
        """What raises here is tried again, by a later command too: everything is here."""
        return Outcome(data=self.site.lock(action.run))

    def finish(self, _: actions.Finish) -> Outcome:
        self.scene.memory.ready_pulled = None
        self.scene.memory.pull_failures = 0
        self.scene.memory.held = None
        return Outcome()

    def close(self, _: actions.Close) -> Outcome:
        attempt(self.site.drop)
        return Outcome()

    def _present(self) -> str:
        pod = self.scene.rental().pod
        assert pod is not None
        return pod


def _rework_in_words(hours: float, usd: float) -> str:
    minutes = f"about {hours * 60:.0f} min" if hours * 60 >= 1 else "less than a minute"
    price = f"${usd:.2f}" if usd >= 0.01 else "less than $0.01"
    return f"{minutes} of work ({price}) since all that was finished came here"


def _explained(error: PodctlError) -> str:
    """The whole error in one line, for the journal."""
    return ": ".join(part for part in (error.what, error.where, error.cause) if part)


_METHODS: dict[type[Action], Callable[..., Outcome]] = {
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
