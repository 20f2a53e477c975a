"""Escapes untrusted text for a Markdown page: one clean line without markup."""

from __future__ import annotations

import re

from controller.terminal.sanitize import clean_line

LONGEST = 600  # characters that are shown of one text
_MARKUP = re.compile(r"([\\`*_\[\]|#!~$])")
# What GitHub makes a link, a mention or a mail address of, without any markup around it.
_LINKS = re.compile(r"(?i)(?<=[a-z0-9])://|\bwww\.|@")


def literal(text: str, longest: int = LONGEST) -> str:
    """`text` without effective markup, HTML, links or control characters, cut when long."""
    cut = clean_line(text[: 8 * longest])  # the rest is not shown
    line = "".join(char if char.isprintable() else "�" for char in cut)
    if len(line) > longest or len(text) > 8 * longest:
        line = line[: longest - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(r"\\\1", line)
    return _LINKS.sub(_entity, line)


def _entity(match: re.Match[str]) -> str:
    sign = match[0]
    if sign == "@":
        return "&#64;"
    return "&#58;//" if sign == "://" else f"{sign[:-1]}&#46;"


def lines(text: str, longest: int = LONGEST) -> str:
    """`literal` of several lines; a sign marks each line break."""
    kept = text[: 8 * longest].splitlines()
    return literal(" ⏎ ".join(line for line in kept if line.strip()), longest)
