"""The one door to the terminal: stdout is data, stderr is talk, and nothing unclean passes.

Everything a command shows goes through a `Terminal`: it strips control sequences, hides secrets,
survives a closed pipe, and never asks a question that nobody can answer.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from controller.billing_pods import BillingPods
from controller.errors import PodctlError, UsageError
from controller.terminal.sanitize import clean, clean_line
from state.redaction import PROCESS, Redactor, hidden

Json = Any  # what json.dumps takes

LONGEST = 4000  # characters of one line of talk; data is never cut

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_WORDS = {
    "PASS": "green",
    "FAIL": "red",
    "WARN": "yellow",
    "INCONCLUSIVE": "yellow",
    "unknown": "yellow",
}


class OutputClosed(PodctlError):
    """Whoever read our output has gone (128 + SIGPIPE): there is nobody to tell."""

    exit_code = 141
    code = "output-closed"


@dataclass
class Terminal:
    """One pair of streams and how to write to them. `json` turns talk about results off."""

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
        """Clean text to stdout. `secret` lets a key through, for the one command that shows one."""
        shown = clean(text)
        self._erase()
        self._write_out((shown if secret else self.redact(shown)) + end)

    def raw(self, data: bytes) -> None:
        """Bytes to stdout as they are: `podctl exec … | tar x`. To a terminal they go cleaned."""
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
        """One JSON object on stdout with a `schema` field such as "podctl/status/1"."""
        import json

        body = plain(document)
        if not isinstance(body, dict):
            body = {"items": body}
        whole = hidden({"schema": schema, **body}, self.redact)
        # ASCII: no control or direction character of a value reaches a terminal unescaped.
        self._write_out(json.dumps(whole, indent=2, ensure_ascii=True, allow_nan=False) + "\n")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Aligned columns on stdout, the head bold and the verdicts coloured on a terminal."""
        lines = table(columns, rows)
        colour = self.colour(self.out)
        self._erase()
        for number, line in enumerate(lines):
            text = self.redact(line)
            if colour:
                text = _paint(text, "bold") if number == 0 else _paint_words(text)
            self._write_out(text + "\n")

    def verdict(self, verdict: str, text: str) -> None:
        """One checked line on stdout: `PASS  what`, the first word coloured on a terminal."""
        line = self.redact(f"{verdict}  {clean_line(text)}")
        self._erase()
        self._write_out((_paint_words(line) if self.colour(self.out) else line) + "\n")

    # talk ------------------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """One message to stderr; never fails, whoever listens or not."""
        if not self.quiet:
            self._talk(text)

    def warn(self, text: str) -> None:
        """A message that `--quiet` does not hide."""
        self._talk(f"warning: {text}", "yellow")

    def detail(self, text: str) -> None:
        """A line of `--verbose` or a traceback; `quiet` does not hide it."""
        self._talk(text, "dim")

    @property
    def moving(self) -> bool:
        """Whether a line that moves is seen by anybody."""
        return not self.quiet and is_tty(self.err)

    @property
    def width(self) -> int:
        """Columns that a line of talk may take: those of a screen, or as good as all."""
        return max(20, _columns() - 1) if is_tty(self.err) else LONGEST

    def progress(self, text: str) -> None:
        """A line that the next output replaces; nothing where stderr is no terminal."""
        if not self.moving:
            return
        self._erase()
        self._write_err(self.redact(clean_line(text))[: self.width])
        self._transient = True

    def error(self, error: PodctlError) -> None:
        """The one rendering of an error: what, where, cause, hint; with `--json` as JSON too."""
        self.bills.told = f"{error.what} {error.cause}"
        if self.json:
            self.emit_json("podctl/error/1", {"error": error.as_dict()})
        self._talk(f"error: {error.what}", "red")
        for label, text in (("where", error.where), ("cause", error.cause), ("next", error.hint)):
            if text:
                first, *more = clean(text).splitlines() or [""]
                self._talk(f"  {label + ':':<7}{first}")
                for line in more:
                    self._talk(f"         {line}")

    @property
    def answers(self) -> bool:
        """Whether somebody is there to be asked."""
        return is_tty(self.source)

    def confirm(self, question: str, flag: str, seconds: float | None = None) -> bool:
        """Ask on stderr, read from stdin. No answer within `seconds` is a no; None waits for one.

        Raises: UsageError naming `flag` when stdin is no terminal: nobody is there to answer.
        """
        if not is_tty(self.source):
            raise UsageError(
                f"this needs an answer: {question}",
                cause="standard input is not a terminal, so nothing was asked and nothing done",
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
        """Colour only on a terminal that can, and never under NO_COLOR."""
        dumb = os.environ.get("TERM") == "dumb" or bool(os.environ.get("NO_COLOR"))
        return is_tty(stream) and not dumb

    def _talk(self, text: str, style: str = "") -> None:
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
            self.err = None  # talk to nobody is no reason to stop

    def _write_out(self, text: str) -> None:
        if self.out is None:
            raise self._closed()
        try:
            self.out.write(_encodable(text, self.out))
            self.out.flush()
        except (OSError, ValueError) as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError | ValueError) -> PodctlError:
        """EIO is a terminal that was closed: nobody reads there any more than from a cut pipe."""
        if isinstance(error, OSError) and error.errno not in (errno.EPIPE, errno.EIO):
            self._discard()
            return PodctlError("cannot write to standard output", cause=str(error))
        return self._closed()

    def _closed(self) -> OutputClosed:
        self._discard()
        return OutputClosed("standard output is closed")

    def _discard(self) -> None:
        """Point a broken stdout at nothing, or the interpreter's last flush complains again."""
        if self.out is not None and self.out is getattr(sys.stdout, "stream", sys.stdout):
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
        self.out = None


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a table; cells are cleaned; a column of numbers is aligned to the right."""
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


def plain(value: Json) -> Json:
    """Dataclasses, enums, paths, tuples and pydantic models as what JSON has."""
    import dataclasses
    import enum
    import math

    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "items"):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    return str(value)


def is_tty(stream: IO[Any] | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


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


def _short(line: str) -> str:
    """No line of talk fills the screen for ever, whoever wrote it."""
    left = len(line) - LONGEST
    return line if left <= 0 else f"{line[:LONGEST]}… and {left} more characters"


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 80


def _encodable(text: str, stream: IO[str]) -> str:
    """`text` as the stream's encoding can have it: a C locale is no reason to crash."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding, "replace")


def _paint(text: str, style: str) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def _paint_words(line: str) -> str:
    import re

    words = rf"\b({'|'.join(_WORDS)})\b"
    return re.sub(words, lambda found: _paint(found[1], _WORDS[found[1]]), line)
