"""The pod that `podctl ssh`, `exec` and `forward` connect to; a parked one after a question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from controller.project.journal import open_journal
from controller.project.project import Project
from controller.providers.base import Pod, PodStatus, Provider
from controller.status.target import look_up, reachable
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.status.target import Target


@contextmanager
def open_pod(
    project: Project,
    provider: Provider,
    target: Target,
    terminal: Terminal,
    command: str,
    *,
    yes: bool,
) -> Iterator[Pod]:
    """The target's pod, which can be connected to; one that was parked is parked again afterwards.

    Raises: as `reachable`, and as `visited` for a parked pod.
    """
    pod = look_up(provider, target)
    if not is_visit(project, target, pod):
        yield reachable(pod, target)
        return
    from controller.leases.visit import visited

    terminal.bills.drive(project.database)
    with visited(project, terminal, target.lease, command, yes=yes) as started:
        yield started


def is_visit(project: Project, target: Target, pod: Pod) -> bool:
    """Whether the pod is parked, or runs only because somebody works on it by hand."""
    from controller.planner.journal_fold import lease_state_of

    journal = open_journal(project)
    lease = journal.lease(target.lease)
    if lease is None or not lease.open:
        return False
    state = lease_state_of(journal, target.lease)
    return state.pod == pod.id and (pod.status is PodStatus.EXITED or state.visiting)
