"""Tables, prose and live lines on terminals of any width."""

from __future__ import annotations

import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.terminal.live_region import LiveRegion
from controller.terminal.panel import Bar, Curve, Span, sparkline
from controller.terminal.table import GAP, cell_width, fit, natural_widths
from controller.terminal.terminal import Terminal
from controller.terminal.wrap import wrapped
from tests.support.screen import read_until

COLUMNS = ("RUN", "STATE", "SOURCE", "DETAIL")
ROWS = [("sft-0001", "failed", "journal", "the job ended with 1: " + "x" * 400)]


@contextmanager
def screen(width: int, rows: int = 24, encoding: str = "utf-8") -> Iterator[tuple[int, TextIO]]:
    """A terminal of that size: the descriptor that a test reads, and the stream that is written."""
    control, descriptor = pty.openpty()
    ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, width, 0, 0))
    stream = os.fdopen(descriptor, "w", encoding=encoding, errors="strict")
    try:
        yield control, stream
    finally:
        stream.close()
        os.close(control)


def shown(control: int, stream: TextIO) -> str:
    """Everything that was written so far."""
    stream.write("<end>")
    stream.flush()
    return read_until(control, b"<end>").decode(errors="replace").replace("\r\n", "\n")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_table_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider than the screen, and names are never cut."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    with screen(width) as (control, stream):
        ours = Terminal(out=stream, err=None)
        ours.table(COLUMNS, ROWS, prose=("DETAIL",), optional=("SOURCE", "DETAIL"))
        text = shown(control, stream)

    assert all(cell_width(line) <= width for line in text.splitlines())
    assert "\x1b" not in text
    assert "sft-0001" in text.replace("\n", "")
    assert ours.shortened


def test_a_wide_table_has_every_cell_on_one_line() -> None:
    """--wide, and a pipe, cut nothing."""
    with screen(40) as (control, stream):
        ours = Terminal(out=stream, err=None, wide=True)
        ours.table(COLUMNS, ROWS, prose=("DETAIL",), optional=("SOURCE",))
        text = shown(control, stream)

    assert "x" * 400 in text
    assert not ours.shortened


def test_states_have_colours_and_markup_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that is a whole cell is coloured; what a pod wrote is never taken for markup."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    with screen(80) as (control, stream):
        Terminal(out=stream, err=None).table(
            COLUMNS, [("r", "failed", "", "[bold red]failed[/] :smile: \x1b[31mred")]
        )
        text = shown(control, stream)

    assert "\x1b[31mfailed" in text
    assert "[bold red]failed[/] :smile: red" in text


def test_a_c_locale_gets_ascii() -> None:
    """Neither a table nor a panel needs a character that the terminal cannot show."""
    with screen(40, encoding="ascii") as (control, stream):
        ours = Terminal(out=stream, err=stream)
        ours.table(COLUMNS, ROWS, prose=("DETAIL",))
        ours.panel([[Bar(1, 4), Span(" 25 %")], [Curve((1.0, 2.0, 3.0))]])
        text = shown(control, stream)

    assert text.isascii()
    assert "~" in text


def test_a_secret_is_redacted_before_it_is_laid_out() -> None:
    """A fold or an ellipsis cannot cut a secret so that its pieces pass the redaction."""
    with screen(30) as (control, stream):
        ours = Terminal(out=stream, err=stream)
        ours.redact.add("correct-horse-battery-staple")
        ours.table(("A", "B"), [("correct-horse-battery-staple", "y" * 30)])
        ours.panel([[Span("correct-horse-battery-staple")]])
        text = shown(control, stream)

    assert "horse" not in text
    assert "staple" not in text


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=9),
    st.integers(20, 250),
    st.sets(st.integers(0, 8)),
)
def test_any_columns_fit_where_each_has_a_little_room(
    natural: list[int], width: int, prose: set[int]
) -> None:
    """The widths add up to the screen's at most, and no column is wider than it needs."""
    columns = [f"C{index}" for index in range(len(natural))]
    fitted = fit(
        columns,
        natural,
        width,
        prose=[columns[index] for index in prose if index < len(columns)],
        optional=columns[1:],
    )
    total = sum(fitted.widths) + GAP * (len(fitted.widths) - 1)

    assert total <= width
    assert all(
        wide <= natural[index] for index, wide in zip(fitted.shown, fitted.widths, strict=True)
    )


def test_natural_widths_count_cells() -> None:
    """Wide characters count twice."""
    assert natural_widths(("A",), [["\u65e5\u672c"]]) == [4]


@given(st.lists(st.text("ab/\u65e5", min_size=1, max_size=30), max_size=20), st.integers(10, 100))
def test_wrapping_loses_no_word(words: list[str], width: int) -> None:
    """Lines end at words, and all of them are there; only a word that is longer is wider."""
    text = wrapped(" ".join(words), width)
    longest = max((cell_width(word) for word in words), default=0)

    assert text.split() == " ".join(words).split()
    assert all(cell_width(line) <= max(width, longest + width // 2) for line in text.splitlines())


def test_wrapped_lines_hang_below_the_text() -> None:
    """The following lines are indented by two more, or below the text of an error."""
    assert wrapped("  aa bb cc", 8) == "  aa bb\n    cc"
    assert wrapped("  next:  aa bb", 12, 9) == "  next:  aa\n      bb"


def test_what_was_drawn_is_erased_after_a_resize() -> None:
    """Lines that the terminal wrapped when it was made narrower are counted as it shows them."""
    region = LiveRegion()
    region.drawn("x" * 70 + "\n\x1b[31mab\x1b[0m")

    assert region.erasure(80) == "\r\x1b[1A\x1b[J"
    assert region.erasure(80) == ""
    region.drawn("x" * 70 + "\nab")
    assert region.erasure(30) == "\r\x1b[3A\x1b[J"
    region.drawn("one line")
    region.forget()
    assert region.erasure(80) == ""


def test_a_panel_is_replaced_by_what_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message erases every line of it, and a low terminal gets its last lines."""
    monkeypatch.setenv("TERM", "xterm")
    with screen(60, rows=3) as (control, stream):
        ours = Terminal(out=stream, err=stream)
        ours.panel([[Span("first")], [Span("second")], [Span("third\nline", "red")]])
        ours.say("done")
        text = shown(control, stream)

    assert "first" not in text
    assert re.search(r"second\n.*third line.*\r\x1b\[1A\x1b\[Jdone", text)


def test_a_dumb_terminal_gets_no_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the cursor cannot move, lines are only added."""
    monkeypatch.setenv("TERM", "dumb")
    with screen(60) as (control, stream):
        ours = Terminal(out=stream, err=stream)
        ours.panel([[Span("a panel")]])
        ours.progress("a line")
        ours.say("said")
        assert shown(control, stream) == "said\n"


def test_a_sparkline_keeps_the_shape() -> None:
    """As many marks as fit, the lowest mean at the bottom, a flat curve flat."""
    assert sparkline([3, 2, 1], 10) == "█▅▁"
    assert sparkline([1, 1, 1], 10) == "▁▁▁"
    assert sparkline([1], 10) == sparkline([], 10) == sparkline([1, 2], 0) == ""
    assert len(sparkline(range(1000), 24)) == 24
    assert sparkline([0, 9], 4, unicode=False).isascii()
