"""The line that moves at the foot of a terminal; elsewhere, now and then, a line of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.clock import Clock
from controller.leases.progress_line import transfer_line
from controller.terminal.terminal import Terminal
from controller.transfer.progress import TransferProgress, TransferRate

QUIET_EVERY = 30.0  # seconds between lines where no terminal shows a moving one
SHOW_EVERY = 0.5  # seconds between two states of the one that moves


@dataclass
class MovingLine:
    """Whatever takes long, told in its newest state."""

    terminal: Terminal
    clock: Clock
    draw: Callable[[str], None] | None = None  # shows the line in a panel; None: by itself
    stamp: bool = False  # lines of a log begin with their time
    _shown_at: float = -1e9
    _said_at: float = -1e9
    _said: str = ""
    _transfer: str = ""  # what is under way
    _since: float = 0.0
    _seen: bool = False  # a transfer of the present action is on the screen
    _rate: TransferRate = field(default_factory=TransferRate)

    def show(self, short: str, long: str | None = None) -> None:
        """`short` fits the screen; `long` is what a log gets instead."""
        self._shown_at = self.clock.now()
        self._draw(short)
        self._say_seldom(long or short)

    def _draw(self, line: str) -> None:
        if self.draw is not None and self.terminal.moving:
            self.draw(line)
        else:
            self.terminal.progress(line)

    def note(self, line: str) -> None:
        """`line` for a log now and then; a terminal has a view instead."""
        self._shown_at = self.clock.now()
        self._say_seldom(line)

    def tick(self, text: str) -> None:
        """The same from who calls very often."""
        if self.clock.now() - self._shown_at >= SHOW_EVERY:
            self.show(text)

    def next_action(self) -> None:
        """What moves from now on is another transfer."""
        self._transfer, self._seen = "", False

    def moved(self, what: str, progress: TransferProgress) -> None:
        """Files are on their way, or being read; told once it takes long."""
        now = self.clock.now()
        if what != self._transfer:
            self._transfer, self._since, self._rate = what, now, TransferRate()
        self._rate.see(progress.bytes_done, now)
        due = now - max(self._since, self._shown_at) >= SHOW_EVERY
        if due or (self._seen and progress.complete):
            self._seen, self._shown_at = True, now
            line = transfer_line(what, progress, self._rate, now, self.terminal.width)
            self._draw(line)
        if now - self._since >= QUIET_EVERY:
            self._say_seldom(transfer_line(what, progress, self._rate, now))

    def _say_seldom(self, line: str) -> None:
        """For logs and pipes; where a line moves it says the same."""
        now = self.clock.now()
        if self.terminal.moving or now - self._said_at < QUIET_EVERY or line == self._said:
            return
        self._said_at, self._said = now, line
        self.terminal.say(stamped(line, self.clock, self.terminal) if self.stamp else line)


def stamped(text: str, clock: Clock, terminal: Terminal) -> str:
    """`text` with its time in front, where it goes to a log and not to a terminal."""
    if terminal.moving:
        return text
    return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(clock.wall()))} {text}"
