"""Which lease `podctl stop NAME` ends: the one that was named, and no other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.errors import NotFound, UsageError
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from state.journal import Journal


def named(journal: Journal, name: str | None, *, every: bool = False) -> tuple[str, ...]:
    """The open lease that `name` means: a run, pod, lease or stage; empty: there is none.

    Without a name the only one; with `every`, all of them. Raises UsageError for a name that means
    several, and for a run whose pod another run uses.
    """
    opened = [lease_state_of(journal, lease.id) for lease in journal.open_leases()]
    if every:
        return tuple(one.lease for one in opened)
    if name is None:
        return _only(opened, "podctl stop")
    exactly = [one for one in opened if name in (one.lease, *one.pods)]
    if exactly:
        return tuple(one.lease for one in exactly)
    of_run = [one for one in opened if any(run.run == name for run in one.runs)]
    for lease_state in of_run:
        _check_run(lease_state, name)
    return tuple(one.lease for one in of_run) or _of_stage(opened, name)


def _check_run(lease_state: LeaseState, name: str) -> None:
    """Raises when the pod of run `name` works for another run."""
    current = lease_state.current
    if current is None or current.run == name:
        return
    run = next(one for one in lease_state.runs if one.run == name)
    if run.outcome is not None:
        raise NotFound(
            f"{name} has ended: {run.outcome}",
            cause=f"{current.run} uses its pod {lease_state.pod or ''} now".replace("  ", " "),
            hint=f"podctl stop {current.run}",
        )
    raise UsageError(
        f"{name} has not begun",
        cause=f"it follows {current.run} on the same pod",
        hint=f"podctl stop {current.run} ends both",
    )


def _of_stage(opened: Sequence[LeaseState], stage: str) -> tuple[str, ...]:
    """The lease that works on `stage`; else the one whose pod waits after it."""
    working = [one for one in opened if one.current is not None and one.current.stage == stage]
    if working:
        return _only(working, stage)
    found = [one for one in opened if any(run.stage == stage for run in one.wanted)]
    for lease_state in found:
        _check_run(lease_state, next(r.run for r in lease_state.wanted if r.stage == stage))
    return _only(found, stage)


def _only(found: Sequence[LeaseState], asked: str) -> tuple[str, ...]:
    if len(found) > 1:
        raise UsageError(
            f"{asked} could mean {', '.join(_runs(found))}",
            hint="podctl stop RUN names one of them; podctl stop --all ends every one",
        )
    return tuple(one.lease for one in found)


def _runs(found: Iterable[LeaseState]) -> Iterable[str]:
    """One run of each lease, by which the user can name it."""
    for lease_state in found:
        run = lease_state.current or (lease_state.wanted or (None,))[-1]
        yield run.run if run is not None else lease_state.lease
