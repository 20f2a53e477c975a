"""`podctl plan`: what a run would do and cost, and what would prevent it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from controller.cli.names import stage_names
from controller.cli.options import (
    changes_options,
    current_project,
    json_option,
    provider_of,
    wide_option,
)
from controller.cli.plan_costs import expected_document, show_offers, show_stages
from controller.errors import BudgetRefused, Locked, NoCapacity, UsageError
from controller.providers.offers import priced
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.network_volumes import Volume
    from controller.errors import PodctlError
    from controller.leases.preview import RunPreview
    from controller.project.project import Project
    from controller.providers.base import Provider
    from jobs.stage import Stage


UPLINK = 100e6 / 8  # bytes per second that the plan assumes


@click.command("plan")
@click.argument("stages", nargs=-1, shell_complete=stage_names)
@click.option(
    "--offers",
    "all_",
    is_flag=True,
    help="Show every offer, with the reason if it is not accepted.",
)
@click.option(
    "--files", is_flag=True, help="Show only the files that would be uploaded, with sizes."
)
@changes_options
@wide_option
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    stages: tuple[str, ...],
    all_: bool,
    files: bool,
    assignments: tuple[str, ...],
    gpus: tuple[str, ...],
    max_usd_per_hour: float | None,
) -> int:
    """Show pods, offers, hours, expected and worst-case cost of STAGES (default: all).

    Exits with the code with which `podctl run` would refuse, else with 0.
    """
    from controller.leases.preconditions import check_certificates
    from controller.leases.preview import previews
    from controller.leases.reserved import reserved
    from controller.leases.resting_pod import resting_lines
    from controller.locks.certificate import read_all
    from controller.orphans.warnings import warn_about_orphans
    from controller.preflight.stage_definition import check_definitions
    from controller.project.changes import changes_of
    from controller.project.consent import introduce
    from controller.project.stages import ALL, select
    from state.database import open_database
    from state.journal import Journal
    from state.ledger import Ledger
    from state.locks import Locks

    changes = changes_of(stages or (ALL,), assignments, gpus, max_usd_per_hour)
    project = replace(current_project(), changes=changes)
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
    ledger, now = Ledger(connection), time.time()
    spent, held = ledger.spent(now), reserved(Journal(connection), ledger, now)
    check_certificates(chosen, {lock.stage: lock for lock in Locks(connection).all()}, locks)
    waiting = resting_lines(connection)
    connection.close()
    provider = provider_of(project, terminal)
    runs = previews(project, provider, chosen, locks, spent, held)
    volume = _volume(terminal, project, provider)
    warn_about_orphans(project, terminal)
    if terminal.json:
        rows = [_document(preview) for preview in runs]
        document = {"pods": rows, "spent_usd": spent, "network_volume": volume}
        terminal.emit_json("podctl/plan/1", document)
    else:
        if changes:
            terminal.data(f"with {', '.join(f'{key}={value}' for key, value in changes.values)}")
        for preview in runs:
            _show(terminal, preview, all_)
        _show_volume(terminal, volume)
        if not runs:
            terminal.say("every stage is locked")
    for line in () if terminal.json else waiting:
        terminal.say(line)
    withheld = _show_trust(project, terminal, chosen)
    return _code(runs, unanswered=bool(withheld) and not terminal.answers)


def _show_trust(project: Project, terminal: Terminal, chosen: Sequence[Stage]) -> tuple[str, ...]:
    """Report where the key goes, what no drill has tested, and secrets that need consent, which
    are returned."""
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
        terminal.say(f"podctl run asks before jobs receive these secrets: {', '.join(names)}")
    return tuple(names)


def _volume(terminal: Terminal, project: Project, provider: Provider) -> Volume | None:
    """The project's network volume, for its price; None if it cannot be read."""
    from controller.costs.network_volumes import find_volume
    from controller.providers.base import ProviderError

    wanted = project.config.pod.network_volume_id
    try:
        volume = find_volume(project, provider)
    except ProviderError as error:
        terminal.warn(f"the price of the network volume is unknown: {error.what}")
        return None
    if wanted and volume is None:
        terminal.warn(f"the account has no network volume {wanted}: pods cannot be created")
    return volume


def _show_volume(terminal: Terminal, volume: Volume | None) -> None:
    if volume is not None:
        terminal.prose(
            f"network volume {volume.id} ({volume.size_gb} GB in {volume.data_center}): "
            f"{words.usd(volume.usd_per_day)} a day, with or without a pod, not included above"
        )


def _document(preview: RunPreview) -> dict[str, object]:
    """The preview with its derived values, for `--json`."""
    document: dict[str, object] = {**vars(preview), "ready": preview.ready}
    del document["found"]
    document["obstacles"] = [obstacle.as_dict() for obstacle in preview.found.obstacles]
    document["remarks"] = (*preview.remarks, *preview.found.remarks)
    if preview.quote is not None:
        quote = preview.quote
        worst = {**vars(quote.worst), "usd": quote.worst.usd}
        best = {"best": quote.best, "dearest": quote.dearest}
        figures = {name: value for name, value in vars(quote).items() if name != "expectation"}
        document["quote"] = {**figures, **best, "worst": worst}
        document["expected"] = expected_document(quote)
    return document


