"""Requirements files as pip and uv read them, as far as it matters where the files are.

Used on both sides: here to know what else must be sent, on the pod to install from a copy.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from .light_dataclasses import dataclass, replace

FILE, CONSTRAINT, LINKS, PATH = "-r", "-c", "--find-links", "path"
_LONG = {
    "-r": FILE, "--requirement": FILE, "-c": CONSTRAINT, "--constraint": CONSTRAINT,
    "-f": LINKS, "--find-links": LINKS, "-e": PATH, "--editable": PATH,
}  # fmt: skip
_OPTION = re.compile(r"(--?[A-Za-z-]+)(?:\s*=\s*|\s+)(\S.*)")
_SHORT = re.compile(r"(-[rcfe])(\S.*)")
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^\]]*\])?\s*@\s*(\S+)")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
ARCHIVE = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")


@dataclass(frozen=True)
class Entry:
    """One logical line. `kind` is "" where it names no other file, else what `target` is for.

    `extras` stand behind a folder: `.[dev]`.
    """

    text: str  # with its continued lines
    kind: str = ""
    target: str = ""
    extras: str = ""
    editable: bool = False

    @property
    def local(self) -> bool:
        """Whether the target is a path, and no address."""
        return bool(self.target) and "://" not in self.target

    def aimed(self, target: str) -> Entry:
        """The same at another place."""
        moved = self.text.replace(self.target, target, 1)
        text = moved if self.kind == PATH else f"{self.kind} {target}"
        return replace(self, text=text, target=target)


def entries(text: str) -> Iterator[Entry]:
    """Every logical line of a requirements file."""
    held: list[str] = []
    for line in text.splitlines():
        held.append(line)
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            continue
        yield _entry(held)
        held = []
    if held:
        yield _entry(held)


def decoded(data: bytes) -> str:
    """As pip reads it: by the mark at its beginning, which some shells write, else UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def variables(text: str) -> frozenset[str]:
    """The names of variables that stand in it as `${NAME}`, outside of comments."""
    lines = (_COMMENT.sub("", line) for line in text.splitlines())
    return frozenset(name for line in lines for name in _VARIABLE.findall(line))


def _entry(lines: list[str]) -> Entry:
    text = "\n".join(lines)
    line = " ".join(_COMMENT.sub("", line.rstrip("\\")).strip() for line in lines).strip()
    if line.startswith("-"):
        match = _OPTION.fullmatch(line) or _SHORT.fullmatch(line)
        kind = _LONG.get(match[1], "") if match else ""
        if not match or not kind:
            return Entry(text)
        if kind == PATH:
            return _path(text, match[2], editable=True)
        return Entry(text, kind, _bare(match[2]))
    return _path(text, line)


def _path(text: str, line: str, *, editable: bool = False) -> Entry:
    """A requirement that is a file or folder; any other is no affair of ours."""
    named = _NAMED.match(line)
    target = named[1] if named else re.split(r"\s+;|\s+--", line, maxsplit=1)[0].strip()
    if named and not target.startswith("file:"):
        return Entry(text, editable=editable)
    match = re.fullmatch(r"([^\[\]]*)(\[[^\]]*\])?", target)
    path, extras = (match[1].strip(), match[2] or "") if match else (target, "")
    path = _bare(path)
    archive = path.endswith(ARCHIVE) and not re.search(r"[<>=~!]", path)
    if "://" in path or not ("/" in path or path in (".", "..") or archive):
        return Entry(text, editable=editable)
    return Entry(text, PATH, path, extras, editable)


def _bare(target: str) -> str:
    """Without quotes, and of a file's address the path."""
    plain = target.strip().strip("\"'")
    if plain.startswith("file:"):
        plain = plain[len("file:") :]
        plain = plain[2:] if plain.startswith("//") else plain
    return plain.split("#")[0]
