"""Globs as podctl.toml has them, read in the same way on both sides.

    out/a.json          that file; of a folder, everything below it
    out/*.json  a?  [x-z]    within one folder
    out/**/x.pt         at any depth; a last `**` is every file below
    .                   everything
    !runs/**/tmp        not these, nor what is below them; the last glob that matches decides
    !*.tmp              without a `/`: at any depth, as in .gitignore

A name that begins with `!` is written `./!name`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MAGIC = re.compile(r"[*?\[]")
NOT = "!"


def expression(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression on relative paths; `**` spans folders.

    A pattern without wildcards, or one that ends in `/`, means everything below that folder too.
    """
    pattern = normal(pattern).removeprefix("./")
    if pattern == ".":
        pattern = "**/*"
    below = not MAGIC.search(pattern) or pattern.endswith("/")
    return _compiled(pattern, "(?:/.+)?" if below else "")


def matcher(pattern: str) -> re.Pattern[str]:
    """As `expression`, where a last `**` means every file below."""
    bare = pattern.rstrip("/")
    return expression(f"{bare}/*" if bare.split("/")[-1] == "**" else pattern)


def fault(pattern: str) -> str:
    """What is wrong with a glob, such as the range `[z-a]`; empty: nothing."""
    try:
        re.compile(_body(pattern))
    except re.error as error:
        return error.msg
    return ""


def _compiled(pattern: str, more: str) -> re.Pattern[str]:
    """What is no glob is the name as it is written."""
    body = re.escape(pattern) if fault(pattern) else _body(pattern)
    return re.compile(body + more, re.DOTALL)


def _body(pattern: str) -> str:
    parts = [_segment(part) for part in pattern.rstrip("/").split("/")]
    return "".join(parts[:-1]) + parts[-1].removesuffix("/")


def _segment(part: str) -> str:
    """One path segment with its closing slash."""
    if part == "**":
        return "(?:.+/)?"
    out = ""
    for piece in re.findall(r"\[!?\]?[^\]]*\]|.", part, re.DOTALL):
        if piece == "*":
            out += "[^/]*"
        elif piece == "?":
            out += "[^/]"
        elif len(piece) > 2 and piece.startswith("["):
            inner = re.sub(r"([\\\[&~|])", r"\\\1", piece[1:-1])
            out += "[" + ("^/" + inner[1:] if inner.startswith("!") else inner) + "]"
        else:
            out += re.escape(piece)
    return out + "/"


def excluded(pattern: str) -> re.Pattern[str]:
    """What `!pattern` leaves out: what it matches, and everything below that."""
    pattern = normal(NOT + pattern)[1:].rstrip("/")
    if "/" not in pattern and pattern != ".":
        pattern = f"**/{pattern}"
    pattern = pattern.removeprefix("./")
    if pattern == "." or pattern.split("/")[-1] == "**":
        return matcher(pattern)
    return _compiled(pattern, "(?:/.+)?")


def normal(pattern: str) -> str:
    """The same glob without what says nothing: `./a//b/./c/` is `a/b/c`.

    A last slash stays behind a wildcard, and `./` where it tells something: before a name that
    begins with `!`, and in `!./name`, which is not at any depth.
    """
    if pattern.startswith(NOT):
        rest = normal(pattern[1:])
        is_top = pattern.startswith(f"{NOT}./") and "/" not in rest.rstrip("/") and rest != "."
        return f"{NOT}./{rest}" if is_top else NOT + rest
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts:
        return "." if pattern else ""
    text = ("/" if pattern.startswith("/") else "") + "/".join(parts)
    if text.startswith(NOT):
        text = f"./{text}"
    return text + "/" if pattern.endswith("/") and MAGIC.search(pattern) else text


def literal(pattern: str) -> str:
    """The folders of a pattern before its first segment with a wildcard."""
    parts = [
        part for part in normal(pattern).removeprefix("./").split("/") if part not in ("", ".")
    ]
    end = next((i for i, part in enumerate(parts) if MAGIC.search(part)), len(parts))
    return ("/" if pattern.startswith("/") else "") + "/".join(parts[:end])


