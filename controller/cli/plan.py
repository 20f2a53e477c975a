"""`podctl plan`: what a run would do and cost, and what stands in its way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from controller.cli.options import json_option, project_here, provider_of
from controller.errors import BudgetRefused, Locked, NoCapacity
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.network_volumes import Volume
    from controller.errors import PodctlError
    from controller.leases.preview import RunPreview
    from controller.project.project import Project
    from controller.providers.base import Provider
    from jobs.stage import Stage

MOST = 8  # rows of offers shown; --json has all of them


@click.command("plan")
@click.argument("stages", nargs=-1)
@click.option("--offers", "all_", is_flag=True, help="Every offer, with why it is not accepted.")
@click.option("--files", is_flag=True, help="Only the files that would be sent, with sizes.")
@json_option
@click.pass_obj
def command(terminal: Terminal, stages: tuple[str, ...], all_: bool, files: bool) -> int:
    """Show pods, offers with prices, hours, expected and worst-case cost of STAGES (default all).

    Ends with the exit code that `podctl run` would refuse with, else 0.
    """
    from controller.leases.preview import previews
    from controller.locks.certificate import read_all
    from controller.orphans.warnings import warn_about_orphans
    from controller.preflight.stage_definition import check_definitions
    from controller.project.consent import introduce
    from controller.project.stages import ALL, select
    from state.database import open_database
    from state.ledger import Ledger

    project = project_here()
    chosen = select(project, stages or (ALL,))
    introduce(project, chosen, terminal)
    locks = read_all(project.root)
    if not stages or ALL in stages:
        chosen = tuple(stage for stage in chosen if stage.name not in locks)
    check_definitions(project, chosen)
    if files:
        from controller.cli.plan_files import show

        return show(terminal, project, chosen)
    project.prepare(reading=True)
    connection = open_database(project.database, readonly=True)
    spent = Ledger(connection).spent(time.time())
    connection.close()
    provider = provider_of(project, terminal)
    found = previews(project, provider, chosen, locks, spent)
    volume = _volume(terminal, project, provider)
    warn_about_orphans(project, terminal)
    if terminal.json:
        rows = [_document(one) for one in found]
        document = {"pods": rows, "spent_usd": spent, "network_volume": volume}
        terminal.emit_json("podctl/plan/1", document)
    else:
        for one in found:
            _show(terminal, one, all_)
        _show_volume(terminal, volume)
        if not found:
            terminal.say("every stage is locked")
    _tell_of_trust(project, terminal, chosen)
    return next((code for one in found if (code := _code(one))), 0)


def _tell_of_trust(project: Project, terminal: Terminal, chosen: Sequence[Stage]) -> None:
    """Where the key goes, what no drill has shown, and which secrets a run would ask about."""
    from controller.diagnostics import drill_results as proof
    from controller.project import consent
    from controller.project.provider import other_api

    drilled = proof.read(project)
    matters = drilled is not None or project.config.project.provider != "emulator"
    if matters and (reminder := proof.reminder(drilled, project.config.pod.image)):
        terminal.say(reminder.strip())
    if line := other_api(project):
        terminal.say(line)
    if names := consent.withheld(project, chosen):
        terminal.say(f"not given to this project's jobs so far, run asks: {', '.join(names)}")


def _volume(terminal: Terminal, project: Project, provider: Provider) -> Volume | None:
    """The project's network volume, for its price; a plan is one without it too."""
    from controller.costs.network_volumes import look
    from controller.providers.base import ProviderError

    wanted = project.config.pod.network_volume_id
    try:
        found = look(project, provider)
    except ProviderError as error:
        terminal.warn(f"the price of the network volume is not known: {error.what}")
        return None
    if wanted and found is None:
        terminal.warn(f"the account has no network volume {wanted}: a create would be refused")
    return found


def _show_volume(terminal: Terminal, volume: Volume | None) -> None:
    if volume is not None:
        terminal.data(
            f"network volume {volume.id} ({volume.size_gb} GB in {volume.data_center}): "
            f"{words.usd(volume.usd_per_day)} a day, with or without a pod; in no sum above"
        )


def _document(one: RunPreview) -> dict[str, object]:
    """With what is derived from the rest."""
    found: dict[str, object] = {**vars(one), "ready": one.ready}
    del found["found"]
    found["obstacles"] = [obstacle.as_dict() for obstacle in one.found.obstacles]
    found["remarks"] = (*one.remarks, *one.found.remarks)
    if one.quote is not None:
        worst = {**vars(one.quote.worst), "usd": one.quote.worst.usd}
        found["quote"] = {**vars(one.quote), "best": one.quote.best, "worst": worst}
    return found


def _code(prospect: RunPreview) -> int:
    """What `podctl run` would end with, were it to refuse."""
    if prospect.locked:
        return Locked.exit_code
    if prospect.found.obstacles:
        return prospect.found.obstacles[0].error.exit_code
    if prospect.quote is None:
        return NoCapacity.exit_code
    return BudgetRefused.exit_code if prospect.refusal else 0


