"""A run's work folder, made from content-addressed blobs: complete or absent, never in between.

Blobs stay, so that the next upload sends only what changed. The work folder gets copies of its
own, because a job may write into its inputs. A blob is trusted only as far as its hash: a
half-written one (power cut) is found while it is copied, dropped, and asked for again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .. import names
from ..contract import MAX_FILES
from ..light_dataclasses import dataclass
from ..pod import atomic_files as durable
from ..pod import tree
from ..pod.paths import PodPaths, boot, is_run_name, record
from . import made_here

HASH = re.compile(r"[0-9a-f]{64}")
SLACK = 16 * 1024 * 1024  # bytes that stay free
COPY = 1024 * 1024
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
LEFT_SECONDS = 3600.0  # another pod's blob that did not grow for so long is nobody's


class Refused(Exception):
    """The work folder cannot be had; `why` is one word, `facts` are for the message."""

    def __init__(self, why: str, **facts: object) -> None:
        super().__init__(why)
        self.why = why
        self.facts = facts


@dataclass(frozen=True)
class Item:
    path: str
    size: int
    sha256: str
    executable: bool


@dataclass(frozen=True)
class Order:
    """What the work folder of `run` must hold; `tree` names all of it."""

    run: str
    tree: str
    files: tuple[Item, ...]

    @classmethod
    def parse(cls, line: bytes) -> Order:
        try:
            value = json.loads(line)
            files = tuple(
                Item(names.decode(str(p)), int(n), str(h), bool(x)) for p, n, h, x in value["files"]
            )
            order = cls(str(value["run"]), str(value["tree"]), files)
        except (ValueError, TypeError, KeyError) as error:
            raise Refused("garbled", detail=str(error)) from error
        if not is_run_name(order.run) or len(files) > MAX_FILES:
            raise Refused("garbled", detail="run or number of files")
        for one in files:
            if not HASH.fullmatch(one.sha256) or names.wrong(one.path):
                raise Refused("garbled", detail=f"a file's name or hash: {one.path!a}")
        return order


class Worktree:
    """One order on one pod. `beat` is called again and again while bytes move."""

    def __init__(self, place: PodPaths, order: Order, beat: Callable[[], None]) -> None:
        self._root = place.root
        self._pod = boot(place.local).pod
        self._beat = beat
        self._run = place.run(order.run)
        self._order = order
        self._record = self._run / "work.json"
        self._work = self._run / "work"

    def present(self) -> bool:
        """Whether this very tree is there. Raises Refused once a job was started on another."""
        if self._work.is_dir() and self._recorded() == self._order.tree:
            return True
        if (self._run / "spec.json").exists():
            raise Refused("started", tree=self._recorded())
        return False

    def _recorded(self) -> str | None:
        tree = (record(self._record) or {}).get("tree")
        return tree if isinstance(tree, str) else None

    def missing(self) -> list[str]:
        """Hashes of the blobs that are not here, each once, in the order's order."""
        wanted = {one.sha256: one.size for one in self._order.files}
        return [h for h, size in wanted.items() if _size(self._blob(h)) != size]

    def link_outputs(self) -> None:
        """Have what earlier jobs on this disk wrote as blobs, as far as the order wants it."""
        made_here.link(self._root, {h: self._blob(h) for h in self.missing()}, self._beat)

    def _blob(self, sha256: str) -> Path:
        return self._root / "blobs" / sha256[:2] / sha256

    def check_space(self, missing: Iterable[str]) -> None:
        """Raises Refused before the first byte when blobs and copies would not fit."""
        sizes = {one.sha256: one.size for one in self._order.files}
        need = sum(one.size for one in self._order.files) + sum(sizes[h] for h in missing) + SLACK
        self._root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._root).free
        if free < need:
            raise Refused("disk-full", need=need, free=free)

    def sweep_blobs(self) -> None:
        """Drop blobs that were cut off with their process; each would take its room for ever.

        A pod has one upload at a time. What another pod on this volume writes is left alone.
        """
        for cut in (self._root / "blobs").glob("*/.*"):
            mine = cut.name.split(".")[2:-1] == [self._pod]
            with contextlib.suppress(OSError):
                if mine or time.time() - cut.stat().st_mtime > LEFT_SECONDS:
                    cut.unlink()

    def keep_blob(self, sha256: str, content: Iterable[bytes]) -> bool:
        """Write one blob beside, and give it the name of its hash; whether that was expected.

        A file that somebody wrote while it was sent is kept as what it was: the next order says so.
        """
        place = self._blob(sha256)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{sha256}.{self._pod}.{os.getpid()}")
        found = hashlib.sha256()
        try:
            with temporary.open("wb") as file:
                for data in content:
                    found.update(data)
                    file.write(data)
            target = self._blob(found.hexdigest())
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target == place

    def build(self) -> None:
        """Make the folder beside, then swap it in; the record is written after it."""
        fresh = self._run / f".work.{os.getpid()}"
        old = self._run / f".old.{os.getpid()}"
        self._sweep()
        fresh.mkdir(parents=True, mode=0o700)
        with tree.opened(fresh) as top, ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda one: self._copy(one, top), self._order.files):
                pass
        self._record.unlink(missing_ok=True)
        if self._work.exists():
            os.rename(self._work, old)
        os.rename(fresh, self._work)
        record = {"tree": self._order.tree, "files": len(self._order.files)}
        durable.write(self._record, json.dumps(record).encode() + b"\n")
        shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        """Drop what an upload that was killed left behind."""
        for pattern in (".work.*", ".old.*"):
            for left in self._run.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)

    def _copy(self, one: Item, top: int) -> None:
        blob = self._blob(one.sha256)
        found = hashlib.sha256()
        mode = 0o755 if one.executable else 0o644
        self._beat()
        above, _, name = names.raw(one.path).rpartition(b"/")
        folder = tree.make_folder(top, above)
        try:
            fd = os.open(name, NEW_FILE, mode, dir_fd=folder)
        finally:
            os.close(folder)
        with blob.open("rb") as source, os.fdopen(fd, "wb") as sink:
            while data := source.read(COPY):
                self._beat()
                found.update(data)
                sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        if found.hexdigest() != one.sha256:
            blob.unlink()
            raise Refused("blob-lost", sha256=one.sha256)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
