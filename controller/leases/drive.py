"""Drives one lease to its end: connects planner, executor and runtime, and runs the loop."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from controller.agent.connection import PodConnection
from controller.agent.guard_bootstrap import bootstrap
from controller.clock import Clock
from controller.diagnostics.drill import RecordingWorld
from controller.engine.executor import ActionExecutor
from controller.engine.lease_context import terms, unpinned
from controller.engine.loop import Plan, World, drive
from controller.engine.observer import Observer
from controller.engine.recorder import LeaseRecorder
from controller.errors import PodctlError
from controller.incident import Incident, attempt
from controller.leases.config_drift import check_provider
from controller.leases.job_output import JobOutput
from controller.leases.job_panel import Quoted
from controller.leases.lease_policy import proven, with_stages
from controller.leases.options import RunOptions
from controller.leases.outcome import (
    cost_of_all,
    detached,
    raise_unless_passed,
    report,
    resting,
)
from controller.leases.passed_report import passed_lines
from controller.leases.progress import View
from controller.leases.project_session import ProjectSession
from controller.leases.stop_requests import StopRequestWorld
from controller.notifications.notifier import Notifier
from controller.orphans.force_terminate import ForcedTermination
from controller.planner import actions
from controller.planner.actions import Action, NeedsOperator
from controller.planner.decide import decide
from controller.planner.observation import Observation
from controller.project.project import Project
from controller.providers.clock import provider_clock
from controller.runtime.run_context import RunContext
from controller.runtime.ssh_runtime import SshJobRuntime
from controller.ssh.host_keys import ensure_key
from controller.status.write_status_page import refresh
from remote.contract import GuardLimits
from state.contention import stop_retrying
from state.database import installation
from state.journal_rows import Lease
from state.last_seen import LastSeen
from state.locks import Locks
from state.stop_requests import StopRequests


class _JobRuns(KeyboardInterrupt):
    """Ends the loop as Ctrl-C does, because the job runs and --detach was given."""


ANSWER_SECONDS = 120.0  # for a question while a pod bills that nothing stops


def drive_lease(
    session: ProjectSession,
    lease: Lease,
    options: RunOptions,
    *,
    ending: bool = False,
    plan: Plan = decide,
) -> None:
    """Drive `lease` to its end. Returns when every run passed; raises what else happened.

    With `ending`, ending the lease is the purpose: a run that did not pass is not raised.

    Raises: UsageError for a lease of another provider; Detached on Ctrl-C.
    """
    project, provider, terminal = (
        session.context.project,
        session.context.provider,
        options.terminal,
    )
    check_provider(lease, provider.name)
    clock = provider_clock(provider, terminal.warn)
    view = View(terminal, clock, _quoted(session, lease), _job_output(project, options))
    context = _run_context(session, lease, options, clock, view)
    runtime = SshJobRuntime(context)
    recorder = LeaseRecorder(
        lease.id, session.journal, session.ledger, clock, terminal.bills.unwritten
    )
    notifier = Notifier.of(project, terminal.warn)
    watch = _watch(session, view, options, notifier)
    world: World = ActionExecutor(context, runtime, Observer(context, runtime))
    world = StopRequestWorld(
        world, StopRequests(project.state_dir), session.journal, lease.id, view.message
    )
    if context.limits is not None:  # a drill
        world = drill = RecordingWorld(world, provider, clock, context.limits)
        plan = drill.decide
    try:
        end = drive(world, recorder, context.policy, clock, watch, plan)
    except KeyboardInterrupt as interrupt:
        stop_retrying(session.owner.connection)
        raise detached(context, asked=isinstance(interrupt, _JobRuns)) from None
    except BaseException:
        stop_retrying(session.owner.connection)
        raise
    finally:
        attempt(view.end)
        if notifier is not None:
            attempt(notifier.close)
        attempt(runtime.drop)
        refresh(project, session.journal, session.ledger, terminal.warn)
    if isinstance(end, NeedsOperator):
        raise report(context, end)
    if not ending:
        raise_unless_passed(context)
        for line in passed_lines(project, [run.stage for run in context.lease_state().wanted]):
            terminal.say(line)
        if (line := resting(context)) or (line := cost_of_all(context)):
            terminal.say(line)
            terminal.bills.reported = line


def _quoted(session: ProjectSession, lease: Lease) -> Quoted:
    """What the lease was expected to cost; leases of earlier versions lack some figures."""
    opened = terms(session.journal, lease)
    rows = session.journal.runs(lease=lease.id)
    hours = {
        row.stage: row.spec["predicted_hours"] for row in rows if "predicted_hours" in row.spec
    }
    return Quoted(opened.get("expected_usd"), opened.get("worst_usd"), hours)


def _job_output(project: Project, options: RunOptions) -> JobOutput | None:
    followed = options.follow and not options.terminal.json
    return JobOutput(options.terminal, project.job_log) if followed else None


def force_end(session: ProjectSession, lease: Lease, reason: str) -> None:
    """Close `lease` without its plan, for a lease that its plan cannot end.

    Terminates its pods and records that in journal and ledger.

    Raises: ProviderError; ConnectionLost for a pod that cannot be confirmed gone.
    """
    terminal, provider = session.context.terminal, session.context.provider
    check_provider(lease, provider.name)
    policy = session.policy(terms(session.journal, lease))
    termination = ForcedTermination(
        lease.id,
        session.journal,
        session.ledger,
        provider,
        provider_clock(provider, terminal.warn),
        terminal.say,
        terminal.warn,
        settle=policy.settle,
        patience=policy.lost,
        retry_seconds=policy.ask_again,
        pause=policy.poll_boot,
    )
    try:
        termination.carry_out(reason)
    finally:
        refresh(session.context.project, session.journal, session.ledger, terminal.warn)


def _run_context(
    session: ProjectSession, lease: Lease, options: RunOptions, clock: Clock, view: View
) -> RunContext:
    project, provider = session.context.project, session.context.provider
    journal, connection = session.journal, session.owner.connection
    runs = journal.runs(lease=lease.id)
    specs = {run.id: unpinned(run.spec) for run in runs}
    stages = {run: stage for run, (stage, _) in specs.items()}
    shape = replace(next(iter(specs.values()))[1], api_base=session.context.shape.api_base)
    lease_terms = terms(journal, lease)
    policy = with_stages(session.policy(lease_terms, options.budget_usd), stages.values())
    return RunContext(
        project=project,
        lease=lease.id,
        stages=stages,
        shape=shape,
        policy=proven(policy, project, journal, shape.image),
        provider=provider,
        link=_link(session, lease, runs[0].stage),
        journal=journal,
        ledger=session.ledger,
        locks=Locks(connection, session.owner.epoch),
        last_seen=LastSeen(connection),
        clock=clock,
        owner=installation(connection),
        public_key=ensure_key(project.state_dir).public,
        bootstrap=bootstrap(),
        draw_nonce=partial(secrets.token_hex, 8),
        limits=_drill_limits(lease),
        cap_usd=budget_cap(lease_terms.get("cap_usd"), options.budget_usd),
        accept_unguarded=_accept_unguarded(options),
        accept_restart=_accept_restart(options),
        tell=view.message,
        brought=view.brought,
        stop_asked=lambda: bool(StopRequests(project.state_dir).of(lease.id)),
        moved=view.moved,
        tick=view.tick,
    )


def _link(session: ProjectSession, lease: Lease, stage: str) -> PodConnection:
    """The connection that was begun ahead for the lease, or a new one."""
    if lease.id in session.connections:
        return session.connections.pop(lease.id)
    return PodConnection(session.context.project, session.context.provider, stage)


def budget_cap(opened_with: float | None, now: float | None) -> float | None:
    """US dollars; a budget given now may allow more than the lease was opened with."""
    return opened_with if opened_with is None or now is None else max(opened_with, now)


def _drill_limits(lease: Lease) -> GuardLimits | None:
    """The guard's limits that a self-stop drill was opened with; None for any other lease."""
    drill = lease.data.get("drill")
    return GuardLimits(**drill["limits"]) if drill else None


