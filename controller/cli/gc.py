"""`podctl gc`: what the account pays for: pods by whose they are, parked disks, network volumes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here, provider_of, yes_option
from controller.errors import NotFound, Refused, UsageError
from controller.project.project import Project
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.network_volumes import Volume
    from controller.orphans.sweep import OrphanPod
    from controller.providers.base import Provider


@click.command("gc")
@click.argument("pods", nargs=-1)
@click.option("--adopt", is_flag=True, help="Give PODS a new run of the stage in their name.")
@click.option("--terminate", is_flag=True, help="End PODS, or every stale one of this project.")
@click.option("--force", is_flag=True, help="With --terminate: also PODS that a run still owns.")
@yes_option("Terminate without asking.")
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    pods: tuple[str, ...],
    adopt: bool,
    terminate: bool,
    force: bool,
    yes: bool,
) -> None:
    """List the account's pods by whose they are; end or adopt what no run owns.

    --terminate --force POD is the last way out: it ends the whole lease of a pod that an unfinished
    run of this project owns, says before what is lost, and closes the lease as abandoned.

    $/MONTH is what the disk of a parked pod costs; network volumes, with theirs, come below.

    \b
    live          an unfinished run of this project owns it: podctl stop
    stale-own     rented by this project, and no run owns it any more
    other-podctl  rented by podctl from another folder or machine
    foreign       not rented by podctl: never touched
    """
    from controller.orphans.sweep import sweep
    from state.database import open_database

    if adopt and terminate:
        raise UsageError("--adopt and --terminate exclude one another")
    if force and not (terminate and pods):
        raise UsageError("--force wants --terminate and the pods", hint="podctl gc lists them")
    if adopt and not pods:
        raise UsageError("name the pods to adopt", hint="podctl gc lists them")
    project = project_here()
    project.prepare()
    provider = provider_of(project, terminal)
    connection = open_database(project.database, readonly=True)
    found = sweep(connection, provider.list())
    connection.close()
    if adopt or terminate:
        chosen = _chosen(found, pods)
        if force:
            from controller.cli.force_terminate import end_owned

            _refuse(tuple(one for one in chosen if one.whose != "live"))
            ended, chosen = chosen, end_owned(terminal, project, chosen, yes=yes)
            if not chosen:
                if terminal.json:
                    told = {"terminated": ended, "still_listed": []}
                    terminal.emit_json("podctl/gc/1", told)
                return
        (_adopt if adopt else _terminate)(terminal, project, provider, chosen, yes)
        return
    _show(terminal, _chosen(found, pods) if pods else found, _volumes(terminal, provider))


def _volumes(terminal: Terminal, provider: Provider) -> tuple[Volume, ...] | None:
    """The account's network volumes; None, with a warning, when they cannot be read."""
    from controller.costs.network_volumes import priced
    from controller.providers.base import ProviderError

    try:
        return tuple(priced(one) for one in provider.volumes())
    except ProviderError as error:
        terminal.warn(f"network volumes are not listed: {error.what}: {error.cause}")
        return None


def _show(
    terminal: Terminal, found: tuple[OrphanPod, ...], volumes: tuple[Volume, ...] | None
) -> None:
    rate = sum(one.usd_per_hour for one in found)
    if terminal.json:
        document = {"pods": found, "volumes": volumes, "usd_per_hour": rate}
        terminal.emit_json("podctl/gc/1", document)
        return
    _show_pods(terminal, found)
    _show_volumes(terminal, volumes or ())
    owned = sum(one.whose == "live" for one in found)
    terminal.say(
        f"{len(found)} pods, ${rate:.4f} an hour, {len(found) - owned} of them not owned by a run"
    )
    if any(one.whose == "stale-own" for one in found):
        terminal.say("next: podctl gc --terminate ends the stale ones")


def _show_pods(terminal: Terminal, found: tuple[OrphanPod, ...]) -> None:
    now = time.time()
    columns = ("POD", "WHOSE", "STATUS", "AGE", "$/H", "$/MONTH", "GPU", "LEASE", "NAME")
    rows = [
        (
            one.pod,
            one.whose,
            one.status,
            words.age(now - one.created_at) if one.created_at else "",
            f"{one.usd_per_hour:.4f}",
            words.usd(one.usd_per_month_parked) if one.usd_per_month_parked else "",
            one.gpu,
            one.lease,
            one.name,
        )
        for one in found
    ]
    if rows:
        terminal.table(columns, rows)


