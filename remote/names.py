"""What the files of a job are called: one rule for upload, agent, pull and certificate.

A path is relative to the work folder, its parts joined by `/`. In memory it is text in which each
byte that is no UTF-8 stands as a lone surrogate, U+DC80 to U+DCFF (PEP 383), so that every name
that POSIX allows has exactly one text. That text opens the file it names.

The encoding, in every document, on every stream and wherever a path is shown, is `encode`:

    a byte that is no UTF-8                    \\xHH       two lower-case hex digits
    a backslash                                \\\\
    a control, direction or invisible          \\uHHHH     the code point; \\UHHHHHHHH above FFFF
    character (`HIDDEN`)
    everything else                            itself

It is plain Unicode on one line and loses nothing: `decode(encode(path)) == path`. Ordinary names
are their own encoding. `decode` leaves a backslash that begins none of these as it is.
"""

from __future__ import annotations

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    import re

MAX_PATH = 4096  # bytes
OURS = ".podctl"  # what the controller itself puts into a work folder

# Fixed here, and not asked of a Unicode table: both sides must agree, whatever Python they have.
HIDDEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000e0000-\U000e0fff"
)
_ESCAPED = f"[\\\\\ud800-\udfff{HIDDEN}]"
_ESCAPE = r"\\(?:\\|x([89a-f][0-9a-f])|u([0-9a-f]{4})|U(000[0-9a-f]{5}|0010[0-9a-f]{4}))"


def text(raw: bytes) -> str:
    """A name as the file system has it, as text."""
    return raw.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    """The name as the file system has it. Raises ValueError for text that is no name's."""
    encoded = path.encode("utf-8", "surrogateescape")
    if encoded.decode("utf-8", "surrogateescape") != path:
        raise ValueError("two spellings of one name")
    return encoded


def encode(path: str) -> str:
    """The path as it stands in documents and is shown. Any text has an encoding."""
    if path.isascii() and path.isprintable() and "\\" not in path:
        return path
    import re  # few names come here

    return re.sub(_ESCAPED, _escape, path)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def decode(shown: str) -> str:
    """The path that `encode` wrote."""
    if "\\" not in shown:
        return shown
    import re

    return re.sub(_ESCAPE, _unescape, shown)


def _unescape(match: re.Match[str]) -> str:
    byte, short, long = match.groups()
    if byte:
        return chr(0xDC00 + int(byte, 16))
    return chr(int(short or long, 16)) if short or long else "\\"


def wrong(path: str) -> str | None:
    """Why no honest job has a file of this path, or None."""
    try:
        length = len(raw(path))
    except ValueError:  # UnicodeEncodeError is one
        return "its name is the text of no file's name"
    if length > MAX_PATH:
        return f"its path is over {MAX_PATH} bytes"
    if path.startswith("/"):
        return "its path is absolute"
    if "\0" in path:
        return "its path has a NUL"
    if {"", ".", ".."} & set(path.split("/")):
        return "its path has an empty, . or .. part"
    return None
