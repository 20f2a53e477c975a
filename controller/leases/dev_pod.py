"""A pod without a stage of the project, to work on by hand: `podctl up` and `podctl down`.

It is a lease like any other, whose one job does nothing until it is stopped. So its guard, budget,
ledger and downloads are those of every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from controller.engine.lease_context import unpinned
from controller.errors import Detached, NotFound, PodctlError, UsageError
from controller.leases.commands import stop
from controller.leases.drive import drive_lease
from controller.leases.open_lease import open_lease
from controller.leases.options import RunOptions, StopOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.leases.resting_pod import clock_time
from controller.leases.stop_report import StoppedLease
from controller.leases.visit import end_visits
from controller.planner.lease_state import LeaseState
from controller.preflight import hardware as hardware_check
from controller.project.journal import open_journal
from controller.project.project import Project
from jobs.stage import Criterion, HardwareNeed, Stage
from state.journal_rows import Lease

STAGE = "devpod"  # the name under which `podctl ssh`, `exec`, `forward` and `status` know it
OUTPUTS = ("out/**",)  # downloaded at the end where nothing else is asked for


def stage(hardware: HardwareNeed, hours: float, outputs: Sequence[str] = ()) -> Stage:
    """The stage of a dev pod: it waits for `hours`, and then its outputs are downloaded."""
    return Stage(
        name=STAGE,
        title="A pod to work on by hand",
        command=("sleep", "infinity"),
        outputs=tuple(outputs) or OUTPUTS,
        criteria=(Criterion(kind="exists", path="out"),),
        hardware=hardware,
        hours=hours,
        max_hours=hours,
        stall_minutes=120.0 * hours,  # it never reports progress
        grace_seconds=10.0,
    )


def up(project: Project, wanted: Stage, options: RunOptions) -> LeaseState:
    """Rent the pod, or carry on with the one that there is, until it can be worked on.

    Raises: as renting a pod does.
    """
    if STAGE in project.stages:
        raise UsageError(
            f"podctl.toml has a stage of its own called {STAGE}", hint="give it another name"
        )
    context = CommandContext.of(project, options.terminal)
    with context.owned("up") as session:
        end_visits(session, options)
        lease = _opened(session)
        if lease is None:
            session = session.at_volume((wanted,))
            shape = session.context.shape
            for line in hardware_check.check(project, context.provider, (wanted,), shape):
                options.terminal.say(line)
            lease = open_lease(session, (wanted,), options)
        try:
            drive_lease(session, lease, replace(options, detach=True))
        except Detached:
            state = session.state_of(lease)
            if state.current is None or not state.current.started:
                raise
            _tell(session, state)
            return state
        raise PodctlError("the pod's job has ended", hint="podctl status; podctl up")


def down(project: Project, options: StopOptions) -> tuple[StoppedLease, ...]:
    """Download what was asked for and terminate the pod. Raises NotFound when there is none."""
    journal = open_journal(project)
    runs = [run for lease in journal.open_leases() for run in journal.runs(lease=lease.id)]
    ours = [run.id for run in runs if run.stage == STAGE]
    if not ours:
        raise NotFound("no dev pod is up", hint="podctl up; podctl status")
    return stop(project, ours[-1], replace(options, terminate=True))


def _opened(session: ProjectSession) -> Lease | None:
    """The lease of a dev pod that is not at its end."""
    for lease in session.unfinished():
        if STAGE in session.stages_of(lease):
            return lease
    return None


def _tell(session: ProjectSession, state: LeaseState) -> None:
    """How to work on the pod, what it costs and until when."""
    terminal, run = session.context.terminal, state.current
    assert run is not None
    assert state.pod is not None
    row = session.journal.run(run.run)
    assert row is not None
    begun, _ = unpinned(row.spec)
    line = (
        f"{run.run} is up on pod {state.pod}: ${session.usd_per_hour(state.pod):.4f}/h until "
        f"{clock_time(run.started_at + 3600.0 * begun.max_hours)}, then it is stopped"
    )
    terminal.say(line)
    terminal.bills.reported = line
    terminal.say(
        f"podctl down downloads {' '.join(begun.outputs)} of its work folder, then terminates it"
    )
    terminal.say(
        f"next: podctl ssh {STAGE}; podctl exec {STAGE} -- COMMAND; podctl forward {STAGE} PORT"
    )
