"""All terminal output: data on stdout, messages on stderr.

Everything that a command shows goes through a `Terminal`. It removes control sequences, redacts
secrets, survives a closed pipe, and never prompts without a terminal.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from controller.billing_pods import BillingPods
from controller.errors import PodctlError, UsageError
from controller.terminal.json_values import Json, plain
from controller.terminal.sanitize import clean, clean_line
from controller.terminal.table import table
from state.redaction import PROCESS, Redactor, hidden

LONGEST = 4000  # characters of one line of a message; data is never cut

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_WORDS = {
    "PASS": "green",
    "FAIL": "red",
    "WARN": "yellow",
    "INCONCLUSIVE": "yellow",
    "unknown": "yellow",
}


class OutputClosed(PodctlError):
    """The reader of standard output closed it (128 + SIGPIPE)."""

    exit_code = 141
    code = "output-closed"


@dataclass
class Terminal:
    """The standard streams and how to write to them. With `json`, results are JSON."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False  # show the lines of the event log on stderr
    out: IO[str] | None = field(default_factory=lambda: sys.stdout)
    err: IO[str] | None = field(default_factory=lambda: sys.stderr)
    source: IO[str] | None = field(default_factory=lambda: sys.stdin)
    redact: Redactor = PROCESS
    bills: BillingPods = field(default_factory=BillingPods)
    _transient: bool = False

    # data ------------------------------------------------------------------------------------

    def data(self, text: str, *, secret: bool = False, end: str = "\n") -> None:
        """Write clean text to stdout; `secret`: unredacted, for the command that prints a key."""
        shown = clean(text)
        self._erase()
        self._write_out((shown if secret else self.redact(shown)) + end)

    def raw(self, data: bytes) -> None:
        """Write bytes to stdout unchanged (`podctl exec … | tar x`); on a terminal, cleaned."""
        binary = getattr(self.out, "buffer", None)
        if binary is None or is_tty(self.out):
            self._write_out(self.redact(clean(data)))
            return
        try:
            binary.write(data)
            binary.flush()
        except (OSError, ValueError) as error:
            raise self._unwritten(error) from error

    def emit_json(self, schema: str, document: Json) -> None:
        """Write a JSON object to stdout with a `schema` field such as "podctl/status/1"."""
        import json

        body = plain(document)
        if not isinstance(body, dict):
            body = {"items": body}
        redacted = hidden({"schema": schema, **body}, self.redact)
        # ASCII: no control or direction character of a value reaches a terminal unescaped.
        self._write_out(json.dumps(redacted, indent=2, ensure_ascii=True, allow_nan=False) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write aligned columns to stdout; on a terminal with a bold head and coloured verdicts."""
        lines = table(columns, rows)
        colour = self.colour(self.out)
        self._erase()
        for number, line in enumerate(lines):
            text = self.redact(line)
            if colour:
                text = _paint(text, "bold") if number == 0 else _paint_words(text)
            self._write_out(text + "\n")

    def verdict(self, verdict: str, text: str) -> None:
        """Write the result of a check to stdout: `PASS  text`; on a terminal with colour."""
        line = self.redact(f"{verdict}  {clean_line(text)}")
        self._erase()
        self._write_out((_paint_words(line) if self.colour(self.out) else line) + "\n")

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
        """Whether a progress line is visible: stderr is a terminal."""
        return not self.quiet and is_tty(self.err)

    @property
    def width(self) -> int:
        """Columns of the terminal, or no practical limit elsewhere."""
        return max(20, _columns() - 1) if is_tty(self.err) else LONGEST

    def progress(self, text: str) -> None:
        """Show a line that the next output replaces; only if stderr is a terminal."""
        if not self.moving:
            return
        self._erase()
        self._write_err(self.redact(clean_line(text))[: self.width])
        self._transient = True

    def error(self, error: PodctlError) -> None:
        """Show an error: what, where, cause, hint; with `json` also as an object on stdout."""
        self.bills.reported = f"{error.what} {error.cause} {error.hint}"
        if self.json:
            self.emit_json("podctl/error/1", {"error": error.as_dict()})
        self._message(f"error: {error.what}", "red")
        for label, text in (("where", error.where), ("cause", error.cause), ("next", error.hint)):
            if text:
                first, *more = clean(text).splitlines() or [""]
                self._message(f"  {label + ':':<7}{first}")
                for line in more:
                    self._message(f"         {line}")

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
        self._write_err(self.redact(clean(question)) + " [y/N] ")
        answered, _, _ = select.select([self.source], [], [], seconds)
        answer = self.source.readline() if answered else ""
        if not answer:
            self._write_err("\n")
        return answer.strip().lower() in ("y", "yes")

    # the streams -----------------------------------------------------------------------------

    def colour(self, stream: IO[str] | None) -> bool:
        """Whether to use colour: a capable terminal, and NO_COLOR is not set."""
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        return is_tty(stream) and not dumb

    def _message(self, text: str, style: str = "") -> None:
        shown = "\n".join(map(_short, self.redact(clean(text)).split("\n")))
        if style and self.colour(self.err):
            shown = _paint(shown, style)
        self._erase()
        self._write_err(shown + "\n")

    def _erase(self) -> None:
        if self._transient:
            self._transient = False
            self._write_err("\r\x1b[2K")

    def _write_err(self, text: str) -> None:
        if self.err is None:
            return
        try:
            self.err.write(_encodable(text, self.err))
            self.err.flush()
        except (OSError, ValueError):
            self.err = None  # a closed stderr is no reason to stop

    def _write_out(self, text: str) -> None:
        if self.out is None:
            raise self._closed()
        try:
            self.out.write(_encodable(text, self.out))
            self.out.flush()
        except (OSError, ValueError) as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError | ValueError) -> PodctlError:
        """The error for a failed write; EIO means a closed terminal and counts as a closed pipe."""
        if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EIO):
            self._discard()
            return PodctlError("cannot write to standard output", cause=str(error))
        return self._closed()

    def _closed(self) -> OutputClosed:
        self._discard()
        return OutputClosed("standard output is closed")

    def _discard(self) -> None:
        """Replace a broken stdout, or the interpreter's last flush fails again."""
        if self.out is not None and self.out is getattr(sys.stdout, "stream", sys.stdout):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        self.out = None


def is_tty(stream: IO[Any] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _short(line: str) -> str:
    """A message line, cut at `LONGEST` characters."""
    left = len(line) - LONGEST
    return line if left <= 0 else f"{line[:LONGEST]}… and {left} more characters"


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 80


def _encodable(text: str, stream: IO[str]) -> str:
    """`text` in the stream's encoding; a C locale must not cause an error."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")


def _paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def _paint_words(line: str) -> str:
    import re

    words = rf"\b({'|'.join(_WORDS)})\b"
    return re.sub(words, lambda word: _paint(word[1], _WORDS[word[1]]), line)