def reaches(pattern: str, folder: str) -> bool:
    """Whether a glob may match something in `folder`, at any depth."""
    start = literal(pattern)
    if f"{start}/".startswith(f"{folder}/"):
        return True
    if start and not folder.startswith(f"{start}/"):
        return False
    parts = normal(pattern).removeprefix("./").rstrip("/").split("/")
    if "**" in parts or not MAGIC.search(pattern) or pattern.endswith("/"):
        return True
    depth = folder.count("/") + 1
    above = matcher("/".join(parts[:depth]))
    return len(parts) > depth and above.fullmatch(folder) is not None


def may_meet(pattern: str, path: str) -> bool:
    """Whether a glob may name something that `path` names, itself a path or a glob."""
    start, other = literal(pattern), literal(path)
    if not MAGIC.search(path):
        below = not MAGIC.search(pattern) and f"{other}/".startswith(f"{start}/")
        return below or bool(matcher(pattern).fullmatch(other)) or reaches(pattern, other)
    if start and (expression(path).fullmatch(start) or reaches(path, start)):
        return _ends_alike(pattern, path)
    # What a glob names lies below its own folders, and not deeper than the other says.
    deep = "**" in path.split("/") or start.count("/") + bool(start) < len(path.split("/"))
    near = reaches(pattern, other) if other else not start
    return bool(MAGIC.search(pattern)) and deep and near and _ends_alike(pattern, path)


def _ends_alike(pattern: str, path: str) -> bool:
    """Whether names may end as both say; a plain pattern may be a folder."""
    if not MAGIC.search(pattern):
        return True
    end, other_end = (re.split(r"[*?\]]", text.rstrip("/"))[-1] for text in (pattern, path))
    return end.endswith(other_end) or other_end.endswith(end)


class Globs:
    """An ordered list of globs, exclusions among them: the last one that matches decides."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self.wanted = tuple(pattern for pattern in self.patterns if not pattern.startswith(NOT))
        self._rules = [
            (False, excluded(pattern[1:])) if pattern.startswith(NOT) else (True, matcher(pattern))
            for pattern in self.patterns
        ]

    def match(self, path: str) -> bool:
        """Whether the file at `path` is meant."""
        return bool(self._says(path))

    def leaves_out(self, path: str) -> bool:
        """Whether an exclusion has the last word on `path`."""
        return self._says(path) is False

    def _says(self, path: str) -> bool | None:
        for take, rule in reversed(self._rules):
            if rule.fullmatch(path):
                return take
        return None

    @property
    def starts(self) -> tuple[str, ...]:
        """The folders, or files, at or below which everything is that may match."""
        return tuple(sorted({literal(pattern) for pattern in self.wanted}))

    def missing(self, paths: Sequence[str]) -> list[str]:
        """The globs that none of `paths` matches, what is excluded aside."""
        left = [path for path in paths if self.match(path)]
        expressions = [(pattern, matcher(pattern)) for pattern in self.wanted]
        return [
            pattern for pattern, rule in expressions if not any(rule.fullmatch(p) for p in left)
        ]

    def barren(self) -> list[str]:
        """The globs that can match nothing, since a later exclusion takes all of it."""
        return [
            pattern
            for place, pattern in enumerate(self.patterns)
            if not pattern.startswith(NOT)
            and any(
                _covers(other[1:], pattern) for other in self.patterns[place:] if other[:1] == NOT
            )
        ]


def _covers(exclusion: str, pattern: str) -> bool:
    """Whether certainly everything that `pattern` names is left out."""
    if normal(exclusion) == normal(pattern):
        return True
    start = literal(pattern)
    covers = excluded(exclusion)
    if not MAGIC.search(pattern) and normal(pattern) != ".":
        return bool(covers.fullmatch(start))
    if normal(exclusion).removeprefix("**/") == pattern.rsplit("/", 1)[-1]:
        return True
    # A folder that is left out takes everything below with it.
    folder = normal(exclusion).removesuffix("/**")
    if not folder or folder in (".", "**"):
        return True
    return bool(start) and bool(excluded(folder).fullmatch(start)) and not MAGIC.search(folder)
