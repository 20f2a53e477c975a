"""Judges downloaded files before renting: `podctl judge`, and what `podctl run` offers first."""

from __future__ import annotations

from collections.abc import Sequence

from controller.engine.lease_context import terms
from controller.errors import Locked, NotFound, PodctlError, VerificationFailed
from controller.leases import finished_run
from controller.leases.drive import drive_lease
from controller.leases.finished_run import FinishedRun
from controller.leases.options import RunOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.locks import certificate
from controller.planner.lease_state import Step
from controller.preflight.stage_definition import check_criteria
from controller.project.project import Project
from controller.project.provider import open_provider
from controller.runtime.judgement import Judgement
from controller.status.write_status_page import refresh_if_possible
from controller.terminal.terminal import Terminal
from jobs.stage import Stage
from state.journal import RUN
from state.locks import Locks
from state.project_lock import ProjectLock, acquire

FRESH = "--fresh"
PATIENCE_SECONDS = 5.0  # with the provider, after the stage is locked


def judge(
    project: Project, name: str, accept: str, terminal: Terminal
) -> tuple[FinishedRun, Judgement]:
    """Judge the newest run of a stage, or the run, whose files are here, and lock the stage.

    Raises NotFound, Locked, VerificationFailed when a criterion is not met.
    """
    named = RUN.fullmatch(name)
    stage = project.stage(named[1] if named else name)
    check_criteria(project, [stage])
    with acquire(project.state_dir, f"judge {name}") as owner:
        found = finished_run.newest(project, owner, name, terminal.say)
        _check_unlocked(project, owner, stage.name, found.run)
        terminal.say(f"{found.run}: judging its files in {found.folder.files}, at no cost")
        judgement = found.look(accept)
        try:
            found.lock(judgement)
        finally:
            refresh_if_possible(project, owner, terminal.warn)
        terminal.say(f"{stage.name} is locked by {found.run}")
        _end_rest(project, owner, found, terminal)
    return found, judgement


def _check_unlocked(project: Project, owner: ProjectLock, stage: str, run: str) -> None:
    """A crash may have left the certificate of this very run: then its lock is completed."""
    recorded = Locks(owner.connection).current(stage)
    written = certificate.read(project.root, stage)
    if recorded is not None or (written is not None and written.run != run):
        by = recorded.run if recorded else written.run if written else ""
        raise Locked(
            f"{stage} is locked by {by}",
            where=f"locks/{stage}.json",
            hint=f"podctl unlock {stage} --reason … to judge it again",
        )


def judge_first(
    session: ProjectSession, stages: Sequence[Stage], options: RunOptions
) -> tuple[Stage, ...]:
    """Lock what a finished run's files pass already; returns the stages that are to be run.

    Only a run that failed nothing but its criteria, with the same command, parameters, inputs,
    code, environment and image, is offered; the user confirms it, or passes -y.
    """
    if options.fresh or options.resume:
        return tuple(stages)
    return tuple(stage for stage in stages if not _judged(session, stage, options))


def _judged(session: ProjectSession, stage: Stage, options: RunOptions) -> bool:
    tell = options.terminal.say
    found = _candidate(session, stage, options)
    if found is None:
        return False
    if others := found.differs(stage):
        tell(f"{stage.name} is run again: {found.run} is finished, but since then {others[0]}")
        return False
    judgement = found.look()
    if judgement.verdict != "PASS":
        tell(f"{found.run} ran with the same code, inputs and parameters, and its files still fail")
        tell(f"  {judgement.shortfall}")
        tell(
            f"  podctl judge {stage.name} judges them again at no cost; this run starts from the "
            "beginning"
        )
        return False
    tell(f"{found.run} ran with the same code, inputs and parameters: its files meet the criteria")
    question = f"Lock {stage.name} with {found.run} at no cost instead of renting?"
    if not (options.yes or options.terminal.confirm(question, f"-y, or {FRESH} to run it again")):
        return False
    found.lock(judgement)
    tell(f"{stage.name} is locked by {found.run}; podctl run {stage.name} {FRESH} runs it again")
    _end_lease(session, found, options)
    return True


def _candidate(session: ProjectSession, stage: Stage, options: RunOptions) -> FinishedRun | None:
    rows = session.journal.runs(stage.name)
    if not rows or rows[-1].outcome != "criteria":
        return None
    project, owner = session.context.project, session.owner
    try:
        found = finished_run.newest(project, owner, rows[-1].id, options.terminal.say)
    except (NotFound, VerificationFailed) as error:
        options.terminal.say(f"{stage.name} is run again: {error.what}; {error.cause}")
        return None
    return None if found.facts.locked else found


def _end_rest(project: Project, owner: ProjectLock, found: FinishedRun, terminal: Terminal) -> None:
    """Terminate the pod of a run that has passed now, as after a success."""
    lease = found.journal.lease(found.row.lease)
    if lease is None or not lease.open:
        return
    try:
        open_provider(project, PATIENCE_SECONDS).list()  # else its end would be waited for
        session = ProjectSession.of(CommandContext.of(project, terminal), owner)
        _end_lease(session, found, RunOptions(terminal, yes=True))
    except PodctlError as error:
        terminal.warn(f"its pod still exists: {error.what}")
        terminal.say(f"next: podctl stop {found.run} --terminate")


def _end_lease(session: ProjectSession, found: FinishedRun, options: RunOptions) -> None:
    lease = session.journal.lease(found.row.lease)
    if lease is None or lease.id not in {one.id for one in session.resting()}:
        return
    if terms(found.journal, lease).get("on_success", "terminate") != "terminate":
        return
    if any(run.outcome != "passed" for run in found.lease_state().wanted):
        return
    options.terminal.say(f"all files of {found.run} are downloaded: its pod is terminated")
    session.journal.note(lease.id, Step.STOP, {"disposal": "terminate", "abandon": None})
    drive_lease(session, lease, options, ending=True)
