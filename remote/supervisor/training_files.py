"""Reads the progress files of training frameworks while the job runs.

`trainer_state.json` (transformers and what builds on it, in the newest checkpoint),
`trainer_log.jsonl` (LLaMA-Factory), and TensorBoard's event files. Only what was written since the
attempt began counts: the others came with the inputs, or from an earlier attempt.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..contract import Json, number
from ..evidence import EVENTS, STATE, TRAINER_LOG, SourceReport
from ..light_dataclasses import dataclass, field
from ..pod import atomic_files
from ..pod.paths import json_object
from . import tensorboard
from .tensorboard import Scalar

MAX_DEPTH = 8  # folders below the work folder
MAX_LOOKED = 20_000  # names in one search
MAX_FOUND = 64  # files that are followed, the newest ones
STATE_CAP = 4 * 1024 * 1024  # bytes; its history grows with the training
LOG_TAIL = 16 * 1024
PASSED_OVER = {".git", ".podctl", ".venv", "__pycache__", "node_modules", "site-packages"}
EVENT_NAME = "events.out.tfevents."
WANTED = re.compile(r"(?:^|[/_.\- ])(?:loss|reward|accuracy|acc|learning_rate|lr)$", re.IGNORECASE)
HELD_OUT = re.compile(r"(?:^|[/_.\- ])(?:eval|val|valid|validation|test|dev)(?=[/_.\- ])", re.I)
COUNTS_EPOCHS = re.compile(r"^epoch[_/]", re.IGNORECASE)

Identity = tuple[int, int, int]


@dataclass
class _Followed:
    """One file: as it was when it was read, and up to where."""

    kind: str
    identity: Identity = (0, 0, 0)
    offset: int = 0


@dataclass
class TrainingFiles:
    """`since` is a time of the work folder's own disk, in nanoseconds."""

    work: Path
    since: int
    most: int = MAX_LOOKED
    _files: dict[Path, _Followed] = field(default_factory=dict)

    def search(self) -> None:
        """Look for files that are new."""
        files = dict(sorted(_walk(self.work, self.most), key=lambda item: item[1])[-MAX_FOUND:])
        for path, changed in files.items():
            if changed > self.since and (kind := kind_of(path.name)):
                self._files.setdefault(path, _Followed(kind))
        for missing in [path for path in self._files if path not in files]:
            del self._files[missing]

    def news(self) -> Iterator[tuple[str, SourceReport]]:
        """The reports of changed files, in the order in which they were written."""
        changed = []
        for path, followed in self._files.items():
            try:
                about = os.stat(path, follow_symlinks=False)
            except OSError:
                continue
            identity = (about.st_ino, about.st_size, about.st_mtime_ns)
            if identity != followed.identity:
                changed.append((about.st_mtime_ns, path, followed, identity))
        for _, path, followed, identity in sorted(changed, key=lambda item: item[0]):
            if followed.identity[0] not in (0, identity[0]) or identity[1] < followed.offset:
                followed.offset = 0  # another file under its name
            followed.identity = identity
            if (report := _read(path, followed)) is not None:
                yield followed.kind, report


def kind_of(name: str) -> str:
    """The source that a file of this name is; empty for every other file."""
    if name in (STATE, TRAINER_LOG):
        return name
    return EVENTS if name.startswith(EVENT_NAME) else ""


def _walk(work: Path, most: int) -> Iterator[tuple[Path, int]]:
    """Such files with the times at which they were written; links are not followed."""
    pending, count = [(os.fspath(work), 0)], 0
    while pending:
        folder, depth = pending.pop()
        try:
            with os.scandir(folder) as names:
                for entry in names:
                    count += 1
                    if count > most:
                        return
                    if entry.is_dir(follow_symlinks=False):
                        if depth < MAX_DEPTH and entry.name not in PASSED_OVER:
                            pending.append((entry.path, depth + 1))
                    elif kind_of(entry.name) and entry.is_file(follow_symlinks=False):
                        yield Path(entry.path), entry.stat(follow_symlinks=False).st_mtime_ns
        except OSError:
            continue  # gone, or closed to us


def _read(path: Path, followed: _Followed) -> SourceReport | None:
    try:
        if followed.kind == STATE:
            return trainer_state(atomic_files.read(path, STATE_CAP) or b"")
        if followed.kind == TRAINER_LOG:
            return trainer_log(atomic_files.tail(path, LOG_TAIL))
        file = atomic_files.open_regular(path)
        if file is None:
            return None
        with file:
            scalars, followed.offset = tensorboard.read(file, followed.offset)
    except OSError:
        return None
    return events(scalars)


def trainer_state(data: bytes) -> SourceReport | None:
    """Of transformers' Trainer: the step, the last one, and the newest entry of its history."""
    value = json_object(data)
    if value is None:
        return None
    history = value.get("log_history")
    loss: float | None = None
    figures: dict[str, float] = {}
    for entry in history[-50:] if isinstance(history, list) else []:
        if isinstance(entry, dict):
            loss = number(entry.get("loss")) if "loss" in entry else loss
            figures |= figures_of(entry)
    return SourceReport(
        step_number(value.get("global_step")), step_number(value.get("max_steps")), loss, figures
    )


def trainer_log(data: bytes) -> SourceReport | None:
    """Of LLaMA-Factory: the newest value of each field."""
    step = most = loss = None
    figures: dict[str, float] = {}
    for line in data.splitlines():
        entry = json_object(line)
        if entry is None:  # the first line of the window, or one that is being written
            continue
        step = step_number(entry.get("current_steps")) or step
        most = step_number(entry.get("total_steps")) or most
        loss = number(entry.get("loss")) if "loss" in entry else loss
        figures |= figures_of(entry)
    return SourceReport(step, most, loss, figures)


def events(scalars: list[Scalar]) -> SourceReport | None:
    """The highest step of what is wanted, the newest training loss, and the other figures."""
    wanted = [scalar for scalar in scalars if WANTED.search(scalar.tag)]
    if not wanted:
        return None
    steps = [
        scalar.step for scalar in wanted if scalar.step and not COUNTS_EPOCHS.search(scalar.tag)
    ]
    trained = [scalar for scalar in wanted if not HELD_OUT.search(scalar.tag)]
    losses = [scalar for scalar in trained if scalar.tag.casefold().endswith("loss")]
    exact = [
        scalar for scalar in losses if scalar.tag.casefold() in ("loss", "train/loss", "train_loss")
    ]
    figures = {
        short(scalar.tag): scalar.value
        for scalar in trained
        if scalar not in losses and len(scalar.tag) < tensorboard.MAX_TAG
    }
    newest = max(exact or losses, key=lambda scalar: scalar.step, default=None)
    return SourceReport(max(steps, default=None), None, newest.value if newest else None, figures)


def figures_of(entry: dict[str, Json]) -> dict[str, float]:
    """The figures of a history entry that are reported beside step and loss."""
    return {
        short(name): value
        for name, raw in entry.items()
        if WANTED.search(name)
        and not HELD_OUT.search(name)
        and not name.casefold().endswith("loss")
        and (value := number(raw)) is not None
    }


def short(name: str) -> str:
    """A tag as it is told: without the part that all tags of training have."""
    return name.removeprefix("train/").removeprefix("train_")


def step_number(value: Json) -> int | None:
    """A step: a whole number that is not negative."""
    value_number = number(value)
    return None if value_number is None or not 0 <= value_number <= 2**53 else int(value_number)
