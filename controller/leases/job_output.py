"""Shows the job's log while a lease is driven: the new lines of the local copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from controller.status.log_reader import read_local
from controller.terminal.sanitize import CleanStream
from controller.terminal.terminal import Terminal

MOST_LINES = 200  # at one look; of more the newest are shown
MOST_BYTES = 256 * 1024  # read at one look; of more the newest
EARLIER_LINES = 10  # shown of a log that is older than this process


@dataclass
class JobOutput:
    """The logs of a lease's runs. Bars that are redrawn are one line, in their last state."""

    terminal: Terminal
    path: Callable[[str], Path]  # of a run's local copy
    _run: str = ""
    _offset: int = 0
    _stream: CleanStream = field(default_factory=CleanStream)

    def show(self, run: str, *, begun_here: bool = True) -> None:
        """Write what was added to the log of `run` since the last call."""
        path = self.path(run)
        size = _size(path)
        if run != self._run:
            self._finish()
            self._run, self._stream = run, CleanStream(self.terminal.redact)
            self._offset = 0 if begun_here else _tail_offset(path, size)
        if size < self._offset:  # another log took its place: the job runs on another disk
            self._offset = 0
        if size == self._offset:
            return
        start = max(self._offset, size - MOST_BYTES)
        data = read_local(path, start, size - start)
        skipped = start - self._offset
        self._offset = start + len(data)
        self._write(self._stream.feed(data), run, skipped)

    def end(self) -> None:
        """Write the last line, which has no end."""
        self._finish()
        self._run = ""

    @property
    def drawing(self) -> str:
        """The present state of the line that has no end yet, such as a progress bar."""
        lines = self._stream.pending().splitlines() if self._run else []
        return lines[-1] if lines else ""

    def _write(self, text: str, run: str, skipped: int) -> None:
        lines = text.splitlines()
        left = len(lines) - MOST_LINES
        if left > 0 or skipped:
            amount = f"{skipped} bytes" if skipped else f"{left} lines"
            self.terminal.say(f"[{amount} of the log are not shown: podctl logs {run}]")
        for line in lines[-MOST_LINES:]:
            self.terminal.data(line)

    def _finish(self) -> None:
        if self._run and (rest := self._stream.finish()):
            self.terminal.data(rest.splitlines()[-1])


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _tail_offset(path: Path, size: int) -> int:
    """Where the last lines of what is there begin."""
    begin = max(0, size - MOST_BYTES)
    data = read_local(path, begin, size - begin)
    place = len(data) - data.endswith(b"\n")
    for _ in range(EARLIER_LINES):
        place = data.rfind(b"\n", 0, max(0, place))
        if place < 0:
            return begin
    return begin + place + 1
