"""`podctl volume`: network volumes of the account, and their files, without a pod."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.options import (
    current_project,
    json_option,
    provider_of,
    wide_option,
    yes_option,
)
from controller.errors import ArtifactsNotSafe, PodctlError, UsageError
from controller.terminal import formatting
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.providers.base import NetworkVolume
    from controller.storage.client import StoredFile, VolumeClient
    from controller.storage.folder_transfer import CopyReport
    from controller.transfer.progress import TransferProgress

volume_option = click.option(
    "--volume", metavar="VOLUME", help="Id or name [default: pod.network_volume_id]."
)


@click.group("volume")
def command() -> None:
    """List, create and delete network volumes; copy files to and from them without a pod.

    A network volume bills until it is deleted, with a pod or without. Its files are read and
    written through the provider's S3 API, which has a key pair of its own: RUNPOD_S3_ACCESS_KEY
    and RUNPOD_S3_SECRET_KEY, from the console's Settings > S3 API Keys.
    """


@command.command("list")
@wide_option
@json_option
@click.pass_obj
def list_(terminal: Terminal) -> None:
    """List the account's network volumes with their price."""
    from controller.costs.network_volumes import priced
    from controller.storage.access import DATA_CENTERS

    project = current_project()
    volumes = [priced(volume) for volume in provider_of(project, terminal).volumes()]
    chosen = project.config.pod.network_volume_id
    if terminal.json:
        terminal.emit_json("podctl/volumes/1", {"volumes": volumes, "configured": chosen})
        return
    terminal.table(
        ("ID", "NAME", "GB", "DATA CENTER", "$/MONTH", "FILES"),
        [
            (
                volume.id,
                volume.name,
                volume.size_gb,
                volume.data_center,
                "" if volume.usd_per_month is None else f"{volume.usd_per_month:.2f}",
                "S3" if volume.data_center in DATA_CENTERS else "pods only",
            )
            for volume in volumes
        ],
    )
    terminal.hint_wide()
    if not volumes:
        terminal.say("the account has no network volume; podctl volume create makes one")
    elif chosen not in {volume.id for volume in volumes}:
        terminal.say("podctl.toml uses none of them: pod.network_volume_id names one")


@command.command("create")
@click.argument("name")
@click.option(
    "--size", "size_gb", type=click.IntRange(10, 4000), required=True, help="GB; can only grow."
)
@click.option("--data-center", required=True, metavar="ID", help="Where, such as EUR-IS-1.")
@yes_option("Create it without asking.")
@json_option
@click.pass_obj
def create(terminal: Terminal, name: str, size_gb: int, data_center: str, yes: bool) -> None:
    """Create a network volume, which bills until it is deleted."""
    from controller.costs.pricing import HOURS_PER_MONTH, network_volume_rate
    from controller.providers.base import Kind, ProviderError
    from controller.storage.access import DATA_CENTERS

    project = current_project()
    provider = provider_of(project, terminal)
    if data_center not in DATA_CENTERS:
        terminal.warn(f"{data_center} has no storage API: files there are reached by pods only")
    price = network_volume_rate(size_gb) * HOURS_PER_MONTH
    question = f"{size_gb} GB in {data_center} bill ${price:.2f} a month until deleted. Create it?"
    if not yes and not terminal.confirm(question, "-y"):
        raise PodctlError("no volume was created")
    try:
        made = provider.create_volume(name, size_gb, data_center)
    except ProviderError as error:
        if error.kind is Kind.TRANSIENT and error.sent:
            error.hint = "the volume may exist and bill: podctl volume list"
        raise
    if terminal.json:
        terminal.emit_json("podctl/volume/1", {"volume": made})
        return
    terminal.say(f"created {made.id} ({made.name}), {made.size_gb} GB in {made.data_center}")
    terminal.say(f'use it in podctl.toml: [pod] network_volume_id = "{made.id}"')


@command.command("delete")
@click.argument("volume")
@yes_option("Delete it without asking.")
@click.pass_obj
def delete(terminal: Terminal, volume: str, yes: bool) -> None:
    """Delete a network volume with all of its files."""
    from controller.leases.run_result import runs_on
    from controller.storage.volume_choice import chosen_volume

    project = current_project()
    provider = provider_of(project, terminal)
    chosen = chosen_volume(provider.volumes(), volume, None)
    if held := runs_on(project, chosen.id):
        raise ArtifactsNotSafe(
            f"files of {', '.join(held)} may be on this volume alone",
            where=chosen.id,
            hint="podctl sync downloads them; podctl stop RUN --abandon gives them up",
        )
    if chosen.id == project.config.pod.network_volume_id:
        terminal.warn("podctl.toml uses this volume: pod.network_volume_id")
    question = f"Delete {chosen.id} ({chosen.name}, {chosen.size_gb} GB) and every file on it?"
    if not yes and not terminal.confirm(question, "-y"):
        raise PodctlError("nothing was deleted")
    provider.delete_volume(chosen.id)
    terminal.say(f"deleted {chosen.id}; it bills no more")


