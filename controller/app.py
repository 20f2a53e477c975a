"""What `podctl run`, `sync` and `stop` do: open leases, drive them, say how they ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from controller import order
from controller.edits import edits
from controller.errors import Detached, NotFound, PodctlError
from controller.office import Desk, Office
from controller.options import RunOptions, StopOptions
from controller.plan import glance
from controller.progress_page import refresh
from controller.project import Project
from controller.readiness import check_ready, unlocked
from controller.rental import Step
from controller.stages import ALL, select
from controller.terminal import Terminal
from state.journal import Lease


def run_stages(project: Project, names: Sequence[str], options: RunOptions) -> None:
    """Run the stages in order, each to its lock. Returns only when every one passed.

    A lease that was left unfinished for one of them is carried on, not rented again.
    """
    chosen = select(project, names)
    desk = Desk.of(project, options.terminal)
    with desk.owned(f"run {' '.join(names)}") as office:
        # First what was begun: it may be locked by now and its pod still be there.
        begun = [
            lease
            for lease in office.unfinished()
            if any(stage.name in office.stages_of(lease) for stage in chosen)
        ]
        carried = {name for lease in begun for name in office.stages_of(lease)}
        for lease in begun:
            _carry_on(office, lease, options)
        rest = tuple(stage for stage in chosen if stage.name not in carried)
        if rest or not begun:
            rest = unlocked(project, rest, office.locks(), every=ALL in names)
        _look_at_resting(office, options)
        office.tell_resting()
        check_ready(project, rest, options.terminal.say)
        for group in order.groups(rest):
            lease = office.open(group, options)
            office.drive(lease, options)


def sync(project: Project, options: RunOptions) -> None:
    """Carry every unfinished lease on: pull, verify, lock, shut down."""
    desk = Desk.of(project, options.terminal)
    with desk.owned("sync") as office:
        leases = [
            lease
            for lease in office.unfinished()
            if not options.stages or set(options.stages) & set(office.stages_of(lease))
        ]
        if not leases:
            options.terminal.say("nothing is unfinished")
        failed = _each(leases, options.terminal, lambda lease: _carry_on(office, lease, options))
        _look_at_resting(office, options)
        office.tell_resting()
        refresh(project, office.journal, office.ledger)
        if failed:
            raise failed


def _look_at_resting(office: Office, options: RunOptions) -> None:
    """What became of pods that wait for the user: for the books, and in nobody's way."""
    look = partial(office.drive, options=options, ending=True, plan=glance)
    _each(office.resting(), options.terminal, look)


def _carry_on(office: Office, lease: Lease, options: RunOptions) -> None:
    """Drive what was begun as it was begun; what was edited since is told."""
    for line in edits(office.desk.project, office.journal, lease):
        options.terminal.warn(line)
    office.drive(lease, options)


def stop(project: Project, stage: str | None, options: StopOptions) -> None:
    """End leases early, pulling first; `stage` may also be a run, a lease or a pod."""
    desk = Desk.of(project, options.terminal)
    with desk.owned("stop", wait_seconds=0.0) as office:
        leases = [
            lease
            for lease in office.journal.open_leases()
            if stage is None or stage in office.names_of(lease)
        ]
        if not leases:
            raise NotFound("nothing to stop", hint="podctl status; podctl gc")
        disposal = _disposal(project, options)
        for lease in leases:  # before any is waited for: a later command ends what this one cannot
            wish = {"disposal": disposal, "abandon": options.abandon}
            office.journal.note(lease.id, Step.STOP, wish)
        end = partial(_end, office, options=options, disposal=disposal)
        failed = _each(leases, options.terminal, end)
        refresh(project, office.journal, office.ledger)
        if failed:
            raise failed


def _end(office: Office, lease: Lease, options: StopOptions, disposal: str) -> None:
    office.drive(lease, RunOptions(options.terminal, yes=options.yes), ending=True)
    office.check_ended(lease, disposal)


def _each(
    leases: Sequence[Lease], terminal: Terminal, work: Callable[[Lease], None]
) -> PodctlError | None:
    """Do it to every lease, whatever becomes of another; returns the first error.

    Raises Detached at once: the user goes.
    """
    failed: PodctlError | None = None
    for lease in leases:
        try:
            work(lease)
        except Detached:
            raise
        except PodctlError as error:
            failed = failed or error
            terminal.warn(error.what)
    return failed


def _disposal(project: Project, options: StopOptions) -> str:
    if options.terminate or options.abandon:
        return "terminate"
    policy = project.config.pod.on_failure
    return "park" if policy == "keep" else policy
