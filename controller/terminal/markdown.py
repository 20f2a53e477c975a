"""Text of anybody in a Markdown page: on one line, cleaned as a terminal's, without any meaning."""

from __future__ import annotations

import re

from controller.terminal.sanitize import clean_line

LONGEST = 600  # characters that are shown of one text
_MARKUP = re.compile(r"([\\`*_\[\]|#!~$])")
# What GitHub makes a link, a mention or a mail address of, without any markup around it.
_LINKS = re.compile(r"(?i)(?<=[a-z0-9])://|\bwww\.|@")


def literal(text: str, longest: int = LONGEST) -> str:
    """`text` as it is read: no markup, no HTML, no link, no control character, cut when long."""
    cut = clean_line(text[: 8 * longest])  # what is not shown is not gone through
    line = "".join(one if one.isprintable() else "�" for one in cut)
    if len(line) > longest or len(text) > 8 * longest:
        line = line[: longest - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(r"\\\1", line)
    return _LINKS.sub(_entity, line)


def _entity(found: re.Match[str]) -> str:
    sign = found[0]
    if sign == "@":
        return "&#64;"
    return "&#58;//" if sign == "://" else f"{sign[:-1]}&#46;"


def lines(text: str, longest: int = LONGEST) -> str:
    """The same, where the breaks between lines are shown as a sign."""
    kept = text[: 8 * longest].splitlines()
    return literal(" ⏎ ".join(one for one in kept if one.strip()), longest)
