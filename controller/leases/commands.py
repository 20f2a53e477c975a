"""The operations behind `podctl run`, `sync` and `stop`: open leases, drive them, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial

from controller.engine.loop import Plan
from controller.errors import (
    Busy,
    ConnectionLost,
    Detached,
    DetachedAsAsked,
    NotFound,
    PodctlError,
    Refused,
    UsageError,
)
from controller.incident import NOT_OURS, Incident, attempt
from controller.leases.ahead import ask_ahead, connect_ahead
from controller.leases.config_drift import check_values, edits
from controller.leases.disposal import disposal_by, disposal_of
from controller.leases.drive import drive_lease, force_end
from controller.leases.fetch import fetch, unfetched
from controller.leases.open_lease import open_lease, wait_terms
from controller.leases.options import RunOptions, StopOptions
from controller.leases.preconditions import check_ready, unlocked
from controller.leases.project_session import CommandContext, ProjectSession
from controller.leases.rejudge import judge_first
from controller.leases.stop_handover import Handed, hand_over
from controller.leases.stop_report import StoppedLease, check_ended, report
from controller.leases.stop_requests import ended, record, taken_up
from controller.leases.stop_target import named
from controller.leases.unlisted_pods import UnlistedPods
from controller.leases.visit import end_visits
from controller.notifications.notifier import deliver_waiting
from controller.planner import pod_spec as order
from controller.planner.decide import plan_passive
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import Step
from controller.preflight import hardware as hardware_check
from controller.preflight.stage_definition import check_definitions
from controller.project import consent
from controller.project.project import Project
from controller.project.provider import other_api
from controller.project.stages import ALL, select
from controller.runtime.resume import check_resume
from controller.status.write_status_page import refresh
from controller.terminal.terminal import Terminal
from jobs.stage import Stage
from state.database import open_database
from state.journal import Journal
from state.journal_rows import Lease
from state.ledger import Ledger

# Errors that ending a lease without its plan would meet as well.
NOT_FORCED = (Busy, ConnectionLost, Detached, Refused, UsageError)


def run_stages(project: Project, names: Sequence[str], options: RunOptions) -> None:
    """Run the stages in order, each to its lock. Returns only when every one passed.

    An unfinished lease of one of them is resumed instead of renting another pod.
    """
    chosen = select(project, names)
    consent.introduce(project, chosen, options.terminal)
    context = CommandContext.of(project, options.terminal)
    if line := other_api(project):
        options.terminal.say(line)
    with context.owned(f"run {' '.join(names)}") as session:
        attempt(partial(deliver_waiting, project, options.terminal.warn))
        end_visits(session, options)
        # Unfinished leases first: the stage may be locked by now while its pod still exists.
        begun = [
            lease
            for lease in session.unfinished()
            if any(stage.name in session.stages_of(lease) for stage in chosen)
        ]
        check_values(project, session, begun)
        carried = {name for lease in begun for name in session.stages_of(lease)}
        for lease in begun:
            if wait := wait_terms(options, time.time()):
                session.journal.note(lease.id, Step.WAIT, wait)
            _report_incidents(partial(_resume, session, lease, options))
        rest = tuple(stage for stage in chosen if stage.name not in carried)
        if options.resume is not None:
            names_of_rest = [stage.name for stage in rest]
            check_resume(project, session.journal, options.resume, names_of_rest)
        if rest or not begun:
            rest = unlocked(project, rest, session.locks(), every=ALL in names)
        if rest:
            session = session.at_volume(rest)
        attempt(partial(ask_ahead, session, rest))
        unlisted = UnlistedPods()
        _observe_resting(session, options, unlisted)
        session = session.with_unlisted(unlisted.leases)
        attempt(partial(connect_ahead, session, rest))
        attempt(session.report_resting)
        check_definitions(project, rest)
        rest = judge_first(session, rest, options)
        check_ready(project, rest, options.terminal.warn)
        context = session.context
        _check_hardware(context, rest)
        consent.ask(project, rest, options.terminal, give=options.give_secrets)
        for group in order.groups(rest):
            shaped = session.with_image(group)
            lease = open_lease(shaped, group, options)
            _report_incidents(partial(drive_lease, shaped, lease, options))


def _check_hardware(context: CommandContext, stages: Sequence[Stage]) -> None:
    """Check the hardware of every pod before the first is rented. Raises UsageError, NoCapacity."""
    for group in order.groups(stages):
        shape = order.with_image(context.shape, group)
        for line in hardware_check.check(context.project, context.provider, group, shape):
            context.terminal.say(line)


def sync(project: Project, options: RunOptions) -> None:
    """Resume every unfinished lease: pull, verify, lock, shut down."""
    context = CommandContext.of(project, options.terminal)
    with context.owned("sync") as session:
        attempt(partial(deliver_waiting, project, options.terminal.warn))
        end_visits(session, options)
        leases = [
            lease
            for lease in session.unfinished()
            if not options.stages or set(options.stages) & session.names_of(lease)
        ]
        if project.problem is not None:
            leases = [lease for lease in leases if _rented(session, lease)]
        if not leases and not unfetched(session, options.stages):
            _check_names(session, options.stages)
            options.terminal.say(f"nothing {_of(options.stages)}is unfinished")
        failed = _each(leases, options.terminal, lambda lease: _resume(session, lease, options))
        failed = fetch(session, options) or failed
        _observe_resting(session, options)
        attempt(session.report_resting)
        refresh(project, session.journal, session.ledger, options.terminal.warn)
        if failed:
            raise failed


def _rented(session: ProjectSession, lease: Lease) -> bool:
    """Whether `lease` has, or may have, a pod; nothing is rented while podctl.toml has errors."""
    state = session.state_of(lease)
    if state.pod or state.unsettled or state.ambiguous or state.pending_terminations:
        return True
    session.context.terminal.say(f"{lease.id} has no pod, and none is rented until that is mended")
    return False


def _of(names: Sequence[str]) -> str:
    return f"of {', '.join(names)} " if names else ""


def _check_names(session: ProjectSession, names: Sequence[str]) -> None:
    """Raise NotFound for what is the name of no run and of no stage."""
    journal, known = session.journal, session.context.project
    for name in names:
        if journal.run(name) is None and journal.newest_run(name) is None:
            known.stage(name)


def _observe_resting(
    session: ProjectSession, options: RunOptions, plan: Plan = plan_passive
) -> None:
    """Record what happened to pods that wait for the user; a failure is only a warning."""
    look = partial(drive_lease, session, options=options, ending=True, plan=plan)
    _each(session.resting(), options.terminal, look)


def _resume(session: ProjectSession, lease: Lease, options: RunOptions) -> None:
    """Resume a lease with its recorded settings, and warn about edits made since."""
    found = attempt(partial(edits, session.context.project, session.journal, lease))
    for line in () if isinstance(found, Incident) else found:
        options.terminal.warn(line)
    if options.give_secrets:
        consent.allow(
            session.context.project,
            consent.withheld(session.context.project, session.recorded_stages(lease)),
        )
    drive_lease(session, lease, options)


def stop(project: Project, stage: str | None, options: StopOptions) -> tuple[StoppedLease, ...]:
    """End one lease early, pulling first; `stage` may also be a run, a lease or a pod.

    When another process holds the project lock, it is sent a request, and this one waits.
    """
    context = CommandContext.of(project, options.terminal)
    disposal = disposal_by(project, options)
    with ExitStack() as stack:
        try:
            session = stack.enter_context(context.owned("stop", wait_seconds=0.0))
        except Busy as busy:
            handed = hand_over(context, stack, stage, disposal, options, busy)
            return _finish_stop(context, handed, options, disposal)
        leases = named(session.journal, stage, every=options.every)
        if not leases:
            raise NotFound("nothing to stop", hint="podctl status; podctl gc")
        for lease in leases:  # before waiting: a later command ends what this one cannot
            wish = disposal_of(lease_state_of(session.journal, lease), disposal)
            session.journal.note(lease, Step.STOP, {"disposal": wish, "abandon": options.abandon})
        _end_all(session, leases, options, disposal)
        attempt(session.report_resting)
        return report(session.journal, session.ledger, leases, "podctl stop")


def _finish_stop(
    context: CommandContext, handed: Handed, options: StopOptions, disposal: str
) -> tuple[StoppedLease, ...]:
    """Do what the other process left undone, and report how every lease ended."""
    leases = [request.lease for request in handed.asked]
    if (session := handed.session) is not None:
        left = [request for request in handed.asked if not ended(session.journal, request)]
        for request in left:
            if not taken_up(session.journal, request):
                session.journal.note(request.lease, Step.STOP, record(request))
        if left:
            options.terminal.say(f"{handed.driver} has ended; this process takes over")
            _end_all(session, [request.lease for request in left], options, disposal)
    with closing(open_database(context.project.database, readonly=True)) as connection:
        found = report(Journal(connection), Ledger(connection), leases, handed.driver)
        for lease in leases:
            check_ended(lease_state_of(Journal(connection), lease), disposal)
    return found


def _end_all(
    session: ProjectSession, leases: Sequence[str], options: StopOptions, disposal: str
) -> None:
    """Drive every lease to its end; raises the first error after the last."""
    end = partial(_end, session, options=options, disposal=disposal)
    opened = [lease for name in leases if (lease := session.journal.lease(name)) is not None]
    failed = _each(opened, options.terminal, end)
    refresh(
        session.context.project,
        session.journal,
        session.ledger,
        options.terminal.warn,
    )
    if failed:
        raise failed


def _end(session: ProjectSession, lease: Lease, options: StopOptions, disposal: str) -> None:
    wish = RunOptions(options.terminal, yes=options.yes, follow=False)
    drive = partial(drive_lease, session, lease, wish, ending=True)
    if options.abandon is None:
        drive()
        check_ended(session.state_of(lease), disposal)
        return
    tried = attempt(drive, let_pass=(*NOT_OURS, *NOT_FORCED))
    found = session.journal.lease(lease.id)
    if found is not None and found.open:  # its plan could not end it
        if isinstance(tried, Incident):
            options.terminal.warn(f"{lease.id} is terminated without its plan: {tried.text}")
        force_end(session, lease, options.abandon)


def _report_incidents(work: Callable[[], None]) -> None:
    """Call `work`; raise an unforeseen exception as a PodctlError with the next command."""
    done = attempt(work, let_pass=(*NOT_OURS, PodctlError))
    if isinstance(done, Incident):
        raise done.as_error() from done.error


def _each(
    leases: Sequence[Lease], terminal: Terminal, work: Callable[[Lease], None]
) -> PodctlError | None:
    """Call `work` for every lease, even after an error; returns the first error.

    Raises: Detached at once, when the user leaves.
    """
    failed: PodctlError | None = None
    for lease in leases:
        try:
            done = attempt(partial(work, lease), let_pass=(*NOT_OURS, Detached))
        except DetachedAsAsked as detached:  # the other leases are not left alone for that
            terminal.notice(detached)
            continue
        if isinstance(done, Incident):
            error = done.as_error()
            failed = failed or error
            terminal.warn(error.what)
    return failed
