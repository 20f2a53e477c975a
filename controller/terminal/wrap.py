"""Wraps lines at words, with the following lines indented below the text. Pure."""

from __future__ import annotations

from controller.terminal.table import cell_width

HANGING = 2  # further cells by which the following lines are indented


def wrapped(line: str, width: int, indent: int | None = None) -> str:
    """`line` in lines of at most `width` cells; a longer word, such as a path, stays whole.

    The following lines are indented by `indent`; by default, two more than the first.
    """
    if cell_width(line) <= width:
        return line
    body = line.lstrip(" ")
    before = len(line) - len(body)
    hang = min(before + HANGING if indent is None else indent, width // 2)
    lines, current = [], " " * before
    empty = True
    for word in body.split(" "):
        room = width - cell_width(current) - (0 if empty else 1)
        if not empty and cell_width(word) > room:
            lines.append(current.rstrip(" "))
            current, empty = " " * hang, True
        current += word if empty else f" {word}"
        empty = False
    return "\n".join([*lines, current])
