"""Lines that are drawn again and again are one line, in their last state."""

from __future__ import annotations

import os
import pty
import time
from pathlib import Path

import pytest

from controller.status.log_reader import LONGEST, last_lines, last_words
from controller.terminal.redraw import redrawn
from controller.terminal.sanitize import HOLD, CleanStream
from controller.terminal.terminal import Terminal
from tests.support.screen import read_until


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\r 0%|   |\r50%|#  |\r99%|## |\ndone\n", "99%|## |\ndone\n"),
        ("a\r\nb\r\n", "a\nb\n"),  # Windows line ends redraw nothing
        ("50%\r", "50%"),
        ("50%\r\r\n", "50%\n"),
        ("1/2\b\b\b2/2\n", "2/2\n"),
        ("12/60 [==>...] loss 2\r\b\b\b60/60 [=====] loss 1\n", "60/60 [=====] loss 1\n"),  # Keras
        ("outer 0\ninner 0\x1b[A\router 1\n\rinner 1\x1b[A\n", "outer 1\ninner 1\n"),  # nested tqdm
        ("one\n\x1b[1A\x1b[2Ktwo\n", "two\n"),
        ("one\x1b[2K\x1b[Gtwo\n", "two\n"),
        ("50%\r\x1b[K\n", "\n"),  # a bar that clears itself
        ("a\x1b[Kb\n", "ab\n"),  # nothing to erase at a line's end
        ("\x1b[9A\x1b[999Fx\n", "x\n"),
        ("\b\b\bx\n", "x\n"),
        ("plain\n\nlines\n", "plain\n\nlines\n"),
    ],
)
def test_the_last_state_remains(text: str, shown: str) -> None:
    """As a terminal would have it at the end."""
    assert redrawn(text) == shown


def test_a_million_moves_are_quick() -> None:
    """Text of a pod that moves without end costs no more than its length."""
    began = time.monotonic()
    for piece in ("x\x1b[A", "x\b", "x\r", "\x1b[A\n", "ab\b"):
        redrawn(piece * 200_000)

    assert time.monotonic() - began < 20


def test_the_log_that_people_read_has_one_line_a_bar() -> None:
    """Case 08: three hundred redraws, colours, and bytes that are no text; in whatever pieces."""
    bars = "".join(f"\r{n // 3:3d}%| {n}/300 [loss={3 / n:.4f}]" for n in range(1, 301))
    raw = bars.encode() + b"\n\x1b[31mred\x1b[0m \x00\x01\xff\xfe caf\xe9\nlast has no end"
    for size in (1, 7, len(raw)):
        stream = CleanStream()
        parts = [stream.feed(raw[at : at + size]) for at in range(0, len(raw), size)]
        assert "".join([*parts, stream.finish()]).splitlines() == [
            "100%| 300/300 [loss=0.0100]",
            "red \ufffd\ufffd caf\ufffd",
            "last has no end",
        ]


def test_a_bar_without_end_is_held_as_its_last_state() -> None:
    """A job of days draws one line of megabytes: it is never shown by pieces."""
    stream = CleanStream()
    shown = "".join(stream.feed(b"\r%8d of many" % n * 100) for n in range(2 * HOLD // 100))

    assert shown == ""
    assert stream.pending().endswith("of many")
    assert len(stream.pending()) < 30
    assert stream.feed(b"\rnext\n") == "next\n"


def test_the_tail_counts_lines_not_redraws() -> None:
    """`logs -n 2` after a bar: the bar is one of the two."""
    data = b"head\n\r1%\r2%\r3%\nend\n"

    assert last_lines(data, 2) == b"\r1%\r2%\r3%\nend\n"
    assert last_lines(data, 1) == b"end\n"
    assert last_lines(data, 9) == data
    assert last_lines(data, 0) == b""
    assert last_lines(b"no end", 1) == b"no end"
    assert last_lines(b"", 3) == b""


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a\nRuntimeError: CUDA out of memory\n\n", "RuntimeError: CUDA out of memory"),
        (b"x\r10%\r100%", "100%"),
        (b"received by PID 77\n=====\n", "received by PID 77"),
        (b"\x1b[31mError:\x1b[0m no\x00\n\x1b[0m\n", "Error: no"),
        (b"why\npodctl: stopped: ended by the user\n", "why"),
        (b"y" * 1000, "y" * (LONGEST - 1) + "…"),
        (b"\xff\xfe\n", "\ufffd\ufffd"),
        (b"podctl: attempt 1: python a.py\n", ""),
        (b"", ""),
    ],
)
def test_the_last_words_of_a_job(data: bytes, words: str) -> None:
    """Cleaned, shortened, and not podctl's own."""
    assert last_words(data) == words


def test_a_terminal_sees_the_bar_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the unfinished line is shown and replaced; in a pipe only whole lines are."""
    monkeypatch.setenv("TERM", "xterm")
    from controller.cli.logs import _show

    parent, child = pty.openpty()
    with os.fdopen(child, "w") as screen:
        terminal, stream = Terminal(out=screen, err=screen), CleanStream()
        for part in (b"\r10%", b"\r20%", b"\r30%\nend\n"):
            _show(terminal, stream, part)
        screen.write("<end>")
        screen.flush()
        shown = read_until(parent, b"<end>").decode()
    os.close(parent)
    assert "10%\r\x1b[2K" in shown
    assert shown.replace("\r\n", "\n").endswith("20%\r\x1b[2K30%\nend\n")

    with (tmp_path / "out").open("w") as pipe:
        terminal, stream = Terminal(out=pipe, err=pipe), CleanStream()
        for part in (b"\r10%", b"\r20%", b"\r30%\nend\n"):
            _show(terminal, stream, part)
    assert (tmp_path / "out").read_text() == "30%\nend\n"
