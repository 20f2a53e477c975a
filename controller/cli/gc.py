"""`podctl gc`: what the account pays for: pods by owner, parked disks, network volumes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.options import (
    json_option,
    open_project,
    provider_of,
    wide_option,
    yes_option,
)
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
@click.option("--adopt", is_flag=True, help="Create a run on PODS, of the stage in their name.")
@click.option(
    "--terminate", is_flag=True, help="Terminate PODS, or every stale pod of this project."
)
@click.option("--force", is_flag=True, help="With --terminate: also PODS that a run owns.")
@yes_option("Terminate without asking.")
@wide_option
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
    """List the account's pods by owner; terminate or adopt orphaned ones.

    --terminate --force POD is the last resort for a pod that an unfinished run of this project
    owns: it reports what will be lost, terminates the pod, and records the run as abandoned.

    $/MONTH is the price of a parked pod's disk. Network volumes follow with their own price.

    \b
    live          an unfinished run of this project owns it, or it waits for one: podctl stop
    stale-own     rented by this project, but no run owns it any more
    other-podctl  rented by podctl from another folder or machine
    foreign       not rented by podctl: never touched
    """
    from controller.leases.resting_pod import resting_lines
    from controller.orphans.sweep import sweep
    from state.database import open_database

    if adopt and terminate:
        raise UsageError("--adopt and --terminate cannot be combined")
    if force and not (terminate and pods):
        raise UsageError("--force needs --terminate and the pods", hint="podctl gc lists them")
    if adopt and not pods:
        raise UsageError("name the pods to adopt", hint="podctl gc lists them")
    project = open_project(terminal)
    project.prepare()
    provider = provider_of(project, terminal)
    connection = open_database(project.database, readonly=True)
    listed = sweep(connection, provider.list())
    waiting = resting_lines(connection, {pod.pod for pod in listed})
    connection.close()
    if adopt or terminate:
        chosen = _chosen(listed, pods)
        if force:
            from controller.cli.force_terminate import end_owned

            _refuse(tuple(pod for pod in chosen if pod.whose != "live"))
            ended, chosen = chosen, end_owned(terminal, project, chosen, yes=yes)
            if not chosen:
                if terminal.json:
                    document = {"terminated": ended, "still_listed": []}
                    terminal.emit_json("podctl/gc/1", document)
                return
        (_adopt if adopt else _terminate)(terminal, project, provider, chosen, yes)
        return
    _show(terminal, _chosen(listed, pods) if pods else listed, _volumes(terminal, provider))
    for line in () if terminal.json else waiting:
        terminal.say(line)


def _volumes(terminal: Terminal, provider: Provider) -> tuple[Volume, ...] | None:
    """The account's network volumes; None, with a warning, when they cannot be read."""
    from controller.costs.network_volumes import priced
    from controller.providers.base import ProviderError

    try:
        return tuple(priced(volume) for volume in provider.volumes())
    except ProviderError as error:
        terminal.warn(f"network volumes could not be listed: {error.what}: {error.cause}")
        return None


def _show(
    terminal: Terminal, pods: tuple[OrphanPod, ...], volumes: tuple[Volume, ...] | None
) -> None:
    rate = sum(pod.usd_per_hour for pod in pods)
    if terminal.json:
        document = {"pods": pods, "volumes": volumes, "usd_per_hour": rate}
        terminal.emit_json("podctl/gc/1", document)
        return
    _show_pods(terminal, pods)
    _show_volumes(terminal, volumes or ())
    terminal.hint_wide()
    owned = sum(pod.whose == "live" for pod in pods)
    terminal.say(
        f"{words.count(len(pods), 'pod')}, {words.usd(rate)} an hour; "
        f"{len(pods) - owned} not owned by a run"
    )
    if any(pod.whose == "stale-own" for pod in pods):
        terminal.say("next: podctl gc --terminate terminates the stale ones")