def _accept_unguarded(options: RunOptions) -> Callable[[str], bool]:
    def accept(detail: str) -> bool:
        if options.unguarded:
            return True
        question = f"The guard is not armed ({detail}): the worst case is not bounded. Continue?"
        try:  # the pod bills while we ask, and nothing else would stop it
            return options.terminal.confirm(question, "--unguarded", ANSWER_SECONDS)
        except PodctlError as error:
            options.terminal.warn(f"{error.what} {error.hint}")
            return False

    return accept


def _accept_restart(options: RunOptions) -> Callable[[str], bool]:
    def accept(detail: str) -> bool:
        try:
            return options.terminal.confirm(f"{detail}. Rent another pod?", "pod.on_vanished")
        except PodctlError:
            options.terminal.warn(f"{detail}: nothing is rented without confirmation")
            return False

    return accept


def _watch(
    session: ProjectSession, view: View, options: RunOptions, notifier: Notifier | None
) -> Callable[[Observation, Action], None]:
    """Show each action, rewrite STATUS.md when it changes, and end a detached command."""
    project, terminal = session.context.project, options.terminal

    def watch(observation: Observation, action: Action) -> None:
        shown = attempt(partial(view, observation, action))
        if isinstance(shown, Incident):
            terminal.warn(f"progress cannot be shown: {shown.text}")
        if notifier is not None and isinstance(
            found := attempt(partial(notifier.observe, observation, action)), Incident
        ):
            terminal.warn(f"notifications cannot be recorded: {found.text}")
        if isinstance(action, actions.Upload | actions.Pull | actions.Close | actions.Terminate):
            refresh(project, session.journal, session.ledger, terminal.warn)
        status = observation.job.contact.status if observation.job.contact else None
        if options.detach and status is not None and status.state == "running":
            raise _JobRuns

    return watch
