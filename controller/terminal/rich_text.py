"""Renders with rich into text for a terminal. Imported only where a table or a view is drawn.

What comes in is clean and redacted already, and becomes `Text`, so that no markup in it is
interpreted.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controller.terminal.panel import Bar, Curve, PanelLine, Span, sparkline
from controller.terminal.style import state_colour
from controller.terminal.table import GAP, Fitted, fit, natural_widths, numbers

_SHORT = "podctl-ascii"


def _ascii(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a C locale lacks: `~` for an ellipsis, else `?`."""
    assert isinstance(error, UnicodeEncodeError)
    part = error.object[error.start : error.end]
    return "".join("~" if letter == "\u2026" else "?" for letter in part), error.end


codecs.register_error(_SHORT, _ascii)


def render(content: RenderableType, width: int, *, colour: bool, unicode: bool) -> str:
    """`content` as lines of at most `width` cells, each with its newline."""
    # rich draws lines or ASCII by the encoding of its file.
    sink = io.BytesIO()
    file = io.TextIOWrapper(sink, encoding="utf-8" if unicode else "ascii", errors=_SHORT)
    console = Console(
        file=file,
        width=max(1, width),
        height=1000,
        force_terminal=True,
        force_jupyter=False,
        force_interactive=False,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    cut = isinstance(content, Text)  # one line; a table's cells have rules of their own
    console.print(
        content, end="", no_wrap=cut or None, overflow="ellipsis" if cut else None, crop=True
    )
    file.flush()
    text = "\n".join(line.rstrip() for line in sink.getvalue().decode().split("\n"))
    if text and not text.endswith("\n"):
        text += "\n"
    return text


def fitted_table(
    columns: Sequence[str],
    body: Sequence[Sequence[str]],
    width: int | None,
    *,
    prose: Sequence[str],
    optional: Sequence[str],
    colour: bool,
    unicode: bool,
) -> tuple[str, bool]:
    """A table for a terminal of `width`, or as wide as its cells; and whether it lacks anything."""
    natural = natural_widths(columns, body)
    room = sum(natural) + GAP * len(natural) if width is None else width
    fitted = fit(columns, natural, room, prose=prose, optional=optional)
    content = _table(columns, body, fitted, prose=prose)
    return render(content, room, colour=colour, unicode=unicode), fitted.shortened


def _table(
    columns: Sequence[str],
    body: Sequence[Sequence[str]],
    fitted: Fitted,
    *,
    prose: Sequence[str],
) -> Table:
    """A table without lines, with a bold head and coloured states."""
    shown = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="bold")
    numeric = numbers(columns, body)
    for index, width in zip(fitted.shown, fitted.widths, strict=True):
        cut = columns[index] in prose
        shown.add_column(
            Text(columns[index]),
            width=width,
            justify="right" if numeric[index] else "left",
            no_wrap=cut,
            overflow="ellipsis" if cut else "fold",
        )
    for row in body:
        shown.add_row(*(Text(row[index], style=state_colour(row[index])) for index in fitted.shown))
    return shown


CURVE_WIDTH = 24  # cells of a curve at most
LEAST_BAR = 6  # cells of a bar at least


def panel_line(line: PanelLine, width: int, *, colour: bool, unicode: bool) -> str:
    """One line of a live view, cut at `width` cells; without its newline."""
    text = Text(no_wrap=True, overflow="ellipsis", end="")
    used = sum(Text(piece.text).cell_len for piece in line if isinstance(piece, Span))
    for piece in line:
        room = width - used
        if isinstance(piece, Span):
            text.append(piece.text, piece.style or None)
        elif isinstance(piece, Curve):
            curve = sparkline(piece.values, min(CURVE_WIDTH, room), unicode=unicode)
            text.append(curve, "cyan")
        elif room >= LEAST_BAR:
            text.append_text(_bar(piece, room, colour=colour, unicode=unicode))
    return render(text, width, colour=colour, unicode=unicode).rstrip("\n")


def _bar(bar: Bar, width: int, *, colour: bool, unicode: bool) -> Text:
    """rich's bar; without colour, what is not done yet is dots."""
    if colour:
        drawn = ProgressBar(total=bar.total, completed=bar.done, width=width)
        ansi = render(drawn, width, colour=True, unicode=unicode).rstrip("\n")
        return Text.from_ansi(ansi.ljust(width))
    done = int(width * min(1.0, max(0.0, bar.done / bar.total))) if bar.total > 0 else 0
    return Text(("\u2501" if unicode else "#") * done + "." * (width - done))