def _show_volumes(terminal: Terminal, volumes: tuple[Volume, ...]) -> None:
    """The user's own: podctl never ends one."""
    columns = ("VOLUME", "GB", "TIER", "$/MONTH", "DATA CENTER", "NAME")
    rows = [
        (one.id, one.size_gb, one.tier, words.usd(one.usd_per_month), one.data_center, one.name)
        for one in volumes
    ]
    if rows:
        terminal.data("")
        terminal.table(columns, rows)


def _chosen(found: tuple[OrphanPod, ...], pods: tuple[str, ...]) -> tuple[OrphanPod, ...]:
    """The named ones; without names every stale one of ours. Never a live or foreign one."""
    if not pods:
        return tuple(one for one in found if one.whose == "stale-own")
    by_id = {one.pod: one for one in found}
    for pod in pods:
        if pod not in by_id:
            raise NotFound(f"the account has no pod {pod!r}", hint="podctl gc")
    return tuple(by_id[pod] for pod in dict.fromkeys(pods))


def _refuse(chosen: tuple[OrphanPod, ...]) -> None:
    for one in chosen:
        if one.whose == "live":
            raise Refused(
                f"{one.pod} works for an unfinished run",
                hint=f"podctl stop {one.stage}".rstrip()
                + f"; podctl gc --terminate --force {one.pod} is the last way out",
            )
        if one.whose == "foreign":
            raise Refused(
                f"{one.pod} was not rented by podctl",
                cause="podctl never touches what it did not rent",
                hint="end it where it was rented, or in the provider's console",
            )


def _terminate(
    terminal: Terminal,
    project: Project,
    provider: Provider,
    chosen: tuple[OrphanPod, ...],
    yes: bool,
) -> None:
    from controller.orphans.terminate import end_all
    from controller.status.write_status_page import refresh_if_possible
    from state.ledger import Ledger
    from state.project_lock import acquire

    _refuse(chosen)
    if not chosen:
        terminal.say("no stale pod of this project")
        return
    names = ", ".join(one.pod for one in chosen)
    if not yes and not terminal.confirm(f"Terminate {names}, with everything on them?", "-y"):
        raise Refused("nothing was terminated", hint="podctl gc")
    with acquire(project.state_dir, "gc") as owner:
        ledger = Ledger(owner.connection, owner.epoch)
        try:
            end_all(provider, ledger, chosen, terminal.say, terminal.warn)
        finally:
            refresh_if_possible(project, owner, terminal.warn)
    left = {pod.id for pod in provider.list()} & {one.pod for one in chosen}
    if left:
        terminal.warn(f"still listed: {', '.join(sorted(left))}; repeat podctl gc in a minute")
    if terminal.json:
        terminal.emit_json("podctl/gc/1", {"terminated": chosen, "still_listed": sorted(left)})


def _adopt(
    terminal: Terminal,
    project: Project,
    provider: Provider,
    chosen: tuple[OrphanPod, ...],
    _: bool,
) -> None:
    from controller.orphans.sweep import adopt
    from controller.project.provider import base_url
    from controller.status.write_status_page import refresh_if_possible
    from state.journal import Journal
    from state.project_lock import acquire

    _refuse(chosen)
    for one in chosen:
        if not one.stage:
            raise Refused(f"{one.pod}: its name tells no stage", where=one.name)
    with acquire(project.state_dir, "gc") as owner:
        journal = Journal(owner.connection, owner.epoch)
        runs = []
        for one in chosen:
            stage = project.stage(one.stage)
            pod = provider.get(one.pod)
            if pod is None:
                raise NotFound(f"{one.pod} is gone", hint="podctl gc")
            runs.append(adopt(journal, project, stage, pod, base_url(project)))
            terminal.say(
                f"{one.pod} works for {runs[-1]} now; what an earlier run left stays on it"
            )
        refresh_if_possible(project, owner, terminal.warn)
    if terminal.json:
        terminal.emit_json("podctl/gc/1", {"adopted": chosen, "runs": runs})
    terminal.say("next: podctl sync")