def _code(runs: Sequence[RunPreview], *, unanswered: bool) -> int:
    """The exit code with which `podctl run` would refuse, in its order; 0 if it would not.

    `unanswered`: it would ask about secrets, and here is nobody who answers.
    """
    if any(preview.locked for preview in runs):
        return Locked.exit_code
    obstacles = [obstacle for preview in runs for obstacle in preview.found.obstacles]
    if obstacles:
        return obstacles[0].error.exit_code
    if any(preview.quote is None for preview in runs):
        return NoCapacity.exit_code
    if unanswered:
        return UsageError.exit_code
    return BudgetRefused.exit_code if any(preview.refusal for preview in runs) else 0


def _show(terminal: Terminal, preview: RunPreview, all_: bool) -> None:
    names = " ".join(preview.stages)
    terminal.prose(f"{names}: one pod with {preview.image}")
    for text in preview.commands:
        terminal.prose("  runs: " + text.replace("\n", "\n    "))
    terminal.prose(
        f"  disk {preview.disk_gb} GB, volume {preview.volume_gb} GB; "
        f"then {preview.on_success}, on failure {preview.on_failure}"
    )
    if preview.gpu_memory_gb:
        terminal.prose(f"  needs a GPU with about {preview.gpu_memory_gb} GB of memory")
    if preview.min_cuda:
        terminal.prose(f"  needs a host whose driver supports CUDA {preview.min_cuda} or newer")
    for line in preview.understood:
        terminal.prose(f"  {line}")
    for model, commit in preview.models.items():
        terminal.prose(f"  {model} at commit {commit}")
    for line in preview.remarks:
        terminal.prose(f"  {line}")
    if preview.quote is not None:
        terminal.prose(
            f"  {words.span(preview.hours)} expected, {words.span(preview.max_hours)} at most: "
            f"about {words.usd(preview.quote.expected_usd)} on {priced(preview.quote.best)}"
        )
        lines = (preview.quote.worst_line, preview.quote.dearest_line, preview.quote.dropped_line)
        guard = f"guard: stops the pod from inside after {words.span(preview.guard_hours)} at most"
        for line in (*filter(None, lines), guard, *preview.quote.caveats):
            terminal.prose(f"  {line}")
    for sent in preview.uploads:
        present = f", of which {words.size(sent.bytes_there)} are on the volume already"
        more = present if sent.bytes_there else ""
        files = words.count(sent.files, "file")
        terminal.prose(f"  {sent.stage} uploads {files}, {words.size(sent.bytes)}{more}")
        if sent.bytes_ahead:
            minutes = sent.bytes_ahead / UPLINK / 60
            terminal.prose(
                f"  {words.size(sent.bytes_ahead)} of them go to the network volume before "
                f"renting: {minutes:.1f} minutes at 100 Mbit/s for which no GPU is paid"
            )
        if sent.environment_of:
            terminal.prose(f"  environment: kept from {sent.environment_of} on the network volume")
    if preview.secrets:
        terminal.prose(f"  secrets that its jobs receive: {preview.secrets}")
    if preview.balance_usd is not None:
        terminal.prose(f"  balance {words.usd(preview.balance_usd)}")
    show_stages(terminal, preview)
    show_offers(terminal, preview, all_)
    _obstacles(terminal, preview)
    terminal.prose("")


def _obstacles(terminal: Terminal, preview: RunPreview) -> None:
    for stage in preview.locked:
        terminal.prose(f"  locked: {stage} has passed already (podctl locks {stage})")
    for need in preview.needs:
        terminal.prose(f"  missing: {need} is not locked yet (podctl run {need})")
    for missing in preview.missing:
        maker = f"podctl run {missing.made_by} makes it" if missing.made_by else "no stage makes it"
        terminal.prose(f"  missing: {missing.path} ({maker})")
    for obstacle in preview.found.obstacles:
        if obstacle.kind not in ("need", "input"):  # shown above
            _obstacle(terminal, obstacle.error)
    for remark in preview.found.remarks:
        terminal.prose(f"  note: {remark}")
    if preview.quote is None:
        terminal.prose("  no offer is accepted (podctl plan --offers lists all)")
        for line in preview.unfit.splitlines():
            terminal.prose(f"  not accepted: {line}")
    if preview.refusal:
        terminal.prose(f"  refused: {preview.refusal}")


def _obstacle(terminal: Terminal, error: PodctlError) -> None:
    terminal.prose(f"  refused: {error.what}")
    for label, text in (("where", error.where), ("cause", error.cause), ("next", error.hint)):
        if text:
            terminal.prose(f"    {label}: {text}")
