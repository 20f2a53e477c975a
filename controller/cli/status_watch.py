"""`podctl status --watch`: the status again and again, until Ctrl-C.

On a terminal it is redrawn in place, as much of it as the screen has rows for. Elsewhere, and on a
terminal that cannot move its cursor, each change is a line with its time.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from controller.cli.status_view import show, steps_line
from controller.clock import Clock
from controller.terminal.streams import is_tty, rows_of
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.status.overview import Overview

REDRAW_SECONDS = 2.0  # between two looks at the local records
ASK_SECONDS = 15.0  # between two requests to provider and pods

Look = Callable[[bool], tuple["Overview", tuple[str, ...]]]  # whether to ask → what is known


class Screen(io.TextIOWrapper):
    """Collects output as it would be shown on `stream`."""

    def __init__(self, stream: IO[str]) -> None:
        self._shown, self._stream = io.BytesIO(), stream
        super().__init__(self._shown, encoding=getattr(stream, "encoding", None) or "utf-8")

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._stream.fileno()

    def text(self) -> str:
        """All that was written."""
        self.flush()
        return self._shown.getvalue().decode(self.encoding)


def watch(terminal: Terminal, look: Look, clock: Clock, *, every: bool) -> int:
    """Show what `look` returns until Ctrl-C. Returns the exit code."""
    in_place = is_tty(terminal.out) and os.environ.get("TERM", "dumb") != "dumb"
    known: dict[str, str] = {}
    asked_at = float("-inf")
    try:
        while True:
            due = clock.now() - asked_at >= ASK_SECONDS
            asked_at = clock.now() if due else asked_at
            overview, failures = look(due)
            if in_place:
                redraw(terminal, overview, failures, every=every)
            else:
                known = _changes(terminal, overview, known)
            clock.wait(REDRAW_SECONDS)
    except KeyboardInterrupt:
        return 0


def redraw(
    terminal: Terminal, overview: Overview, failures: tuple[str, ...], *, every: bool
) -> None:
    """Replace the screen by the overview, cut to its height."""
    out = terminal.out
    assert out is not None
    screen = Screen(out)
    inner = Terminal(out=screen, err=screen, source=None, redact=terminal.redact)
    inner.wide = terminal.wide
    show(inner, overview, every=every)
    for reason in failures:
        inner.warn(reason)
    at = time.strftime("%H:%M:%S", time.localtime(overview.at))
    inner.say(f"{at}; Ctrl-C ends this view, nothing else")
    terminal.frame(screen.text(), rows_of(out))


def _changes(terminal: Terminal, overview: Overview, known: dict[str, str]) -> dict[str, str]:
    """Write a line for each state that differs from `known`; returns the states now."""
    states = {run.run: _run_text(overview, run.run) for run in overview.runs}
    states |= {pod.pod: f"pod {pod.pod}: {pod.fact.state}" for pod in overview.pods}
    states |= {name: f"pod {name}: gone" for name in known if name not in states}
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(overview.at))
    for name, text in states.items():
        if known.get(name) != text:
            terminal.data(f"{at} {text}")
    return states


def _run_text(overview: Overview, name: str) -> str:
    run = next(line for line in overview.runs if line.run == name)
    steps = steps_line(run).partition(": ")[2]
    return f"{name}: {run.fact.state}" + (f", {steps}" if steps else "")
