"""The lines at the foot of a terminal that the next output replaces: size and removal. Pure."""

from __future__ import annotations

import re

from controller.terminal.table import cell_width

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class LiveRegion:
    """Remembers what was drawn, to erase it also after the terminal was made narrower."""

    def __init__(self) -> None:
        self._widths: tuple[int, ...] = ()

    def drawn(self, text: str) -> None:
        """`text` is on the screen, without a newline at its end."""
        self._widths = tuple(cell_width(_COLOUR.sub("", line)) for line in text.split("\n"))

    def forget(self) -> None:
        """Leave on the screen what is there: other output followed it."""
        self._widths = ()

    def erasure(self, columns: int) -> str:
        """The sequence that removes the region from a terminal of now `columns`, once."""
        if not self._widths:
            return ""
        rows = sum(max(1, -(-width // columns)) for width in self._widths)
        self._widths = ()
        up = f"\x1b[{rows - 1}A" if rows > 1 else ""
        return f"\r{up}\x1b[J" if up else "\r\x1b[2K"
