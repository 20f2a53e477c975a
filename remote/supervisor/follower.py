"""How a job gets on, followed while it runs: by what is new in its metrics, its log and the files
of its framework. A look at the status then reads one small file."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from ..contract import Json, number
from ..contract.codec import plain
from ..evidence import LOG, METRICS, Evidence, SourceReport
from ..light_dataclasses import dataclass, replace
from ..log_steps import LogReader
from ..pod import atomic_files, log_file, progress_file
from ..pod.paths import json_object
from ..steps import loss_nan
from .training_files import TrainingFiles, figures_of, step_number

CHUNK = 64 * 1024  # bytes of a growing file that one look reads: the newest ones
SEARCH_EVERY = 5  # looks between two searches for files
WRITE_SECONDS = 10.0  # after which the same is written again: it says that somebody looks
MAX_TEXT = 400  # characters
_LINE_END = re.compile(rb"[\r\n\x08]")
_OURS = "podctl: "


@dataclass
class _Tail:
    """What is new in a file that grows."""

    path: Path
    offset: int
    size: int = -1  # at the last look

    def take(self) -> bytes:
        """Whole lines; one that is not ended is taken when nothing was added to it meanwhile."""
        size, before = log_file.size(self.path), self.size
        self.size = size
        if size < self.offset:  # another file under its name
            self.offset = 0
        if size == self.offset:
            return b""
        start = max(self.offset, size - CHUNK)
        data = self._read(start)
        ends = [match.end() for match in _LINE_END.finditer(data)]
        taken = data if size == before or len(data) == CHUNK else data[: ends[-1] if ends else 0]
        self.offset = start + len(taken)
        return taken

    def _read(self, start: int) -> bytes:
        file = atomic_files.open_regular(self.path)
        if file is None:
            return b""
        with file:
            file.seek(start)
            return file.read(CHUNK)


class Follower:
    """Follows one attempt. Made just before its job begins; `look` is called again and again."""

    def __init__(self, run: Path, attempt: int, boot_id: str) -> None:
        self._run, self._attempt, self._boot_id = run, attempt, boot_id
        log, metrics = run / "job.log", run / "metrics.jsonl"
        self._log = _Tail(log, log_file.size(log))
        self._metrics = _Tail(metrics, log_file.size(metrics))
        self._files = TrainingFiles(run / "work", _time_of(run / "attempt.json"))
        self._reader = LogReader()
        self._evidence = Evidence(time.monotonic())
        self._alone = threading.Lock()
        self._text: str | None = None
        self._loss_nan = False
        self._polls = 0
        self._written: tuple[Json, float] = (None, 0.0)

    def poll(self, *, search: bool = True) -> None:
        """Read new lines and write the progress record; never concurrently. Raises OSError."""
        if not self._alone.acquire(blocking=False):
            return  # another thread is reading, perhaps on a hanging disk
        try:
            self._poll(time.monotonic(), search)
        finally:
            self._alone.release()

    def _poll(self, now: float, search: bool) -> None:
        if data := self._metrics.take():
            self._evidence.see(METRICS, self._reported(data), now)
        if data := self._log.take():
            text = data.decode(errors="replace")
            lines = [line for line in re.split(r"[\r\n]", text) if not line.startswith(_OURS)]
            new_lines = "\n".join(lines)
            self._evidence.see(LOG, self._reader.feed(new_lines, now), now)
            if (lost := loss_nan(new_lines)) is not None:
                self._loss_nan = lost
        if search and self._polls % SEARCH_EVERY == 0:
            self._files.search()
        self._polls += 1
        for source, report in self._files.news():
            self._evidence.see(source, report, now)
        self._write(now)

    def _reported(self, data: bytes) -> SourceReport:
        """The newest value of each field that the job itself reports."""
        step = most = loss = None
        figures: dict[str, float] = {}
        for line in data.splitlines():
            value = json_object(line)
            if value is None:
                continue
            step = step_number(value.get("step")) if "step" in value else step
            most = step_number(value.get("max_steps")) if "max_steps" in value else most
            if "loss" in value:
                reported = value["loss"]
                loss = number(reported)
                self._loss_nan = isinstance(reported, float) and loss is None
            figures |= figures_of(value)
            if isinstance(text := value.get("text"), str):
                self._text = text[:MAX_TEXT]
        return SourceReport(step, most, loss, figures)

    def _write(self, now: float) -> None:
        progress = replace(self._evidence.progress(now), text=self._text, loss_nan=self._loss_nan)
        content = plain(replace(progress, step_age=None))
        same, at = self._written[0] == content, self._written[1]
        if same and now - at < WRITE_SECONDS:
            return
        progress_file.write(self._run, self._attempt, self._boot_id, now, progress)
        self._written = (content, now)


def _time_of(path: Path) -> int:
    """When it was written, by the volume's own clock."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return time.time_ns()