def _show_pods(terminal: Terminal, pods: tuple[OrphanPod, ...]) -> None:
    now = time.time()
    columns = ("POD", "WHOSE", "STATUS", "AGE", "$/H", "$/MONTH", "GPU", "LEASE", "NAME")
    rows = [
        (
            pod.pod,
            pod.whose,
            pod.status,
            words.age(now - pod.created_at) if pod.created_at else "",
            f"{pod.usd_per_hour:.4f}",
            words.usd(pod.usd_per_month_parked) if pod.usd_per_month_parked else "",
            pod.gpu,
            pod.lease,
            pod.name,
        )
        for pod in pods
    ]
    if rows:
        terminal.table(columns, rows, optional=("LEASE", "NAME", "GPU", "$/MONTH"))


def _show_volumes(terminal: Terminal, volumes: tuple[Volume, ...]) -> None:
    """The user's network volumes; podctl never deletes one."""
    columns = ("VOLUME", "GB", "TIER", "$/MONTH", "DATA CENTER", "NAME")
    rows = [
        (v.id, v.size_gb, v.tier, words.usd(v.usd_per_month), v.data_center, v.name)
        for v in volumes
    ]
    if rows:
        terminal.data("")
        terminal.table(columns, rows, prose=("NAME",), optional=("TIER",))


def _chosen(listed: tuple[OrphanPod, ...], pods: tuple[str, ...]) -> tuple[OrphanPod, ...]:
    """The named pods; without names, every stale pod of this project."""
    if not pods:
        return tuple(pod for pod in listed if pod.whose == "stale-own")
    by_id = {pod.pod: pod for pod in listed}
    for name in pods:
        if name not in by_id:
            raise NotFound(f"the account has no pod {name!r}", hint="podctl gc")
    return tuple(by_id[name] for name in dict.fromkeys(pods))


def _refuse(chosen: tuple[OrphanPod, ...]) -> None:
    for pod in chosen:
        if pod.whose == "live":
            raise Refused(
                f"{pod.pod} belongs to an unfinished run",
                hint=f"podctl stop {pod.stage}".rstrip()
                + f"; podctl gc --terminate --force {pod.pod} is the last resort",
            )
        if pod.whose == "foreign":
            raise Refused(
                f"{pod.pod} was not rented by podctl",
                cause="podctl never changes a pod that it did not rent",
                hint="terminate it where it was rented, or in the provider's console",
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
        terminal.say("this project has no stale pod")
        return
    names = ", ".join(pod.pod for pod in chosen)
    if not yes and not terminal.confirm(f"Terminate {names}, with everything on them?", "-y"):
        raise Refused("nothing was terminated", hint="podctl gc")
    with acquire(project.state_dir, "gc") as owner:
        ledger = Ledger(owner.connection, owner.epoch)
        try:
            end_all(provider, ledger, chosen, terminal.say, terminal.warn)
        finally:
            refresh_if_possible(project, owner, terminal.warn)
    left = {pod.id for pod in provider.list()} & {pod.pod for pod in chosen}
    if left:
        terminal.warn(f"still listed: {', '.join(sorted(left))}; run podctl gc again in a minute")
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
    for orphan in chosen:
        if not orphan.stage:
            raise Refused(f"the name of {orphan.pod} contains no stage", where=orphan.name)
    with acquire(project.state_dir, "gc") as owner:
        journal = Journal(owner.connection, owner.epoch)
        runs = []
        for orphan in chosen:
            stage = project.stage(orphan.stage)
            pod = provider.get(orphan.pod)
            if pod is None:
                raise NotFound(f"{orphan.pod} is gone", hint="podctl gc")
            runs.append(adopt(journal, project, stage, pod, base_url(project)))
            terminal.say(
                f"{orphan.pod} belongs to {runs[-1]} now; files of an earlier run stay on it"
            )
        refresh_if_possible(project, owner, terminal.warn)
    if terminal.json:
        terminal.emit_json("podctl/gc/1", {"adopted": chosen, "runs": runs})
    terminal.say("next: podctl sync")
