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
        finished = finished_run.newest(project, owner, name, terminal.say)
        _check_unlocked(project, owner, stage.name, finished.run)
        terminal.say(f"{finished.run}: judging its files in {finished.folder.files}, at no cost")
        judgement = finished.look(accept)
        try:
            finished.lock(judgement)
        finally:
            refresh_if_possible(project, owner, terminal.warn)
        terminal.say(f"{stage.name} is locked by {finished.run}")
        _end_rest(project, owner, finished, terminal)
    return finished, judgement


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
    finished = _candidate(session, stage, options)
    if finished is None:
        return False
    if others := finished.differs(stage):
        tell(f"{stage.name} is run again: {finished.run} is finished, but since then {others[0]}")
        return False
    judgement = finished.look()
    if judgement.verdict != "PASS":
        tell(
            f"{finished.run} ran with the same code, inputs and parameters, "
            "and its files still fail"
        )
        tell(f"  {judgement.shortfall}")
        tell(
            f"  podctl judge {stage.name} judges them again at no cost; this run starts from the "
            "beginning"
        )
        return False
    tell(
        f"{finished.run} ran with the same code, inputs and parameters: its files meet the criteria"
    )
    question = f"Lock {stage.name} with {finished.run} at no cost instead of renting?"
    if not (options.yes or options.terminal.confirm(question, f"-y, or {FRESH} to run it again")):
        return False
    finished.lock(judgement)
    tell(f"{stage.name} is locked by {finished.run}; podctl run {stage.name} {FRESH} runs it again")
    _end_lease(session, finished, options)
    return True


def _candidate(session: ProjectSession, stage: Stage, options: RunOptions) -> FinishedRun | None:
    rows = session.journal.runs(stage.name)
    if not rows or rows[-1].outcome != "criteria":
        return None
    project, owner = session.context.project, session.owner
    try:
        finished = finished_run.newest(project, owner, rows[-1].id, options.terminal.say)
    except (NotFound, VerificationFailed) as error:
        options.terminal.say(f"{stage.name} is run again: {error.what}; {error.cause}")
        return None
    return None if finished.facts.locked else finished


def _end_rest(
    project: Project, owner: ProjectLock, finished: FinishedRun, terminal: Terminal
) -> None:
    """Terminate the pod of a run that has passed now, as after a success."""
    lease = finished.journal.lease(finished.row.lease)
    if lease is None or not lease.open:
        return
    try:
        open_provider(project, PATIENCE_SECONDS).list()  # else its end would be waited for
        session = ProjectSession.of(CommandContext.of(project, terminal), owner)
        _end_lease(session, finished, RunOptions(terminal, yes=True, follow=False))
    except PodctlError as error:
        terminal.warn(f"its pod still exists: {error.what}")
        terminal.say(f"next: podctl stop {finished.run} --terminate")


def _end_lease(session: ProjectSession, finished: FinishedRun, options: RunOptions) -> None:
    lease = session.journal.lease(finished.row.lease)
    if lease is None or lease.id not in {one.id for one in session.resting()}:
        return
    if terms(finished.journal, lease).get("on_success", "terminate") != "terminate":
        return
    if any(run.outcome != "passed" for run in finished.lease_state().wanted):
        return
    options.terminal.say(f"all files of {finished.run} are downloaded: its pod is terminated")
    session.journal.note(lease.id, Step.STOP, {"disposal": "terminate", "abandon": None})
    drive_lease(session, lease, options, ending=True)
