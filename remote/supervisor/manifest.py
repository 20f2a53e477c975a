"""The hashed outputs of a job: finished ones while it runs, all at its end."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .. import outputs
from ..contract import FileEntry, Json, Manifest, dump
from ..globs import normal
from ..light_dataclasses import dataclass, field
from ..names import raw, text
from ..outputs import Survey
from ..pod import atomic_files, tree
from ..pod.walk import Found, identity

CHUNK = 4 * 1024 * 1024  # bytes
AWAKE_SECONDS = 0.2  # a signal that another thread took is handled when the main one wakes

Identity = tuple[int, int, int, int]


@dataclass
class PartialHash:
    """The hash of the first `size` bytes of a file."""

    sha256: Json = field(default_factory=hashlib.sha256)
    size: int = 0


def sha256_of(
    work: Path,
    file: Found,
    pause: Callable[[], None],
    interrupted: dict[Identity, PartialHash] | None = None,
) -> tuple[str, Identity] | None:
    """Hash and identity of a file that the survey found; None when it is gone, replaced or changed.

    `pause` is called between chunks and may raise to give up; what was hashed until then is kept in
    `interrupted`, for as long as the file's identity is the same.
    """
    try:
        with tree.opened(work) as top:
            fd = tree.reach(top, raw(file.path), os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        before = identity(os.fstat(fd))
        if before[:2] != file.identity[:2]:  # replaced: it may be anything by now
            return None
        part = (interrupted or {}).pop(before, None) or PartialHash()
        os.lseek(fd, part.size, os.SEEK_SET)
        while chunk := os.read(fd, CHUNK):
            part.size += len(chunk)
            if part.size > before[2]:  # it grows: whoever writes it could keep us for ever
                return None
            part.sha256.update(chunk)
            try:
                pause()
            except BaseException:
                if interrupted is not None:
                    interrupted[before] = part
                raise
        after = identity(os.fstat(fd))
    except OSError:
        return None
    finally:
        os.close(fd)
    return (part.sha256.hexdigest(), after) if before == after else None


@dataclass
class Hashes:
    """Known hashes; a file is read again only when its identity changed."""

    work: Path
    known: dict[Identity, str] = field(default_factory=dict)
    interrupted: dict[Identity, PartialHash] = field(default_factory=dict)

    def of(self, file: Found, pause: Callable[[], None]) -> FileEntry | None:
        """The entry for `file`, or None when it keeps changing."""
        if sha256 := self.known.get(file.identity):
            return FileEntry(file.path, file.size, sha256)
        fresh = sha256_of(self.work, file, pause, self.interrupted)
        if fresh is None:
            return None
        sha256, now = fresh  # it may have changed since it was found
        self.known[now] = sha256
        return FileEntry(file.path, now[2], sha256)

    def fresh(self, seconds: float) -> bool:
        """Whether anything that is known was written to less than so long ago."""
        return any(abs(time.time() - identity[3] / 1e9) < seconds for identity in self.known)

    def still(self, file: Found | None) -> bool:
        """Whether a file is the one that was hashed."""
        return file is not None and file.identity in self.known


@dataclass
class Settled:
    """Tells finished outputs from growing ones by repeated surveys."""

    seconds: float
    seen: dict[str, tuple[Identity, float]] = field(default_factory=dict)

    def select(self, files: dict[str, Found], announced: list[str], now: float) -> list[Found]:
        """The outputs that did not change for `seconds`, or that the job announced."""
        self.seen = {
            path: previous
            if (previous := self.seen.get(path)) and previous[0] == file.identity
            else (file.identity, now)
            for path, file in files.items()
        }
        return [
            file
            for path, file in files.items()
            if now - self.seen[path][1] >= self.seconds or _below(path, announced)
        ]


def _below(path: str, announced: list[str]) -> bool:
    return any(path == name or path.startswith(name + "/") for name in announced)


def announced(run: Path, work: Path) -> list[str]:
    """Paths the job called complete, relative to the work folder, from `<run>/announced`."""
    names = []
    for line in text(atomic_files.tail(run / "announced", 1024 * 1024)).split("\n"):
        for prefix in (f"{work}/", f"{work.resolve()}/", "./"):
            line = line.strip().removeprefix(prefix)
        names.append(line.rstrip("/"))
    return [name for name in names if name and not name.startswith("/")]


@dataclass(frozen=True)
class Final:
    """Every declared output, in one of three lists, each sorted by path, and the last survey."""

    entries: tuple[FileEntry, ...]
    moving: tuple[str, ...]  # changed while they were looked at
    unreadable: tuple[str, ...]
    survey: Survey
    held_seconds: float = 0.0  # for which every entry was the same, at least

    def since(self, earlier: Final) -> Final:
        """This survey, with every file that differs from the `earlier` one as moving."""
        same = set(self.entries) & set(earlier.entries)
        removed = {e.path for e in earlier.entries} - set(self.unreadable)
        moving = removed | {e.path for e in self.entries} | set(self.moving)
        return Final(
            tuple(e for e in self.entries if e in same),
            tuple(sorted(moving - {e.path for e in same})),
            self.unreadable,
            self.survey,
        )


def final(hashes: Hashes, patterns: tuple[str, ...], pause: Callable[[], None]) -> Final:
    """Hash every declared output, by as many threads as there are processors.

    Raises what `pause` raises. What is known by now is not read again when this is called once
    more.
    """
    before = outputs.find(hashes.work, patterns)
    found_at = time.monotonic()
    once = {file.identity: file for file in before.values()}  # links and what they lead to
    _hash(hashes, once.values(), pause)
    entries = [hashes.of(file, pause) for file in before.values()]
    held_seconds = time.monotonic() - found_at
    survey = outputs.survey(hashes.work, patterns)
    after = survey.files
    held = {e.path: e for e in entries if e and hashes.still(after.get(e.path))}
    others = sorted((before.keys() | after.keys()) - held.keys())
    closed = [path for path in others if before.get(path) == after.get(path)]
    return Final(
        tuple(held[path] for path in sorted(held)),
        tuple(path for path in others if path not in closed),
        tuple(closed),
        survey,
        held_seconds,
    )


def _hash(hashes: Hashes, files: Iterable[Found], pause: Callable[[], None]) -> None:
    """Read files side by side. Raises what `pause` raises; what has not begun is given up then."""
    from concurrent.futures import ThreadPoolExecutor, wait  # brings logging with it

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        begun = [pool.submit(hashes.of, file, pause) for file in files]
        try:
            for future in begun:
                while not wait([future], timeout=AWAKE_SECONDS).done:
                    pass
                future.result(timeout=0)  # it is done
        finally:
            for future in begun:
                future.cancel()


def untouched(
    run: Path, patterns: tuple[str, ...], entries: Iterable[FileEntry]
) -> tuple[str, ...]:
    """The outputs that are as they came with the work folder: no job's doing, unless named so.

    By the inode's own time of change, which no program sets, against that of the folder's record.
    """
    try:
        since = (run / "work.json").stat().st_mtime_ns
    except OSError:
        return ()
    named = {normal(entry) for entry in patterns}
    work = run / "work"
    return tuple(
        entry.path
        for entry in entries
        if entry.path not in named and 0 < _changed_at(work / entry.path) <= since
    )


def _changed_at(path: Path) -> int:
    try:
        return path.lstat().st_ctime_ns
    except OSError:
        return 0


def write(path: Path, manifest: Manifest) -> bytes:
    """Put the manifest on disk; returns its bytes."""
    data = dump(manifest)
    atomic_files.write(path, data)
    return data
