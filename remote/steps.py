"""Steps and losses as any framework tells of them: in its log, and beside its checkpoints.

tqdm's bars, the dictionaries that transformers' Trainer prints, lines such as `step 12/240`,
`trainer_state.json` and LLaMA-Factory's `trainer_log.jsonl`. What the job reports by itself in
metrics.jsonl counts before all of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import durable
from .contract import Json, Progress, number
from .outputs import Found
from .place import json_object, write_record

OURS = "podctl: "  # before a supervisor's own lines in the job's log
TAIL = 32 * 1024  # bytes of a log that are looked at
STATE = 16 * 1024 * 1024  # bytes of a trainer's state: it grows by a line a logged step
MOST = 2**53
QUIET_SECONDS = 180.0  # without a step before that is said, at least
QUIET_STEPS = 10  # and so many times what a step took so far

_NUMBER = r"-?\d[\d.]*(?:[eE][+-]?\d+)?"
_BAR = re.compile(
    r"\s*(?:(?P<head>[^|%]{1,80}?):\s*)?\d{1,3}%\|[^|]*\|\s*(?P<step>\d{1,15})/(?P<most>\d{1,15})"
    r" \[(?P<rest>[^\]]{0,200})"
)
_OF_TRAINING = re.compile(r"train|epoch|step|iter", re.IGNORECASE)  # not "Map", "Loading shards"
_PER_STEP = re.compile(r"(?:it|step|steps)/s|s/(?:it|step)")  # not examples, not bytes
_LOSS = re.compile(rf"(?<![\w.])(?:train_)?loss['\"]?\s*[=: ]\s*['\"]?({_NUMBER})", re.IGNORECASE)
_STEP = re.compile(
    r"(?<![\w.])(?:global_?)?(?:step|iter(?:ation)?)['\"]?\s*[=: ]?\s*(\d{1,15})"
    r"(?:\s*(?:/|of)\s*(\d{1,15}))?",
    re.IGNORECASE,
)


def of_log(text: str) -> Progress:
    """The newest step and loss in the last part of a log."""
    step = most = loss = None
    for line in re.split(r"[\r\n]+", text):
        said = Progress() if line.startswith(OURS) else of_line(line[:2000])
        # A bar with a lower end is of an evaluation in between.
        if said.step is not None and (said.max_steps or 0) >= (most or 0):
            step, most = said.step, said.max_steps
        loss = said.loss if said.loss is not None else loss
    return Progress(step, most, loss)


def of_line(line: str) -> Progress:
    """What one line tells; nothing where it only looks alike."""
    found = _LOSS.search(line)
    loss = _float(found.group(1)) if found else None
    if bar := _BAR.match(line):
        head, rest = bar.group("head"), bar.group("rest")
        if (head and not _OF_TRAINING.search(head)) or not _PER_STEP.search(rest):
            return Progress()
        return Progress(int(bar.group("step")), int(bar.group("most")), loss)
    said = _STEP.search(line)
    if said and (said.group(2) or loss is not None):
        return Progress(int(said.group(1)), int(said.group(2)) if said.group(2) else None, loss)
    return Progress(loss=loss if loss is not None and "{" in line else None)


def _float(text: str) -> float | None:
    try:
        return number(float(text))
    except ValueError:
        return None


def of_state(data: bytes) -> Progress:
    """`trainer_state.json`: as far as the newest checkpoint."""
    state = json_object(data) or {}
    history = state.get("log_history")
    entries = [one for one in history if isinstance(one, dict)] if isinstance(history, list) else []
    losses = [loss for one in entries if (loss := number(one.get("loss"))) is not None]
    most = whole(state.get("max_steps"))
    return Progress(whole(state.get("global_step")), most or None, losses[-1] if losses else None)


def of_trainer_log(data: bytes) -> Progress:
    """The newest line of `trainer_log.jsonl`."""
    for line in reversed(data.splitlines()):
        if (one := json_object(line)) and "current_steps" in one:
            steps = whole(one["current_steps"]), whole(one.get("total_steps"))
            return Progress(*steps, number(one.get("loss")))
    return Progress()


def whole(value: Json) -> int | None:
    """A count that fits every reader."""
    found = number(value)
    return None if found is None or abs(found) > MOST else int(found)


def first(*told: Progress) -> Progress:
    """Field by field what the first says that says anything; a step comes with its own limit."""
    steps = next((one for one in told if one.step is not None), Progress())
    limits = [one.max_steps for one in (steps, *told) if one.max_steps is not None]
    losses = [one.loss for one in told if one.loss is not None]
    most = limits[0] if limits and limits[0] >= (steps.step or 0) else steps.max_steps
    return Progress(steps.step, most, losses[0] if losses else None)


@dataclass
class Cadence:
    """How long a step takes, and for how long none came. Times by one clock."""

    step: int | None = None
    at: float = 0.0
    began: tuple[int, float] = (0, 0.0)

    def note(self, step: int | None, now: float) -> None:
        if step is None or step == self.step:
            return
        if self.step is None or step < self.step:  # of an epoch that began, or the first at all
            self.began = (step, now)
        self.step, self.at = step, now

    def quiet(self, now: float) -> str | None:
        """Words for a silence that is longer than the steps so far explain."""
        if self.step is None:
            return None
        done = self.step - self.began[0]
        usual = (self.at - self.began[1]) / done if done > 0 else 0.0
        silence = now - self.at
        if silence < max(QUIET_SECONDS, QUIET_STEPS * usual):
            return None
        return f"no step for {silence / 60:.0f} minutes"


@dataclass
class Reading:
    """Looks again and again while a job runs, and writes `progress.json`."""

    run: Path
    attempt: int
    outputs: Callable[[], dict[str, Found]]  # as last seen
    clock: Callable[[], float]
    cadence: Cadence = field(default_factory=Cadence)
    _read: dict[str, tuple[Found, Progress]] = field(default_factory=dict)
    _written: Json = None

    def look(self) -> None:
        """Read the log's end and what lies among the outputs; write what changed."""
        text = durable.tail(self.run / "job.log", TAIL).decode(errors="replace")
        own = of_metrics(durable.tail(self.run / "metrics.jsonl", TAIL))
        told = first(own, of_log(text), *self._beside_checkpoints())
        self.cadence.note(told.step, self.clock())
        document = {
            "attempt": self.attempt,
            "step": told.step,
            "max_steps": told.max_steps,
            "loss": told.loss,
            "quiet": self.cadence.quiet(self.clock()),
        }
        if document != self._written:
            write_record(self.run / "progress.json", document, sync=False)
            self._written = document

    def _beside_checkpoints(self) -> list[Progress]:
        """LLaMA-Factory's log, then the newest state of a trainer."""
        found = sorted(self.outputs().values(), key=lambda one: one.identity[3], reverse=True)
        kinds = {"trainer_log.jsonl": of_trainer_log, "trainer_state.json": of_state}
        told = []
        for name, read in kinds.items():
            newest = next((one for one in found if one.path.split("/")[-1] == name), None)
            if newest is not None:
                told.append(self._of(newest, read))
        return told

    def _of(self, file: Found, read: Callable[[bytes], Progress]) -> Progress:
        known = self._read.get(file.path)
        if known is None or known[0] != file:
            path = self.run / "work" / file.path
            data = durable.tail(path, STATE) if file.size <= STATE else b""
            known = self._read[file.path] = (file, read(data))
        return known[1]


def of_metrics(data: bytes) -> Progress:
    """The newest value of each field in the last lines of metrics.jsonl; `text` as well."""
    step = limit = loss = said = None
    for line in data.splitlines():
        # None for the first line of the window, too, and for one that is being written.
        if (value := json_object(line)) is not None:
            step = whole(value.get("step")) if "step" in value else step
            limit = whole(value.get("max_steps")) if "max_steps" in value else limit
            loss = number(value.get("loss")) if "loss" in value else loss
            said = value["text"] if isinstance(value.get("text"), str) else said
    return Progress(step, limit, loss, said)