@command.command("ls")
@click.argument("path", default="")
@volume_option
@wide_option
@json_option
@click.pass_obj
def ls(terminal: Terminal, path: str, volume: str | None) -> None:
    """List the files of a folder on a volume, with those of its subfolders."""
    from controller.storage.folder_transfer import matching, path_on_volume

    _, client = _open(terminal, volume)
    wanted = path_on_volume(path)
    found = list(client.files()) if not wanted else matching(client, wanted)
    if terminal.json:
        terminal.emit_json("podctl/volume-files/1", {"files": found})
        return
    terminal.table(("SIZE", "CHANGED", "PATH"), [_row(stored) for stored in found])
    if not found:
        terminal.say("the volume is empty")


@command.command("du")
@click.argument("path", default="")
@volume_option
@json_option
@click.pass_obj
def du(terminal: Terminal, path: str, volume: str | None) -> None:
    """Show how much each folder of a volume holds."""
    from controller.storage.folder_transfer import path_on_volume
    from controller.storage.usage import folder_sizes

    chosen, client = _open(terminal, volume)
    wanted = path_on_volume(path)
    sizes = folder_sizes(client.files(f"{wanted}/" if wanted else ""), wanted)
    total = sum(entry.bytes for entry in sizes)
    if terminal.json:
        document = {"folders": sizes, "bytes": total, "capacity_gb": chosen.size_gb}
        terminal.emit_json("podctl/volume-usage/1", document)
        return
    rows = [(formatting.size(entry.bytes), entry.files, entry.path) for entry in sizes]
    terminal.table(("SIZE", "FILES", "PATH"), rows)
    terminal.say(f"{formatting.size(total)} of {chosen.size_gb} GB on {chosen.id}")


@command.command("put")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("path", default="")
@volume_option
@json_option
@click.pass_obj
def put(terminal: Terminal, source: Path, path: str, volume: str | None) -> None:
    """Send a file or folder to a volume; interrupted, the next try goes on where it stopped."""
    from controller.storage.folder_transfer import local_files, path_on_volume, send

    planned = local_files(source, path_on_volume(path))
    chosen, client = _open(terminal, volume)
    report = send(client, planned, _progress(terminal, "sending"), time.sleep)
    _tell(terminal, report, f"sent to {chosen.id}")


@command.command("get")
@click.argument("path")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@volume_option
@json_option
@click.pass_obj
def get(terminal: Terminal, path: str, target: Path | None, volume: str | None) -> None:
    """Fetch a file or folder of a volume, to TARGET or the current folder."""
    from controller.storage.folder_transfer import fetch, matching, path_on_volume

    wanted = path_on_volume(path)
    _, client = _open(terminal, volume)
    place = target or Path(wanted.rsplit("/", 1)[-1] or "volume")
    report = fetch(client, matching(client, wanted), wanted, place, _progress(terminal, "fetching"))
    _tell(terminal, report, f"fetched to {place}")


@command.command("rm")
@click.argument("path")
@volume_option
@yes_option("Delete without asking.")
@click.pass_obj
def rm(terminal: Terminal, path: str, volume: str | None, yes: bool) -> None:
    """Delete a file, or a folder with its files, on a volume."""
    from controller.storage.folder_transfer import matching, path_on_volume

    wanted = path_on_volume(path)
    if not wanted:
        raise UsageError("name a file or folder", hint="podctl volume delete deletes a volume")
    chosen, files = _open(terminal, volume)
    found = matching(files, wanted)
    size = formatting.size(sum(stored.size for stored in found))
    question = f"Delete {formatting.count(len(found), 'file')} ({size}) on {chosen.id}?"
    if not yes and not terminal.confirm(question, "-y"):
        raise PodctlError("nothing was deleted")
    for stored in found:
        files.delete(stored.path)
    terminal.say(f"deleted {formatting.count(len(found), 'file')}, {size}")


def _open(terminal: Terminal, wanted: str | None) -> tuple[NetworkVolume, VolumeClient]:
    """The volume that is meant and a client for its files."""
    from controller.storage.volume_choice import open_chosen

    project = current_project()
    return open_chosen(project, provider_of(project, terminal), wanted)


def _progress(terminal: Terminal, verb: str) -> Callable[[TransferProgress], None]:
    from controller.transfer.progress import TransferRate, transfer_words

    rate = TransferRate()

    def show(progress: TransferProgress) -> None:
        now = time.monotonic()
        rate.see(progress.bytes_done, now)
        terminal.progress(f"{verb} {' · '.join(transfer_words(progress, rate, now))}")

    return show


def _tell(terminal: Terminal, report: CopyReport, end: str) -> None:
    if terminal.json:
        terminal.emit_json("podctl/volume-copy/1", {"copy": report})
        return
    there = f"; {report.there} of them there already" if report.there else ""
    files = formatting.count(report.files, "file")
    terminal.say(f"{files}, {formatting.size(report.bytes)} {end}{there}")
    if report.unproven:
        count = formatting.count(len(report.unproven), "file")
        terminal.warn(f"{count} checked by size only: another program sent them in other parts")


def _row(stored: StoredFile) -> tuple[str, str, str]:
    from remote import names

    return (
        formatting.size(stored.size),
        formatting.moment(stored.modified),
        names.encode(stored.path),
    )
