"""The encodings in which ordinary programs print a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

SHORTEST = 8  # characters: shorter values would hide ordinary words
LINE = SHORTEST + 4  # characters of one line of a secret of several
_DIGITS = "[A-Za-z0-9+/_-]"  # of both base64 alphabets


def forms(value: str) -> Iterator[str]:
    """`value` plain, as JSON, Python, shells, HTML, URLs and hexadecimal dumps have it; of
    several lines, each."""
    import shlex
    import urllib.parse

    yield value
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value)):
        yield text[1:-1]
    written = json.dumps(value)[1:-1]
    yield written.replace("/", "\\/")  # PHP
    yield "".join(f"\\u{ord(c):04x}" if c in "<>&" else c for c in written)  # Go
    yield shlex.quote(value).removeprefix("'").removesuffix("'")
    yield value.replace("'", "'\\''")  # bash -x
    yield re.sub(r"([^\w@%+=:,./-])", r"\\\1", value, flags=re.ASCII)  # bash's %q
    yield re.sub(r"([\\\"$`])", r"\\\1", value)  # between double quotes
    yield value.replace('"', '\\"')
    marked = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield marked
    for double in ("&quot;", "&#34;"):
        for single in ("'", "&#x27;", "&#39;", "&apos;"):
            yield marked.replace('"', double).replace("'", single)
    escaped = urllib.parse.quote(value, safe="", errors="replace")
    yield escaped
    yield re.sub("%..", lambda match: match[0].lower(), escaped)
    yield urllib.parse.quote(value, errors="replace")
    yield urllib.parse.quote_plus(value, errors="replace")
    plain = raw(value)
    for joint in ("", ":", " ", "\\x"):
        yield joint.join(f"{byte:02x}" for byte in plain)
        yield joint.join(f"{byte:02X}" for byte in plain)
    if "\n" in value:
        yield from (line for line in value.splitlines() if len(line) >= LINE)


@dataclass(frozen=True, order=True)
class WithTail:
    """A fixed `core` of a secret's base64, and up to `tail` more digits that are partly its."""

    core: str
    tail: int

    @property
    def length(self) -> int:
        """Characters at most."""
        return len(self.core) + self.tail + 2

    @cached_property
    def text(self) -> re.Pattern[str]:
        return re.compile(self._expression)

    @cached_property
    def raw(self) -> re.Pattern[bytes]:
        return re.compile(self._expression.encode())

    @property
    def _expression(self) -> str:
        return f"{re.escape(self.core)}{_DIGITS}{{0,{self.tail}}}={{0,2}}"


def tailed(value: str) -> Iterator[WithTail]:
    """What stays the same of its base64, however many bytes (a user's name) stand before it.

    The last, unfinished group depends on what follows, and has bits of the secret all the same.
    """
    import base64

    plain = raw(value)
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(bytes(before) + plain).decode()
            quotient, left = divmod(before + len(plain), 3)
            core = text[(0, 2, 3)[before] : quotient * 4]
            if len(core) >= SHORTEST:
                yield WithTail(core, left + 1 if left else 0)


def raw(form: str) -> bytes:
    return form.encode("utf-8", "surrogatepass")
