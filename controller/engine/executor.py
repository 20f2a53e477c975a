"""Performs each action; whatever goes wrong in a foreseen way becomes an outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from controller.billing_pods import in_words, rates_of
from controller.engine.job_runtime import JobRuntime
from controller.engine.lease_context import LeaseContext
from controller.engine.observer import Observer
from controller.engine.outcomes import (
    ActionFailed,
    JobStarted,
    LeaseOutcome,
    PullFailed,
    RestartDecision,
    UploadFailed,
)
from controller.engine.pod_actions import POD_ACTIONS, PodActions
from controller.engine.process_state import ProcessState
from controller.errors import ConnectionLost, Paused, PodctlError
from controller.incident import Incident, attempt
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.observation import Contact, Observation
from controller.planner.unpulled_files import LeftOnPod

DISK_FULL_PAUSE = 10.0  # seconds before writing to a full local disk is tried again
RETRY_PAUSE = 5.0  # seconds before a failed upload, start or pull is tried again


@dataclass
class ActionExecutor:
    """The World of the loop: observes, acts on runs, and leaves orders to pods to PodActions."""

    context: LeaseContext
    runtime: JobRuntime
    observer: Observer
    pods: PodActions = field(init=False)

    def __post_init__(self) -> None:
        self.pods = PodActions(self.context, self.runtime)

    def observe(self) -> Observation:
        self.pods.observation = self.observer.observe()
        return self.pods.observation

    def wait(self, action: actions.Wait) -> None:
        if action.for_job:
            self.observer.pause = action.seconds
        else:
            self.context.clock.wait(action.seconds)

    def perform(self, action: Action) -> LeaseOutcome:
        definite = False
        try:
            outcome = self._perform(action)
            definite = outcome.failed
            return outcome
        finally:
            # A pod may show up for a whole settle window from now on, even if the outcome of this
            # create is never written.
            if isinstance(action, actions.Create) and not definite:
                self.process.conditions.restart("probing")

    def _perform(self, action: Action) -> LeaseOutcome:
        if (perform := POD_ACTIONS.get(type(action))) is not None:
            return perform(self.pods, action)
        return RUN_ACTIONS[type(action)](self, action)

    @property
    def process(self) -> ProcessState:
        return self.context.process

    @property
    def _contact(self) -> Contact:
        observation = self.pods.observation
        assert observation is not None
        assert observation.job.contact is not None
        return observation.job.contact

    # -- runs ----------------------------------------------------------------------------------

    def upload(self, action: actions.Upload) -> LeaseOutcome:
        pod = self._present_pod()
        try:
            uploaded = self.runtime.upload(action.run)
        except Paused as error:  # the next observation decides whether it goes on
            self.context.tell(f"the upload was interrupted: {error.what}")
            return UploadFailed(error.what, fatal=False)
        except ConnectionLost as error:
            self._note_failure("upload", error)
            return UploadFailed(error.what, fatal=False)
        except PodctlError as error:
            # Also when an earlier pod got this upload: the next try goes to the present one.
            self._note_failure("upload", error)
            full = error.code == "pod-disk-full"
            return UploadFailed(_explained(error), fatal=True, disk_full=full)
        self.process.failures.clear("upload")
        return replace(uploaded, pod=pod)

    def start_job(self, action: actions.StartJob) -> LeaseOutcome:
        stage, pod = self.context.stages[action.run], self._present_pod()
        at = self.context.clock.wall()
        try:
            attempt_number = self.runtime.start(action.run, again=action.again)
        except PodctlError as error:
            return self._failed("start", error)
        self.process.failures.clear("start")
        return JobStarted(pod, stage.name, attempt_number, at, self.pods.interrupted(pod))

    def _failed(self, what: str, error: PodctlError) -> ActionFailed:
        self._note_failure(what, error)
        return ActionFailed(_explained(error))

    def _note_failure(self, what: str, error: PodctlError) -> None:
        """Count the failure and put the next try off: it would fail for the same reason."""
        why, now = _explained(error), self.context.clock.now()
        self.process.failures.add(what, why, now + RETRY_PAUSE)
        self.context.tell(f"the {what} failed: {why}")

    def reject_host(self, _: actions.RejectHost) -> LeaseOutcome:
        return LeaseOutcome()

    def restart_run(self, action: actions.RestartRun) -> LeaseOutcome:
        hours, usd = self._repeated_work(action.run)
        self.context.tell(f"{action.run}: {repeated_work_in_words(hours, usd)}")
        return RestartDecision(True, hours, usd)

    def confirm_restart(self, action: actions.ConfirmRestart) -> LeaseOutcome:
        hours, usd = self._repeated_work(action.run)
        words = repeated_work_in_words(hours, usd)
        accepted = self.context.accept_restart(
            f"{action.why}; continuing on another pod repeats {words}"
        )
        return RestartDecision(accepted, hours, usd)

    def _repeated_work(self, run: str) -> tuple[float, float]:
        """Hours and US dollars of work since the newest local file, which has to be repeated."""
        lease_state = self.context.lease_state()
        facts = next(one for one in lease_state.runs if one.run == run)
        until = self.process.job_seen_at or self.context.clock.wall()
        since = max(facts.started_at or until, self.runtime.kept_until(run) or 0.0)
        hours = max(0.0, until - since) / 3600.0
        return round(hours, 4), round(hours * lease_state.quoted_usd_per_hour, 4)

    def stop_job(self, action: actions.StopJob) -> LeaseOutcome:
        try:
            self.runtime.stop(action.run, action.reason)
        except PodctlError as error:
            return self._failed("stop", error)
        self.process.failures.clear("stop")
        return LeaseOutcome()

    def pull_ready(self, action: actions.PullReady) -> LeaseOutcome:
        """Pull what is ready; what fails here is pulled at the end, so no failure is recorded."""
        assert self._contact.status is not None
        sha256 = self._contact.status.ready_sha256
        pulled = attempt(partial(self.runtime.pull_ready, action.run))
        if isinstance(pulled, Incident):
            self.context.tell(f"could not pull yet: {pulled.text}")
            if isinstance(pulled.error, Paused):
                return LeaseOutcome()  # the next observation decides whether it goes on
        self.process.ready_pulled = sha256
        return LeaseOutcome()

    def pull(self, action: actions.Pull) -> LeaseOutcome:
        failures = self.process.failures
        try:
            pulled = self.runtime.pull(action.run, self._contact)
            failures.unpulled = None
            return pulled
        except Paused as error:
            self.context.tell(f"the pull was interrupted and will continue: {error.what}")
            return PullFailed(error.what, paused=True)
        except LeftOnPod as error:  # another try would leave the same files
            failures.pulls += 1
            failures.unpulled = error.held
            return PullFailed(_explained(error))
        except PodctlError as error:
            if not self._waits_for_room(error):
                failures.pulls += 1
                failures.retry_at = self.context.clock.now() + RETRY_PAUSE
                self.context.tell(f"the pull is not complete: {_explained(error)}")
            return PullFailed(_explained(error))

    def _waits_for_room(self, error: PodctlError) -> bool:
        """Whether to wait for room on a full local disk; tells the user what the wait costs."""
        policy, now = self.context.policy, self.context.clock.now()
        full = error.code == "local-disk-full"
        since = self.process.conditions.hold("full", full, now)
        if since is None or self.context.lease_state().stop or now - since > policy.room:
            return False
        self.process.failures.retry_at = now + DISK_FULL_PAUSE
        bills = in_words(rates_of(self.context.ledger.intervals(open_only=True)))
        minutes = policy.room / 60
        self.context.tell(
            f"{error.what}: waiting for room, for up to {minutes:.0f} minutes; {bills}"
        )
        return True

    def judge(self, action: actions.Judge) -> LeaseOutcome:
        return self.runtime.judge(action.run)

    def lock(self, action: actions.Lock) -> LeaseOutcome:
        """Lock the stage. An exception is not caught: all files are local, so any later command
        can try again."""
        return self.runtime.lock(action.run)

    def finish(self, _: actions.Finish) -> LeaseOutcome:
        self.process.ready_pulled = None
        self.process.failures.clear_pulls()
        return LeaseOutcome()

    def close(self, _: actions.Close) -> LeaseOutcome:
        attempt(self.runtime.drop)
        return LeaseOutcome()

    def _present_pod(self) -> str:
        pod = self.context.lease_state().pod
        assert pod is not None
        return pod


def repeated_work_in_words(hours: float, usd: float) -> str:
    minutes = f"about {hours * 60:.0f} min" if hours * 60 >= 1 else "less than a minute"
    price = f"${usd:.2f}" if usd >= 0.01 else "less than $0.01"
    return f"{minutes} of work ({price}) since the last download of finished files"


def _explained(error: PodctlError) -> str:
    """The error on one line, for the journal."""
    return ": ".join(part for part in (error.what, error.where, error.cause) if part)


RUN_ACTIONS: dict[type[Action], Callable[..., LeaseOutcome]] = {
    actions.Upload: ActionExecutor.upload,
    actions.StartJob: ActionExecutor.start_job,
    actions.RejectHost: ActionExecutor.reject_host,
    actions.RestartRun: ActionExecutor.restart_run,
    actions.ConfirmRestart: ActionExecutor.confirm_restart,
    actions.StopJob: ActionExecutor.stop_job,
    actions.PullReady: ActionExecutor.pull_ready,
    actions.Pull: ActionExecutor.pull,
    actions.Judge: ActionExecutor.judge,
    actions.Lock: ActionExecutor.lock,
    actions.Finish: ActionExecutor.finish,
    actions.Close: ActionExecutor.close,
}
