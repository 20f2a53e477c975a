"""The job runtime over SSH: implements the engine's port to a pod and the project's folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from controller.agent.client import AgentClient, CommandRefused, guard_report
from controller.agent.connection import refused
from controller.agent.job_log import follow_log
from controller.credentials.job_secrets import secrets_of
from controller.engine.last_seen import run_last_seen
from controller.engine.outcomes import JudgedRun, LockedRun, PulledRun, UploadedRun
from controller.errors import ConnectionLost, PodctlError
from controller.planner import pod_spec as order
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Contact
from controller.project import consent
from controller.project.installer_settings import applies, settings_of
from controller.project.run_folder import RunFolder
from controller.providers.base import Endpoint
from controller.runtime.background_call import call_with_ticks
from controller.runtime.download_run import bring, bring_ready
from controller.runtime.run_context import RunContext
from controller.runtime.upload_run import deliver
from controller.runtime.verify_run import judge, lock

LEAST_PAUSE = 0.1  # seconds between two observations of a job that changes all the time


@dataclass(frozen=True)
class SshJobRuntime:
    """Implements `controller.engine.job_runtime.JobRuntime`."""

    context: RunContext
    # Run to the mark of its newest status. Of an agent that cannot wait there is none.
    _marks: dict[str, str] = field(default_factory=dict)

    def ask(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float = 0.0) -> Contact:
        if not pause:
            return self._contact(pod, endpoint, run)
        clock, seen = self.context.clock, self._marks.get(run.run, "")
        if not seen:
            clock.wait(pause)
            return self._contact(pod, endpoint, run)
        began = clock.now()
        contact = self._contact(pod, endpoint, run, pause)
        changed = contact.status is not None and contact.status.mark != seen
        # What failed at once, or a pod that reports a change every time, is not asked faster.
        least = min(pause, LEAST_PAUSE) if changed else pause
        if (rest := began + least - clock.now()) > 0:
            clock.wait(rest)
        return contact

    def _contact(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float = 0.0) -> Contact:
        try:
            return self._ask(pod, endpoint, run, pause)
        except ConnectionLost as error:
            self.drop()
            hopeless = self.context.link.no_sshd
            return Contact(
                False,
                error=f"{error.what}: {error.cause}",
                refused=refused(error),
                no_sshd=hopeless.reason if hopeless else "",
                no_sshd_ever=hopeless is not None and hopeless.permanent,
            )
        except PodctlError as error:
            return Contact(True, error=f"{error.what}: {error.cause}")
        except (ValueError, ArithmeticError, RecursionError) as error:
            # A number or a depth that no check before knew: the pod's words end no command.
            why = f"{type(error).__name__}: {error}"
            return Contact(True, error=f"could not parse the pod's response: {why}")

    def _ask(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float) -> Contact:
        seen = self._marks.pop(run.run, "")
        session = self.context.link.connect(pod, endpoint)
        layout = session.layout(self.context.shape.mount)
        if (
            not self.context.lease_state().stop
        ):  # what the user ends is ended, whoever else drives it
            self.context.link.claim.hold(session, layout, pod)
        if run.uploaded_to != pod:
            warm = self.context.lease_state().warm
            is_warm = warm is not None and warm.pod == pod
            return Contact(True, guard=guard_report(session, hold_off=is_warm))
        agent = AgentClient(session, layout, run.code)
        try:
            look = partial(agent.status, run.run, seen=seen, wait_seconds=pause)
            status = call_with_ticks(look, self.context.tick)
        except CommandRefused:
            if agent.present():
                raise
            return Contact(True, forgotten=True, error="podctl's code is no longer on the pod")
        self._marks[run.run] = status.mark
        self.context.last_seen.see(f"run:{run.run}", "agent", run_last_seen(status))
        path = self.context.project.job_log(run.run)
        follow_log(agent, run.run, path, status.log_size, self.context.secrets(run.run))
        return Contact(True, status=status, guard=status.guard)

    def upload(self, run: str) -> UploadedRun:
        return deliver(self.context, run)

    def start(self, run: str, *, again: bool) -> int:
        stage = self.context.stages[run]
        emulated = order.is_emulated(self.context.shape.api_base)
        grace = order.grace_done(self.context.stage_list, self.context.shape)
        code = self._code(run)
        spec = order.job_spec(stage, run, code, emulated=emulated, grace_done=grace)
        agent = self._agent(run)
        settings = settings_of(self.context.project.root, [stage], emulated=emulated)
        if stage.secrets or settings.secrets:
            consent.check(self.context.project, stage)
        if stage.secrets:
            agent.secrets(run, secrets_of(stage))
        if applies(stage.environment):
            agent.settings(run, settings.document())
        return agent.start(spec, again=again).attempt

    def stop(self, run: str, reason: str) -> None:
        self._agent(run).stop(run, reason)

    def keep_warm(self, pod: str, endpoint: Endpoint, run: str, seconds: float, then: str) -> float:
        self.context.link.connect(pod, endpoint)
        slack = min(order.GUARD_SLACK, seconds)  # podctl's own end of the pod comes first
        guard = self._agent(run).keep_warm(run, seconds + slack, then).guard
        if guard is None or not self.context.policy.trusts(guard):
            raise PodctlError("no guard would end the pod", cause=guard.detail if guard else "")
        cap = guard.hard_cap_in_seconds
        return seconds if cap is None else max(0.0, min(seconds, cap))

    def pull_ready(self, run: str) -> None:
        bring_ready(self.context, self._agent(run), run)

    def pull(self, run: str, contact: Contact) -> PulledRun:
        return bring(self.context, self._agent(run), run, contact)

    def kept_until(self, run: str) -> float | None:
        return RunFolder(self.context.project.run_dir(run)).whole_at()

    def judge(self, run: str) -> JudgedRun:
        return judge(self.context, run)

    def lock(self, run: str) -> LockedRun:
        return lock(self.context, run)

    def drop(self) -> None:
        self.context.link.drop()

    def _code(self, run: str) -> str:
        return next(entry.code for entry in self.context.lease_state().runs if entry.run == run)

    def _agent(self, run: str) -> AgentClient:
        session = self.context.link.session
        return AgentClient(session, session.layout(self.context.shape.mount), self._code(run))
