"""What a terminal would show of text that moves back over itself: progress bars, mostly.

A carriage return begins the line again, a backspace goes back one letter, and "cursor up" (bars
below one another) goes back a line. What stands there at the end is the one line that remains.
"""

from __future__ import annotations

import re

_STEP = re.compile(r"(\r+|\x08+|\x1b\[\d{0,3}[AFGK])")
HIGHEST = 50  # lines that a cursor goes up at most

Line = list[str]  # pieces, so that a line that is drawn a million times is not copied as often


def redrawn(text: str) -> str:
    """`text` with each line in its last state. Its line ends are line feeds, or CR and LF."""
    if "\r" not in text and "\x08" not in text and "\x1b[" not in text:
        return text
    lines: list[Line] = [[]]
    place = 0  # of the cursor, among the lines
    for number, part in enumerate(text.replace("\r\n", "\n").split("\n")):
        if number:
            place += 1
            if place == len(lines):
                lines.append([])
        place = _draw(lines, place, part)
    shown = "\n".join("".join(line) for line in lines)
    return shown + "\n" if text.endswith("\n") and not shown.endswith("\n") else shown


def _draw(lines: list[Line], place: int, part: str) -> int:
    """One line's worth of text into `lines` at `place`; where the cursor is afterwards."""
    pieces = _STEP.split(part)
    begins = False  # the next text stands at the line's beginning
    for step, text in zip(["", *pieces[1::2]], pieces[0::2], strict=True):
        if step.startswith("\x08"):
            _back(lines[place], len(step))
        elif step.endswith("K"):
            if begins or step == "\x1b[2K":
                lines[place].clear()
        elif step.endswith(("A", "F")):
            place, begins = max(0, place - min(HIGHEST, int(step[2:-1] or 1))), True
        elif step:
            begins = True
        if text:
            if begins:
                lines[place].clear()
            lines[place].append(text)
            begins = False
    return place


def _back(line: Line, letters: int) -> None:
    while letters and line:
        last = line.pop()
        if len(last) > letters:
            line.append(last[:-letters])
        letters -= min(letters, len(last))