def _show(terminal: Terminal, one: RunPreview, all_: bool) -> None:
    names = " ".join(one.stages)
    terminal.data(f"{names}: one pod with {one.image}")
    for text in one.commands:
        terminal.data("  runs: " + text.replace("\n", "\n    "))
    terminal.data(
        f"  disk {one.disk_gb} GB, volume {one.volume_gb} GB; "
        f"then {one.on_success}, on failure {one.on_failure}"
    )
    if one.gpu_memory_gb:
        terminal.data(f"  needs a GPU with about {one.gpu_memory_gb} GB of memory")
    if one.min_cuda:
        terminal.data(f"  needs a host whose driver supports CUDA {one.min_cuda} or newer")
    for line in one.understood:
        terminal.data(f"  {line}")
    for model, commit in one.models.items():
        terminal.data(f"  {model} at commit {commit}")
    for line in one.remarks:
        terminal.data(f"  {line}")
    if one.quote is not None:
        best, worst = one.quote.best, one.quote.worst
        terminal.data(
            f"  {one.hours:.2f} h expected, {one.max_hours:.2f} h at most: about "
            f"{words.usd(one.quote.expected_usd)} on {best.count} x {best.name} "
            f"at ${best.usd_per_hour:.3f}/h"
        )
        terminal.data(
            f"  worst case {words.usd(worst.usd)} in {worst.hours:.2f} h (this machine stays "
            "offline; "
            f"the guard stops the pod), {words.usd(one.quote.most_usd)} with one replacement pod; "
            f"then {words.usd(worst.parked_usd_per_day)} a day for the parked disk"
        )
        terminal.data(f"  guard: stops the pod from inside after {one.guard_hours:.1f} h at most")
        for line in one.quote.caveats:
            terminal.data(f"  {line}")
    for sent in one.uploads:
        there = f", of which {words.size(sent.bytes_there)} are there by earlier runs"
        more = there if sent.bytes_there else ""
        terminal.data(f"  {sent.stage} sends {sent.files} files, {words.size(sent.bytes)}{more}")
        if sent.environment_of:
            terminal.data(f"  environment: kept from {sent.environment_of} on the network volume")
    if one.secrets:
        terminal.data(f"  secrets that its jobs receive: {one.secrets}")
    if one.balance_usd is not None:
        terminal.data(f"  balance {words.usd(one.balance_usd)}")
    _offers(terminal, one, all_)
    _obstacles(terminal, one)
    terminal.data("")


def _offers(terminal: Terminal, one: RunPreview, all_: bool) -> None:
    accepted = one.quote.offers if one.quote else ()
    rows: list[Sequence[object]] = [
        (f"  {place}", o.name, o.memory_gb, f"{o.usd_per_hour:.3f}", o.availability, "")
        for place, o in enumerate(accepted, 1)
    ]
    refused: list[Sequence[object]] = [
        ("  -", r.offer.name, r.offer.memory_gb, f"{r.offer.usd_per_hour:.3f}", "", r.reason)
        for r in one.rejected
    ]
    hidden = 0 if all_ else max(0, len(rows) - MOST) + max(0, len(refused) - 2)
    if not all_:
        rows, refused = rows[:MOST], refused[:2]
    columns = ("  TRY", "TYPE", "GB", "$/H", "AVAILABLE", "NOT ACCEPTED")
    terminal.table(columns, [*rows, *refused])
    if hidden:
        terminal.data(f"  and {hidden} more: podctl plan {' '.join(one.stages)} --offers")


def _obstacles(terminal: Terminal, one: RunPreview) -> None:
    for stage in one.locked:
        terminal.data(f"  locked: {stage} passed already (podctl locks {stage})")
    for need in one.needs:
        terminal.data(f"  missing: {need} is not locked yet (podctl run {need})")
    for lack in one.missing:
        maker = f"podctl run {lack.made_by} makes it" if lack.made_by else "no stage makes it"
        terminal.data(f"  missing: {lack.path} ({maker})")
    for obstacle in one.found.obstacles:
        if obstacle.kind not in ("need", "input"):  # these have their lines already
            _obstacle(terminal, obstacle.error)
    for remark in one.found.remarks:
        terminal.data(f"  note: {remark}")
    if one.quote is None:
        terminal.data("  nothing in the catalog is accepted (podctl plan --offers shows more)")
        for line in one.unfit.splitlines():
            terminal.data(f"  not accepted: {line}")
    if one.refusal:
        terminal.data(f"  refused: {one.refusal}")


def _obstacle(terminal: Terminal, error: PodctlError) -> None:
    terminal.data(f"  refused: {error.what}")
    for label, text in (("where", error.where), ("cause", error.cause), ("next", error.hint)):
        if text:
            terminal.data(f"    {label}: {text}")
