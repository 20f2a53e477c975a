"""`{learning_rate}` in a stage's command: the value of that parameter. Pure.

A brace that names no parameter stays as it is, and so does one after a `$`, which is a shell's.
`{{learning_rate}}` is the text `{learning_rate}`. In a shell's text a value is quoted, as it must
be where it stands.
"""

from __future__ import annotations

import difflib
import json
import posixpath
import re
import shlex
from collections.abc import Mapping, Sequence

Parameters = Mapping[str, object]

SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
_NAME = r"[A-Za-z_][\w-]*(?:\.[\w-]+)*"
_BRACES = re.compile(rf"\{{\{{({_NAME})\}}\}}|(?<![${{])\{{({_NAME})\}}")
_COMMAND_OPTION = re.compile(r"-[A-Za-z]*c")


def filled(command: Sequence[str], parameters: Parameters) -> tuple[str, ...]:
    """`command` with the values of its parameters."""
    shell = _shell_text(command)
    return tuple(
        _filled(word, parameters, in_shell=place == shell) for place, word in enumerate(command)
    )


def misspelt(command: Sequence[str], parameters: Parameters) -> tuple[tuple[str, str], ...]:
    """Names in braces that are no parameter, each with the parameter that is near to it."""
    found: dict[str, str] = {}
    for word in command:
        for match in _BRACES.finditer(word):
            name = match[2]
            if name is None or value_of(name, parameters) is not None:
                continue
            if near := difflib.get_close_matches(name, list(parameters), n=1, cutoff=0.75):
                found[name] = near[0]
    return tuple(found.items())


def value_of(name: str, parameters: Parameters) -> str | None:
    """The text of the parameter `name`, which may be dotted; None where there is none."""
    value: object = parameters
    for part in [name] if name in parameters else name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _shell_text(command: Sequence[str]) -> int:
    """Which word of the command a shell reads as a program; -1: none."""
    if not command or posixpath.basename(command[0]) not in SHELLS:
        return -1
    for place, word in enumerate(command[1:-1], 1):
        if _COMMAND_OPTION.fullmatch(word):
            return place + 1
        if not word.startswith(("-", "+")) and not command[place - 1].endswith("o"):
            return -1  # a script; `-o pipefail` is an option with its value
    return -1


def _filled(word: str, parameters: Parameters, *, in_shell: bool) -> str:
    parts, end = [], 0
    for match in _BRACES.finditer(word):
        value = value_of(match[1] or match[2], parameters)
        if value is None:
            continue
        parts.append(word[end : match.start()])
        if match[1]:
            parts.append(f"{{{match[1]}}}")
        else:
            parts.append(_quoted(value, _inside(word[: match.start()])) if in_shell else value)
        end = match.end()
    return "".join([*parts, word[end:]])


def _inside(text: str) -> str:
    """The quote that is open at the end of a shell's text: ' or " or none."""
    quote, escaped = "", False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
    return quote


def _quoted(value: str, quote: str) -> str:
    if quote == "'":
        return value.replace("'", "'\\''")
    if quote == '"':
        return re.sub(r'([\\"$`])', r"\\\1", value)
    return shlex.quote(value)
