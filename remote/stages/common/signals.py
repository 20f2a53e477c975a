"""SIGTERM as a request to save and to exit with `ENDED_BY_SIGTERM`."""

from __future__ import annotations

import signal
from types import FrameType

ENDED_BY_SIGTERM = 143


class StopRequest:
    """`asked` becomes true at the first SIGTERM; a second one ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    def listen(self) -> None:
        signal.signal(signal.SIGTERM, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
