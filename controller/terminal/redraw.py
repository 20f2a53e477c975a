"""The text that a terminal shows in the end of output that overwrites itself (progress bars).

A carriage return restarts the line, a backspace moves back one character, and "cursor up" (several
bars) moves back a line. Only the final state of each line remains.
"""

from __future__ import annotations

import re

_STEP = re.compile(r"(\r+|\x08+|\x1b\[\d{0,3}[AFGK])")
HIGHEST = 50  # lines that a cursor may move up

Line = list[str]  # pieces, so that a line drawn a million times is not copied each time


def redrawn(text: str) -> str:
    """`text` with each line in its final state. Lines end with LF or CR LF."""
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
    """Draw one line of text into `lines` at `place`; return the cursor's line afterwards."""
    pieces = _STEP.split(part)
    begins = False  # the next text starts at the beginning of the line
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
