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
    whole = "\n".join(lines)
    said = " ".join(_COMMENT.sub("", line.rstrip("\\")).strip() for line in lines).strip()
    if said.startswith("-"):
        found = _OPTION.fullmatch(said) or _SHORT.fullmatch(said)
        kind = _LONG.get(found[1], "") if found else ""
        if not found or not kind:
            return Entry(whole)
        if kind == PATH:
            return _path(whole, found[2], editable=True)
        return Entry(whole, kind, _bare(found[2]))
    return _path(whole, said)


def _path(whole: str, said: str, *, editable: bool = False) -> Entry:
    """A requirement that is a file or folder; any other is no affair of ours."""
    named = _NAMED.match(said)
    target = named[1] if named else re.split(r"\s+;|\s+--", said, maxsplit=1)[0].strip()
    if named and not target.startswith("file:"):
        return Entry(whole, editable=editable)
    found = re.fullmatch(r"([^\[\]]*)(\[[^\]]*\])?", target)
    path, extras = (found[1].strip(), found[2] or "") if found else (target, "")
    path = _bare(path)
    archive = path.endswith(ARCHIVE) and not re.search(r"[<>=~!]", path)
    if "://" in path or not ("/" in path or path in (".", "..") or archive):
        return Entry(whole, editable=editable)
    return Entry(whole, PATH, path, extras, editable)


def _bare(target: str) -> str:
    """Without quotes, and of a file's address the path."""
    plain = target.strip().strip("\"'")
    if plain.startswith("file:"):
        plain = plain[len("file:") :]
        plain = plain[2:] if plain.startswith("//") else plain
    return plain.split("#")[0]
