"""Text from elsewhere, made safe to show: no control sequences, no hidden order."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from controller.terminal.redraw import redrawn

# Sequences are removed whole, so that their parameters do not stay behind as litter. Strings
# (OSC, DCS, …) that never end are cut at the line's end: they must not swallow what follows.
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

HOLD = 64 * 1024  # characters of one unfinished line that a stream holds back
KEEP = 4096  # of these that stay when it is shown all the same: the head of a secret may be there


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


def _shown(found: re.Match[str]) -> str:
    """A byte of a file's name that is no UTF-8, as `remote.names` encodes it; else U+FFFD."""
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else "\ufffd"


def clean_line(text: str | bytes) -> str:
    """`clean`, on one line: for names, table cells and error messages."""
    return " ".join(clean(text).split())


class CleanStream:
    """`clean` over bytes that arrive in pieces: a sequence cut in two is still one sequence.

    A line that is drawn again and again is one line, in its last state. `redact` hides secrets
    from what is shown; one that is cut in two is still one.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._redact = redact
        self._held = ""

    def feed(self, data: bytes) -> str:
        """Whole clean lines; the unfinished last one is held back, up to `HOLD` characters."""
        self._held += self._decoder.decode(data)
        cut = self._held.rfind("\n") + 1
        if not cut and len(self._held) > HOLD:
            again = "\r" if self._held.endswith("\r") else ""
            self._held = self._shown(self._held) + again
            cut = max(0, len(self._held) - KEEP)
        whole, self._held = self._held[:cut], self._held[cut:]
        return self._shown(whole)

    def pending(self) -> str:
        """The unfinished line as it stands now, for who watches it being drawn."""
        return self._shown(self._held)

    def finish(self) -> str:
        """What was held back, at the end of the stream."""
        rest, self._held = self._held + self._decoder.decode(b"", True), ""
        return self._shown(rest)

    def _shown(self, text: str) -> str:
        return self._redact(clean(redrawn(text)))
