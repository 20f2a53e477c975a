"""Sends large inputs to the network volume before a pod is rented: no GPU waits for them.

They become blobs there, named by their hashes, as an upload through a pod would make them. The
pod trusts a blob only as far as its hash: what arrives damaged is asked for again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.errors import NotFound
from controller.runtime.upload_run import project_inputs
from controller.storage.upload import upload
from controller.storage.volume_choice import open_chosen
from controller.terminal import formatting
from controller.transfer.progress import TransferProgress, TransferRate, transfer_words

if TYPE_CHECKING:
    from controller.leases.project_session import CommandContext
    from controller.storage.client import VolumeClient
    from controller.transfer.snapshot import SnapshotFile
    from jobs.stage import Stage

LEAST_BYTES = 1_000_000  # smaller files go through the pod, in one exchange for all


def send_ahead(context: CommandContext, stages: Sequence[Stage]) -> None:
    """Send what `stages` read, as far as it exists, where `pod.send = "volume"`.

    Raises Refused without a key for the volume's files, ConnectionLost.
    """
    pod = context.project.config.pod
    if pod.send != "volume":
        return
    files = _large_inputs(context, stages)
    if not files:
        return
    chosen, volume = open_chosen(context.project, context.provider, None)
    missing = [file for file in files if not _is_there(volume, file)]
    _send(context, volume, missing)
    total = sum(file.size for file in missing)
    there = len(files) - len(missing)
    context.terminal.say(
        f"sent {formatting.count(len(missing), 'file')}, {formatting.size(total)}, to volume "
        f"{chosen.id} before renting" + (f"; {there} were there" if there else "")
    )


def _large_inputs(context: CommandContext, stages: Sequence[Stage]) -> tuple[SnapshotFile, ...]:
    """Each content once; the inputs that an earlier stage of this run makes are not there yet."""
    found: dict[str, SnapshotFile] = {}
    for stage in stages:
        try:
            taken = project_inputs(context.project, stage)
        except NotFound:
            continue
        found |= {file.sha256: file for file in taken.files if file.size >= LEAST_BYTES}
    return tuple(found.values())


def blob_path(sha256: str) -> str:
    """The path on the volume, below which `Layout.root` is the folder `podctl`."""
    return f"podctl/blobs/{sha256[:2]}/{sha256}"


def _is_there(volume: VolumeClient, file: SnapshotFile) -> bool:
    stored = volume.head(blob_path(file.sha256))
    return stored is not None and stored.size == file.size


def _send(context: CommandContext, volume: VolumeClient, files: Sequence[SnapshotFile]) -> None:
    total, done, rate = sum(file.size for file in files), 0, TransferRate()

    def sent(count: int) -> None:
        nonlocal done
        done += count
        now = time.monotonic()
        rate.see(done, now)
        progress = TransferProgress(0, 1, done, max(done, total))
        words = " · ".join(transfer_words(progress, rate, now))
        context.terminal.progress(f"sending inputs to the volume, nothing bills: {words}")

    for file in files:
        upload(volume, file.source, blob_path(file.sha256), sent, time.sleep)
