"""Makes untrusted text safe to show: no control sequences, no hidden characters."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from controller.terminal.redraw import redrawn

# Complete sequences are removed, including their parameters. Strings (OSC, DCS, …) without an end
# are cut at the end of the line: they must not hide the lines below.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: cursor, colour, erase
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c\n\r]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"  # every other escape
)
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # C0 without \t \n \r, DEL, C1
    "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi, invisible
    "\U000e0000-\U000e007f]"  # tag characters
)
_NEWLINES = re.compile("\r\n?|[\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")

HOLD = 64 * 1024  # characters of one unfinished line that a stream buffers
KEEP = 4096  # of these stay buffered when it is shown anyway: a secret may begin there


def clean(text: str | bytes) -> str:
    """`text` with only printable characters, tabs and newlines; invalid UTF-8 becomes U+FFFD.

    Idempotent: cleaning clean text changes nothing.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    text = _SEQUENCES.sub("", text)
    text = _NEWLINES.sub("\n", text)
    text = _HIDDEN.sub("", text)
    return _SURROGATES.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    """A byte of a file name that is not UTF-8, as `remote.names` encodes it; else U+FFFD."""
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\ufffd"


def clean_line(text: str | bytes) -> str:
    """`clean`, on one line: for names, table cells and error messages."""
    return " ".join(clean(text).split())


class CleanStream:
    """`clean` for bytes that arrive in pieces, which may cut sequences and secrets in two.

    Of a line that is redrawn, only the final state is shown. `redact` removes secrets.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._redact = redact
        self._held = ""

    def feed(self, data: bytes) -> str:
        """Complete clean lines; the unfinished last line is buffered, up to `HOLD` characters."""
        self._held += self._decoder.decode(data)
        cut = self._held.rfind("\n") + 1
        if not cut and len(self._held) > HOLD:
            again = "\r" if self._held.endswith("\r") else ""
            self._held = self._shown(self._held) + again
            cut = max(0, len(self._held) - KEEP)
        complete, self._held = self._held[:cut], self._held[cut:]
        return self._shown(complete)

    def pending(self) -> str:
        """The present state of the unfinished line."""
        return self._shown(self._held)

    def finish(self) -> str:
        """The buffered rest, at the end of the stream."""
        rest, self._held = self._held + self._decoder.decode(b"", True), ""
        return self._shown(rest)

    def _shown(self, text: str) -> str:
        return self._redact(clean(redrawn(text)))
