"""`podctl doctor`: checks everything that a run needs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from controller.cli.options import current_project, json_option, provider_of, yes_option
from controller.errors import PodctlError
from controller.terminal.streams import is_tty
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.diagnostics.doctor import Check
    from controller.project.project import Project


@click.command("doctor")
@click.option("--register", is_flag=True, help="Register the project's ssh key with the account.")
@click.option("--drill", is_flag=True, help="Rent the cheapest pod and test that it stops itself.")
@yes_option("Rent for the drill without asking.")
@json_option
@click.pass_obj
def command(terminal: Terminal, register: bool, drill: bool, yes: bool) -> int:
    """Check Python, podctl.toml, state folder, disk, key, balance, ssh key and clock.

    Each line is PASS, WARN or FAIL, with the fix. Exits with 0 if no check failed. --drill first
    rents a pod for some minutes (cents), waits without contact until the pod's guard has stopped
    it, and terminates it. podctl stores the result and shows it from then on.
    """
    from controller.diagnostics.doctor import FAIL, PASS, examine, public_key
    from controller.orphans.warnings import warn_about_orphans
    from controller.project.consent import introduce

    project = current_project()
    with contextlib.suppress(PodctlError):  # an error in podctl.toml is reported below
        introduce(project, project.stages.values(), terminal)
    if register:
        provider_of(project, terminal).register_key(public_key(project))
        terminal.say("registered the project's ssh key; other keys of the account are unchanged")
    if drill:
        _hold_drill(project, terminal, yes)
    checks: list[Check] = []
    for check in examine(project, lambda: provider_of(project, terminal)):
        checks.append(check)
        if not terminal.json:
            fix = f"  -> {check.mend}" if check.mend and check.verdict != PASS else ""
            terminal.verdict(check.verdict, f"{check.name}: {check.detail}{fix}")
    warn_about_orphans(project, terminal)
    failed = [check for check in checks if check.verdict == FAIL]
    if terminal.json:
        terminal.emit_json("podctl/doctor/1", {"checks": checks, "ok": not failed})
    elif _may_register(terminal, failed):
        provider_of(project, terminal).register_key(public_key(project))
        terminal.say("registered")
        failed = [check for check in failed if check.name != "ssh key"]
    return failed[0].exit_code if failed else 0


def _hold_drill(project: Project, terminal: Terminal, yes: bool) -> None:
    from controller.leases.drill import prove
    from controller.leases.options import RunOptions

    project.prepare()
    prove(project, RunOptions(terminal, yes=yes, follow=False))


def _may_register(terminal: Terminal, failed: Sequence[Check]) -> bool:
    """Whether the user agrees to register the missing ssh key; False without a terminal."""
    if not is_tty(terminal.source) or all(check.name != "ssh key" for check in failed):
        return False
    return terminal.confirm("Register the project's ssh key with the account now?", "--register")
