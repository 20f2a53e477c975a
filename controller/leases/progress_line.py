"""Progress lines, fitted to the width of the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from controller.engine.last_seen import short_line
from controller.planner.job_progress import JobProgress, Steps, figure_words, figures_told, span
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Observation
from controller.terminal import formatting
from controller.transfer.progress import TransferProgress, TransferRate, transfer_words
from remote.contract import Status

GAP = "  "


class Part(NamedTuple):
    """A piece of a line; where not all of them fit, those of the highest `rank` go first."""

    rank: int
    text: str


def fitted(parts: Sequence[Part], width: int) -> str:
    """The parts in order, without the least important ones that exceed `width` characters."""
    kept = [part for part in parts if part.text]
    while len(kept) > 1 and len(" ".join(one.text for one in kept)) > width:
        least = max(range(len(kept)), key=lambda index: (kept[index].rank, index))
        del kept[least]
    wide = GAP.join(one.text for one in kept)
    return wide if len(wide) <= width else " ".join(one.text for one in kept)


def job_line(
    run: RunFacts,
    status: Status,
    observation: Observation,
    pace: JobProgress,
    *,
    pulled: tuple[int, int] = (0, 0),
    until: float | None = None,
    width: int = 10_000,
) -> str:
    """Step, time left, loss, load, files here and money of a running job."""
    progress = status.progress
    parts = [Part(0, f"{run.run}: {status.phase or status.state}")]
    steps = pace.steps(progress, observation.now)
    if steps is not None:
        parts += [Part(index, text) for index, text in enumerate(steps.words(observation.now))]
    if status.phase == "running":  # which is what `max_hours` bounds
        parts.append(Part(2, _limit(steps, until, observation.now)))
    if progress.loss_nan:
        parts.append(Part(1, "loss is NaN"))
    elif progress.loss is not None:
        parts.append(Part(2, f"loss {progress.loss:.4f}"))
    parts += [Part(7, figure_word) for figure_word in figure_words(figures_told(progress.figures))]
    parts.append(Part(3, short_line(progress.text) or ""))
    if status.gpu_util is not None:
        parts.append(Part(4, f"GPU {status.gpu_util:.0f}%"))
    if status.cpu_util is not None:
        parts.append(Part(6, f"CPU {status.cpu_util:.0f}%"))
    if pulled[0]:
        parts.append(
            Part(5, f"{formatting.count(pulled[0], 'file')} downloaded, {pulled[1] / 1e6:.1f} MB")
        )
    parts.append(Part(1, f"${observation.local.spent_usd:.4f}"))
    parts.append(Part(8, f"(steps: {steps.source})" if steps is not None and steps.source else ""))
    return fitted(parts, width)


def _limit(steps: Steps | None, until: float | None, now: float) -> str:
    """When `max_hours` ends the job, unless it is known to end before by itself."""
    left = steps.seconds_left if steps is not None else None
    if until is None or (left is not None and now + left <= until):
        return ""
    return f"max_hours ends it in {span(max(0.0, until - now))}"


def transfer_line(
    what: str,
    progress: TransferProgress,
    rate: TransferRate,
    now: float,
    width: int = 10_000,
) -> str:
    """`sft-0001: uploading  3 of 9 files  120.3 of 500.0 MB  8.1 MB/s  47 s left`."""
    words = transfer_words(progress, rate, now)
    files = [words.pop(0)] if progress.files_total > 1 else []
    parts = [Part(0, what), *(Part(5, text) for text in files)]
    parts += [Part(1 + index, text) for index, text in enumerate(words)]
    return fitted(parts, width)


def wait_line(why: str, waited: float, left: float | None, width: int = 10_000) -> str:
    """The reason for waiting, the time waited, and the time limit (both in seconds).

    Where `width` is too small for all of it, the reason is cut and the times stay.
    """
    text = f"waiting {why}"
    times = [span(waited)] if waited >= 1 else []
    if left is not None and left >= 1:
        times.append(f"at most {span(left)} more")
    if not times:
        return text
    limits = f": {', '.join(times)}"
    room = max(len("waiting"), width - len(limits))
    return (text if len(text) <= room else f"{text[: room - 1]}…") + limits


def rehearsal_line(said: str, left: float, width: int) -> str:
    """The last line of the rehearsed podctl, and the time left in seconds."""
    limit = f"at most {span(left)} more"
    room = max(20, width - len(limit) - len(GAP))
    return f"{said[:room] or 'podctl run begins'}{GAP}{limit}"
