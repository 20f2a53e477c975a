"""`podctl stop` without a name: every lease is ended, whatever becomes of another."""

from __future__ import annotations

import pytest

from controller.engine.lease_context import pinned
from controller.errors import Detached, UsageError
from controller.leases.commands import _each
from controller.leases.drive import drive_lease
from controller.leases.options import RunOptions
from controller.leases.project_session import CommandContext, ProjectSession
from controller.planner.decide import plan_passive
from controller.planner.lease_state import Step
from controller.terminal.terminal import Terminal
from state.journal import Journal
from state.journal_rows import Lease
from state.project_lock import acquire
from tests.support.laptop import Laptop
from tests.support.shell import Shell


def rented_elsewhere(shell: Shell) -> str:
    """A lease of another provider that is still open; returns it."""
    project = shell.project
    project.prepare()
    context = CommandContext.of(project, Terminal())
    with acquire(project.state_dir, "test") as owner:
        journal: Journal = ProjectSession.of(context, owner).journal
        spec = pinned(project.stage("hello"), context.shape)
        return journal.open_lease({"provider": "runpod"}, [("old", spec)])


def test_a_lease_that_cannot_be_ended_leaves_no_other_to_bill_on(
    laptop: Laptop, shell: Shell
) -> None:
    """The first was rented from another provider: that is said, with its exit code; the pod of the
    second is gone, and the wish is in the journal of both."""
    first = rented_elsewhere(shell)
    with laptop.held():
        shell("run", "hello", "-y", "--detach")
        assert len(laptop.living_pods()) == 1

        shell("stop", "--terminate", "-y", expect=2)

    assert f"lease {first} was rented from runpod" in shell.err
    assert laptop.living_pods() == []
    journal = laptop.journal()
    assert [lease.id for lease in journal.open_leases()] == [first]
    wishes = [
        op.data["disposal"]
        for lease in journal.leases()
        for op in journal.ops(lease.id)
        if op.step == Step.STOP
    ]
    assert wishes == ["terminate", "terminate"]


def test_who_detaches_from_one_lease_is_led_to_no_other() -> None:
    """Control-C while a pod is waited for ends the command, and rents nothing."""
    seen: list[Lease] = []

    def wait(lease: Lease) -> None:
        seen.append(lease)
        raise Detached("detached")

    leases = [Lease(name, 0.0, {}, None, None) for name in ("l0001", "l0002")]
    with pytest.raises(Detached):
        _each(leases, Terminal(), wait)

    assert seen == leases[:1]


def test_a_lease_of_another_provider_is_not_even_looked_at(laptop: Laptop, shell: Shell) -> None:
    """Its pod is in no listing of this one, and would be taken for gone."""
    rented = rented_elsewhere(shell)
    context = CommandContext.of(shell.project, Terminal())
    with acquire(shell.project.state_dir, "test") as owner:
        session = ProjectSession.of(context, owner)
        (lease,) = session.journal.open_leases()
        with pytest.raises(UsageError, match=f"lease {rented} was rented from runpod"):
            drive_lease(session, lease, RunOptions(Terminal()), ending=True, plan=plan_passive)
