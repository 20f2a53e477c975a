"""Hands: every effect of the loop, one method an action. What goes wrong becomes an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from controller.billing_pods import in_words, rates_of
from controller.engine.job_runtime import JobRuntime
from controller.engine.lease_context import LeaseContext
from controller.engine.loop import LeaseOutcome
from controller.engine.observer import Observer
from controller.engine.pod_actions import POD_ORDERS, PodActions
from controller.errors import ConnectionLost, Paused, PodctlError
from controller.incident import Incident, attempt
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.observation import Observation
from controller.planner.unpulled_files import LeftOnPod

ROOM_PAUSE = 10.0  # seconds before a disk that was full is tried again
RETRY_PAUSE = 5.0  # seconds before a failed upload, start or pull is tried again


@dataclass
class ActionExecutor:
    """The World of the loop: its eyes, what it does with runs, and its orders to pods."""

    context: LeaseContext
    site: JobRuntime
    observer: Observer
    pods: PodActions = field(init=False)

    def __post_init__(self) -> None:
        self.pods = PodActions(self.context, self.site)

    def look(self) -> Observation:
        self.pods.observation = self.observer.look()
        return self.pods.observation

    def perform(self, action: Action) -> LeaseOutcome:
        refused = False
        try:
            outcome = self._perform(action)
            refused = outcome.phase == "fail"
            return outcome
        finally:
            # It may show for a whole window from now on, also where its outcome is not written.
            if isinstance(action, actions.Create) and not refused:
                self.context.memory.since.pop("probing", None)

    def _perform(self, action: Action) -> LeaseOutcome:
        if (order := POD_ORDERS.get(type(action))) is not None:
            return order(self.pods, action)
        return _METHODS[type(action)](self, action)

    @property
    def _seen(self) -> Observation:
        assert self.pods.observation is not None
        return self.pods.observation

    # -- runs ------------------------------------------------------------------------------

    def upload(self, action: actions.Upload) -> LeaseOutcome:
        pod = self._present()
        try:
            found = self.site.upload(action.run) | {"pod": pod}
        except Paused as error:  # the next look decides whether it goes on
            self.context.tell(f"the upload is interrupted: {error.what}")
            return LeaseOutcome("fail", {"why": error.what, "fatal": False})
        except ConnectionLost as error:
            self._again("upload", error)
            return LeaseOutcome("fail", {"why": error.what, "fatal": False})
        except PodctlError as error:
            self._again("upload", error)  # of a run that was started before, on another pod
            full = error.code == "pod-disk-full"
            return LeaseOutcome(
                "fail", {"why": _explained(error), "fatal": True, "disk_full": full}
            )
        self.context.memory.failures.pop("upload", None)
        return LeaseOutcome(data=found)

    def start_job(self, action: actions.StartJob) -> LeaseOutcome:
        stage, pod, at = self.context.stages[action.run], self._present(), self.context.clock.wall()
        try:
            attempt = self.site.start(action.run, again=action.again)
        except PodctlError as error:
            self._again("start", error)
            return LeaseOutcome("fail", {"why": _explained(error)})
        self.context.memory.failures.pop("start", None)
        found = {"pod": pod, "stage": stage.name, "attempt": attempt, "at": at}
        # Of a pod that was stopped and started meanwhile only the bill of all of it is known.
        return LeaseOutcome(data=found | {"interrupted": self.pods.interrupted(pod)})

    def _again(self, what: str, error: PodctlError) -> None:
        """Not at once: what failed a moment ago fails again."""
        why, now = _explained(error), self.context.clock.now()
        self.context.memory.fail(what, why, now + RETRY_PAUSE)
        self.context.tell(f"the {what} failed: {why}")

    def disqualify(self, _: actions.RejectHost) -> LeaseOutcome:
        return LeaseOutcome()

    def rework(self, action: actions.RestartRun) -> LeaseOutcome:
        cost = self._rework(action.run)
        self.context.tell(f"{action.run}: {_rework_in_words(**cost)}")
        return LeaseOutcome(data={"accepted": True} | cost)

    def ask_rework(self, action: actions.ConfirmRestart) -> LeaseOutcome:
        cost = self._rework(action.run)
        question = f"{action.why}; going on elsewhere: {_rework_in_words(**cost)}"
        return LeaseOutcome(data={"accepted": self.context.accept_rework(question)} | cost)

    def _rework(self, run: str) -> dict[str, float]:
        """What was done since the newest file that is here, and has to be done again."""
        lease_state, memory = self.context.lease_state(), self.context.memory
        facts = next(one for one in lease_state.runs if one.run == run)
        until = memory.alive_at or self.context.clock.wall()
        since = max(facts.started_at or until, self.site.kept_until(run) or 0.0)
        hours = max(0.0, until - since) / 3600.0
        return {"hours": round(hours, 4), "usd": round(hours * lease_state.quoted_usd_per_hour, 4)}

    def stop_job(self, action: actions.StopJob) -> LeaseOutcome:
        try:
            self.site.stop(action.run, action.reason)
        except PodctlError as error:
            self._again("stop", error)
            return LeaseOutcome("fail", {"why": _explained(error)})
        self.context.memory.failures.pop("stop", None)
        return LeaseOutcome()

    def pull_ready(self, action: actions.PullReady) -> LeaseOutcome:
        """What does not come over now comes over at the end; nothing hangs on it."""
        assert self._seen.contact is not None
        assert self._seen.contact.status is not None
        sha256 = self._seen.contact.status.ready_sha256
        pulled = attempt(partial(self.site.pull_ready, action.run))
        if isinstance(pulled, Incident):
            self.context.tell(f"could not pull yet: {pulled.text}")
            if isinstance(pulled.error, Paused):
                return LeaseOutcome()  # the next look decides whether it goes on
        self.context.memory.ready_pulled = sha256
        return LeaseOutcome()

    def pull(self, action: actions.Pull) -> LeaseOutcome:
        assert self._seen.contact is not None
        try:
            found = self.site.pull(action.run, self._seen.contact)
            self.context.memory.held = None
            return LeaseOutcome(data=found)
        except Paused as error:
            self.context.tell(f"the pull goes on: {error.what}")
            return LeaseOutcome("fail", {"why": error.what, "paused": True})
        except LeftOnPod as error:  # trying again does not mend that
            self.context.memory.pull_failures += 1
            self.context.memory.held = error.held
            return LeaseOutcome("fail", {"why": _explained(error)})
        except PodctlError as error:
            if self._waits_for_room(error):
                return LeaseOutcome("fail", {"why": _explained(error)})
            self.context.memory.pull_failures += 1
            self.context.memory.retry_at = self.context.clock.now() + RETRY_PAUSE
            self.context.tell(f"the pull is not complete: {_explained(error)}")
            return LeaseOutcome("fail", {"why": _explained(error)})

    def _waits_for_room(self, error: PodctlError) -> bool:
        """Whether a full disk here is waited for: said with what that costs, and not for ever."""
        memory, now = self.context.memory, self.context.clock.now()
        full = error.code == "local-disk-full"
        since = memory.hold("full", full, now)
        if (
            since is None
            or self.context.lease_state().stop
            or now - since > self.context.policy.room
        ):
            return False
        memory.retry_at = now + ROOM_PAUSE
        bills = in_words(rates_of(self.context.ledger.intervals(open_only=True)))
        minutes = self.context.policy.room / 60
        self.context.tell(
            f"{error.what}: waiting for room, for up to {minutes:.0f} minutes; {bills}"
        )
        return True

    def judge(self, action: actions.Judge) -> LeaseOutcome:
        return LeaseOutcome(data=self.site.judge(action.run))

    def lock(self, action: actions.Lock) -> LeaseOutcome:
        """What raises here is tried again, by a later command too: everything is here."""
        return LeaseOutcome(data=self.site.lock(action.run))

    def finish(self, _: actions.Finish) -> LeaseOutcome:
        self.context.memory.ready_pulled = None
        self.context.memory.pull_failures = 0
        self.context.memory.held = None
        return LeaseOutcome()

    def close(self, _: actions.Close) -> LeaseOutcome:
        attempt(self.site.drop)
        return LeaseOutcome()

    def _present(self) -> str:
        pod = self.context.lease_state().pod
        assert pod is not None
        return pod


def _rework_in_words(hours: float, usd: float) -> str:
    minutes = f"about {hours * 60:.0f} min" if hours * 60 >= 1 else "less than a minute"
    price = f"${usd:.2f}" if usd >= 0.01 else "less than $0.01"
    return f"{minutes} of work ({price}) since all that was finished came here"


def _explained(error: PodctlError) -> str:
    """The whole error in one line, for the journal."""
    return ": ".join(part for part in (error.what, error.where, error.cause) if part)


_METHODS: dict[type[Action], Callable[..., LeaseOutcome]] = {
    actions.Upload: ActionExecutor.upload,
    actions.StartJob: ActionExecutor.start_job,
    actions.RejectHost: ActionExecutor.disqualify,
    actions.RestartRun: ActionExecutor.rework,
    actions.ConfirmRestart: ActionExecutor.ask_rework,
    actions.StopJob: ActionExecutor.stop_job,
    actions.PullReady: ActionExecutor.pull_ready,
    actions.Pull: ActionExecutor.pull,
    actions.Judge: ActionExecutor.judge,
    actions.Lock: ActionExecutor.lock,
    actions.Finish: ActionExecutor.finish,
    actions.Close: ActionExecutor.close,
}
