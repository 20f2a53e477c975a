"""The line that moves at the foot of a terminal; elsewhere, now and then, a line of its own."""

from __future__ import annotations

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
        self.terminal.progress(short)
        self._say_seldom(long or short)

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
            self.terminal.progress(line)
        if now - self._since >= QUIET_EVERY:
            self._say_seldom(transfer_line(what, progress, self._rate, now))

    def _say_seldom(self, line: str) -> None:
        """For logs and pipes; where a line moves it says the same."""
        now = self.clock.now()
        if self.terminal.moving or now - self._said_at < QUIET_EVERY or line == self._said:
            return
        self._said_at, self._said = now, line
        self.terminal.say(line)
