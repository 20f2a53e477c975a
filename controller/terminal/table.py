"""Lays out tables for a terminal: column widths, alignment, wide characters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from controller.terminal.sanitize import clean_line


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table. Cells are cleaned; a column of numbers is aligned to the right."""
    body = [[clean_line("" if cell is None else str(cell)) for cell in row] for row in rows]
    numeric = [bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(columns))]
    widths = [
        max([_width(head), *(_width(row[i]) for row in body)]) for i, head in enumerate(columns)
    ]
    lines = []
    for cells in [list(columns), *body]:
        padded = [
            " " * (width - _width(cell)) + cell if right else cell + " " * (width - _width(cell))
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return lines


def _is_number(cell: str) -> bool:
    digits = cell.replace("$", "").replace(",", "").replace("%", "")
    return cell in ("", "-") or digits.replace(".", "", 1).lstrip("-+").isdigit()


def _width(text: str) -> int:
    """Terminal cells: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
