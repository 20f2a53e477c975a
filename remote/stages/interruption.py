"""SIGTERM, heard between two pieces of work: save what is there and end."""

from __future__ import annotations

import signal
from types import FrameType

ENDED_BY_SIGTERM = 143


class Interrupted(Exception):
    """The stage was asked to end; everything finished so far is on disk."""


class Listener:
    """Remembers that SIGTERM came; a second one ends the process at once."""

    def __init__(self) -> None:
        self._asked = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._heard)

    def check(self) -> None:
        """Raises: Interrupted once SIGTERM came."""
        if self._asked:
            raise Interrupted

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
