"""Lays out tables: column widths, alignment, wide characters. Pure.

In a file or pipe a table is as wide as its cells. On a terminal it is fitted to the width: columns
that may be missing are left out, prose is cut, and names are folded, so that they can be copied.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.terminal.sanitize import clean_line

GAP = 2  # cells between two columns
LEAST_PROSE = 12  # cells that a column of prose has at least
LEAST = 4  # cells that any column has at least


@dataclass(frozen=True)
class Fitted:
    """The columns of a table on a screen: their indexes and widths, and whether cells are cut."""

    shown: tuple[int, ...]
    widths: tuple[int, ...]
    shortened: bool


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """The lines of a table. Cells are cleaned; a column of numbers is aligned to the right."""
    body = cells_of(rows)
    numeric = numbers(columns, body)
    widths = natural_widths(columns, body)
    lines = []
    for cells in [list(columns), *body]:
        padded = [
            " " * (width - cell_width(cell)) + cell
            if right
            else cell + " " * (width - cell_width(cell))
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ]
        lines.append((" " * GAP).join(padded).rstrip())
    return lines


def cells_of(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    """The rows as clean text of one line a cell."""
    return [[clean_line("" if cell is None else str(cell)) for cell in row] for row in rows]


def numbers(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns have nothing but numbers."""
    return [bool(body) and all(_is_number(row[i]) for row in body) for i in range(len(columns))]


def natural_widths(columns: Sequence[str], body: Sequence[Sequence[str]]) -> list[int]:
    """The width that each column needs."""
    return [
        max([cell_width(head), *(cell_width(row[index]) for row in body)])
        for index, head in enumerate(columns)
    ]


def fit(
    columns: Sequence[str],
    natural: Sequence[int],
    width: int,
    *,
    prose: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Fitted:
    """The columns that a screen of `width` cells has room for.

    Columns of `prose` may be cut. Those in `optional` are left out, the first first, where even
    that is too wide; then the widest columns are narrowed.
    """
    shown = list(range(len(columns)))

    def least(index: int) -> int:
        return min(natural[index], LEAST_PROSE) if columns[index] in prose else natural[index]

    def total(widths: Iterable[int]) -> int:
        return sum(widths) + GAP * (len(shown) - 1)

    for name in optional:
        if total(map(least, shown)) <= width:
            break
        if name in columns and len(shown) > 1:
            shown.remove(columns.index(name))
    widths = [natural[index] for index in shown]
    floors = [least(index) for index in shown]
    _narrow(widths, floors, total(widths) - width)
    _narrow(widths, [min(LEAST, floor) for floor in floors], total(widths) - width)
    cut = any(
        wide < natural[index] and columns[index] in prose
        for index, wide in zip(shown, widths, strict=True)
    )
    return Fitted(tuple(shown), tuple(widths), cut or len(shown) < len(columns))


def _narrow(widths: list[int], floors: Sequence[int], excess: int) -> None:
    """Take `excess` cells from the widest columns, none below its floor."""
    for _ in range(excess):
        index = max(range(len(widths)), key=lambda i: (widths[i] - floors[i] > 0, widths[i]))
        if widths[index] <= floors[index]:
            return
        widths[index] -= 1


def _is_number(cell: str) -> bool:
    digits = cell.replace("$", "").replace(",", "").replace("%", "")
    return cell in ("", "-") or digits.replace(".", "", 1).lstrip("-+").isdigit()


def cell_width(text: str) -> int:
    """Terminal cells: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
