"""All terminal output: data on stdout, messages on stderr.

Everything that a command shows goes through a `Terminal`. It removes control sequences, redacts
secrets, survives a closed pipe, and never prompts without a terminal.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import IO

from controller.billing_pods import BillingPods
from controller.errors import PodctlError, UsageError
from controller.terminal.json_values import Json, plain
from controller.terminal.live_region import LiveRegion
from controller.terminal.output import Output
from controller.terminal.output import OutputClosed as OutputClosed
from controller.terminal.panel import PanelLine, gated
from controller.terminal.sanitize import clean, clean_line
from controller.terminal.streams import (
    columns_of,
    draws_unicode,
    in_foreground,
    is_tty,
    known_columns,
    rows_of,
)
from controller.terminal.style import paint, paint_verdicts
from controller.terminal.table import cells_of, table
from controller.terminal.wrap import wrapped
from state.redaction import PROCESS_REDACTOR, Redactor, hidden

LONGEST = 4000  # characters of one line of a message; data is never cut


@dataclass
class Terminal(Output):
    """The standard streams and how to write to them. With `json`, results are JSON."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False  # show the lines of the event log on stderr
    wide: bool = False  # tables are as wide as their cells
    shortened: bool = False  # a table was fitted to the terminal and lacks something
    source: IO[str] | None = field(default_factory=lambda: sys.stdin)
    redact: Redactor = PROCESS_REDACTOR
    bills: BillingPods = field(default_factory=BillingPods)
    _region: LiveRegion = field(default_factory=LiveRegion)
    _lock: RLock = field(default_factory=RLock)  # transfers report from threads of their own

    # data ------------------------------------------------------------------------------------

    def data(self, text: str, *, secret: bool = False, end: str = "\n") -> None:
        """Write clean text to stdout; `secret`: unredacted, for the command that prints a key."""
        shown = clean(text)
        with self._lock:
            self._erase()
            self.write_out((shown if secret else self.redact(shown)) + end)

    def prose(self, text: str) -> None:
        """Write text to stdout; on a terminal, lines that are too long are wrapped at words."""
        width = known_columns(self.out)
        self.data("\n".join(wrapped(line, width) for line in text.split("\n")) if width else text)

    def raw(self, data: bytes) -> None:
        """Write bytes to stdout unchanged (`podctl exec … | tar x`); on a terminal, cleaned."""
        binary = getattr(self.out, "buffer", None)
        if binary is None or is_tty(self.out):
            self.write_out(self.redact(clean(data)))
            return
        try:
            binary.write(data)
            binary.flush()
        except (OSError, ValueError) as error:
            raise self.unwritten(error) from error

    def emit_json(self, schema: str, document: Json) -> None:
        """Write a JSON object to stdout with a `schema` field such as "podctl/status/1"."""
        import json

        body = plain(document)
        if not isinstance(body, dict):
            body = {"items": body}
        redacted = hidden({"schema": schema, **body}, self.redact)
        # ASCII: no control or direction character of a value reaches a terminal unescaped.
        self.write_out(json.dumps(redacted, indent=2, ensure_ascii=True, allow_nan=False) + "\n")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[object]],
        *,
        prose: Sequence[str] = (),
        optional: Sequence[str] = (),
    ) -> None:
        """Write aligned columns to stdout; on a terminal coloured, and fitted to its width.

        Columns named in `prose` may be cut, those in `optional` left out, the first first.
        """
        self._erase()
        if is_tty(self.out):
            self._fitted_table(columns, cells_of(rows), prose, optional)
            return
        for line in table(columns, rows):
            self.write_out(self.redact(line) + "\n")

    def _fitted_table(
        self,
        columns: Sequence[str],
        body: list[list[str]],
        prose: Sequence[str],
        optional: Sequence[str],
    ) -> None:
        from controller.terminal.rich_text import fitted_table

        body = [[self.redact(cell) for cell in row] for row in body]
        text, shortened = fitted_table(
            columns,
            body,
            None if self.wide else columns_of(self.out),
            prose=prose,
            optional=optional,
            colour=self.colour(self.out),
            unicode=draws_unicode(self.out),
        )
        self.shortened = self.shortened or shortened
        self.write_out(text)

    def frame(self, text: str, rows: int) -> None:
        """Replace the screen of stdout by `text`, which another Terminal cleaned and redacted."""
        lines = text.rstrip("\n").split("\n")
        if len(lines) >= rows:
            lines = [*lines[: max(1, rows - 2)], *lines[-1:]]
        body = "".join(f"{line}\x1b[K\n" for line in lines)
        self.write_out(f"\x1b[H{body}\x1b[J")

    def hint_wide(self) -> None:
        """Say how to see what a table had no room for."""
        if self.shortened and not self.wide:
            self.say("shortened to the width of the terminal; --wide shows everything")

    def verdict(self, verdict: str, text: str) -> None:
        """Write the result of a check to stdout: `PASS  text`; on a terminal with colour."""
        line = self.redact(f"{verdict}  {clean_line(text)}")
        self._erase()
        self.write_out((paint_verdicts(line) if self.colour(self.out) else line) + "\n")

    # messages --------------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """Write a message to stderr; never fails."""
        if not self.quiet:
            self._message(text)

    def warn(self, text: str) -> None:
        """Write a warning to stderr, also when `quiet`."""
        self._message(f"warning: {text}", "yellow")

    def detail(self, text: str) -> None:
        """Write a line of `--verbose` or a traceback to stderr, also when `quiet`."""
        self._message(text, "dim")

    @property
    def moving(self) -> bool:
        """Whether lines can be redrawn: stderr is a capable terminal, and not a shell's by now."""
        dumb = os.environ.get("TERM") == "dumb"
        return not self.quiet and not dumb and is_tty(self.err) and in_foreground(self.err)

    @property
    def width(self) -> int:
        """Columns of the terminal, or no practical limit elsewhere."""
        return max(20, columns_of(self.err) - 1) if is_tty(self.err) else LONGEST

    def progress(self, text: str) -> None:
        """Show a line that the next output replaces; only if stderr is a terminal."""
        if not self.moving:
            return
        self._draw(self.redact(clean_line(text))[: self.width])

    def panel(self, lines: Sequence[PanelLine]) -> None:
        """Show several lines that the next output replaces; only where `moving`."""
        if not self.moving:
            return
        from controller.terminal.rich_text import panel_line

        colour, unicode = self.colour(self.err), draws_unicode(self.err)
        most = max(1, rows_of(self.err) - 1)
        shown = [
            panel_line(gated(line, self.redact), self.width, colour=colour, unicode=unicode)
            for line in lines[-most:]
        ]
        self._draw("\n".join(shown))

    def forget_panel(self) -> None:
        """Draw the next panel below what is on the screen: a shell wrote there meanwhile."""
        self._region.forget()

    def _draw(self, text: str) -> None:
        with self._lock:
            self._erase()
            self.write_err(text)
            self._region.drawn(text)

    def error(self, error: PodctlError) -> None:
        """Show an error: what, where, cause, hint; with `json` also as an object on stdout."""
        self.bills.reported = f"{error.what} {error.cause} {error.hint}"
        if self.json:
            self.emit_json("podctl/error/1", {"error": error.as_dict()})
        self._message(f"error: {error.what}", "red")
        for label, text in (("where", error.where), ("cause", error.cause), ("next", error.hint)):
            if text:
                first, *more = clean(text).splitlines() or [""]
                self._message(f"  {label + ':':<7}{first}", indent=9)
                for line in more:
                    self._message(f"         {line}", indent=9)

    def notice(self, error: PodctlError) -> None:
        """Show an end that is no failure in the lines of an error, without its colour."""
        self.bills.reported = f"{error.what} {error.cause}"
        if self.json and error.exit_code:
            self.emit_json("podctl/error/1", {"error": error.as_dict()})
        for text in (error.what, f"  {error.cause}", f"  next: {error.hint}"):
            self._message(text)

    @property
    def answers(self) -> bool:
        """Whether a user can answer: stdin is a terminal."""
        return is_tty(self.source)

    def confirm(self, question: str, flag: str, seconds: float | None = None) -> bool:
        """Ask on stderr and read the answer from stdin; no answer within `seconds` means no.

        Raises UsageError, which names `flag`, when stdin is not a terminal.
        """
        if not is_tty(self.source):
            raise UsageError(
                f"confirmation required: {question}",
                cause="standard input is not a terminal; nothing was done",
                hint=f"repeat the command with {flag}",
            )
        assert self.source is not None
        self._erase()
        self.write_err(self.redact(clean(question)) + " [y/N] ")
        answered, _, _ = select.select([self.source], [], [], seconds)
        answer = self.source.readline() if answered else ""
        if not answer:
            self.write_err("\n")
        return answer.strip().lower() in ("y", "yes")

    # the streams -----------------------------------------------------------------------------

    def colour(self, stream: IO[str] | None) -> bool:
        """Whether to use colour: a capable terminal, and NO_COLOR is not set."""
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        return is_tty(stream) and not dumb

    def _message(self, text: str, style: str = "", indent: int | None = None) -> None:
        lines = list(map(_short, self.redact(clean(text)).split("\n")))
        if (width := known_columns(self.err)) and style != "dim":
            lines = [wrapped(line, width, indent) for line in lines]
        shown = "\n".join(lines)
        if style and self.colour(self.err):
            shown = paint(shown, style)
        with self._lock:
            self._erase()
            self.write_err(shown + "\n")

    def _erase(self) -> None:
        if erasure := self._region.erasure(columns_of(self.err)):
            self.write_err(erasure)


def _short(line: str) -> str:
    """A message line, cut at `LONGEST` characters."""
    left = len(line) - LONGEST
    return line if left <= 0 else f"{line[:LONGEST]}… and {left} more characters"
