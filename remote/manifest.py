"""What a job wrote, by hash: while it runs what is finished, at its end everything."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import durable, outputs, tree
from .contract import FileEntry, Left, Manifest, dump
from .names import raw, text
from .walk import Found, identity

CHUNK = 4 * 1024 * 1024  # bytes
TRIES = 3  # for a file that changes under our hands
RESTLESS = "it changes while it is read, or cannot be read"

Identity = tuple[int, int, int, int]


def sha256_of(work: Path, found: Found, pause: Callable[[], None]) -> tuple[str, Identity] | None:
    """Hash and identity of what was found; None when it is gone, another file, or changed
    meanwhile.

    `pause` is called between chunks and may raise to give up.
    """
    try:
        with tree.opened(work) as top:
            fd = tree.reach(top, raw(found.path), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        before = identity(os.fstat(fd))
        if before[:2] != found.identity[:2]:  # replaced: it may be anything by now
            return None
        sha = hashlib.sha256()
        left = before[2]
        while chunk := os.read(fd, CHUNK):
            left -= len(chunk)
            if left < 0:  # it grows: whoever writes it could keep us for ever
                return None
            sha.update(chunk)
            pause()
        after = identity(os.fstat(fd))
    except OSError:
        return None
    finally:
        os.close(fd)
    return (sha.hexdigest(), after) if before == after else None


@dataclass
class Hashes:
    """Known hashes; a file is read again only when its identity changed."""

    work: Path
    known: dict[Identity, str] = field(default_factory=dict)

    def of(self, found: Found, pause: Callable[[], None]) -> FileEntry | None:
        """The entry for `found`, or None when the file will not hold still."""
        if sha256 := self.known.get(found.identity):
            return FileEntry(found.path, found.size, sha256)
        fresh = sha256_of(self.work, found, pause)
        if fresh is None:
            return None
        sha256, now = fresh  # it may have changed since it was found
        self.known[now] = sha256
        return FileEntry(found.path, now[2], sha256)


@dataclass
class Settled:
    """Tells finished outputs from growing ones by looking again and again."""

    seconds: float
    seen: dict[str, tuple[Identity, float]] = field(default_factory=dict)

    def select(self, found: dict[str, Found], announced: list[str], now: float) -> list[Found]:
        """The outputs that did not change for `seconds`, or that the job announced."""
        self.seen = {
            path: kept
            if (kept := self.seen.get(path)) and kept[0] == one.identity
            else (one.identity, now)
            for path, one in found.items()
        }
        return [
            one
            for path, one in found.items()
            if now - self.seen[path][1] >= self.seconds or _below(path, announced)
        ]


def _below(path: str, announced: list[str]) -> bool:
    return any(path == name or path.startswith(name + "/") for name in announced)


def announced(run: Path, work: Path) -> list[str]:
    """Paths the job called complete, relative to the work folder, from `<run>/announced`."""
    names = []
    for line in text(durable.tail(run / "announced", 1024 * 1024)).split("\n"):
        for prefix in (f"{work}/", f"{work.resolve()}/", "./"):
            line = line.strip().removeprefix(prefix)
        names.append(line.rstrip("/"))
    return [name for name in names if name and not name.startswith("/")]


def final(
    hashes: Hashes, patterns: tuple[str, ...], pause: Callable[[], None]
) -> tuple[tuple[FileEntry, ...], outputs.Survey]:
    """Every declared output, hashed by as many threads as there are processors.

    With the last survey; a file that keeps changing, or that cannot be read, is `left` there.
    Raises what `pause` raises.
    """
    workers = min(8, os.cpu_count() or 1)
    entries: dict[str, FileEntry] = {}
    for _ in range(TRIES):
        survey = outputs.survey(hashes.work, patterns)
        entries = {path: entry for path, entry in entries.items() if path in survey.files}
        unhashed = [one for one in survey.files.values() if one.path not in entries]
        once = {one.identity: one for one in unhashed}  # links and what they lead to
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(lambda one: hashes.of(one, pause), once.values()))
        for one in unhashed:
            entry = hashes.of(one, pause)
            if entry is not None:
                entries[entry.path] = entry
        if len(entries) == len(survey.files):
            break
    restless = [Left(path, RESTLESS) for path in survey.files if path not in entries]
    left = (*survey.left, *restless)
    named, beyond = left[: outputs.MAX_NAMED], survey.beyond + len(left[outputs.MAX_NAMED :])
    survey = replace(survey, left=named, beyond=beyond)
    return tuple(entries[path] for path in sorted(entries)), survey


def write(path: Path, manifest: Manifest) -> bytes:
    """Put the manifest on disk; returns its bytes."""
    data = dump(manifest)
    durable.write(path, data)
    return data
