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
from ..pod import atomic_files, tree
from ..pod.paths import PodPaths, boot, is_run_name, record
from . import made_here

HASH = re.compile(r"[0-9a-f]{64}")
SLACK = 16 * 1024 * 1024  # bytes that stay free
COPY = 1024 * 1024
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
LEFT_SECONDS = 3600.0  # another pod's blob that did not grow for so long is nobody's


class Refused(Exception):
    """The work folder cannot be made; `why` is a code, `facts` are for the message."""

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
        for item in files:
            if not HASH.fullmatch(item.sha256) or names.wrong(item.path):
                raise Refused("garbled", detail=f"a file's name or hash: {item.path!a}")
        return order


class WorkDir:
    """The work folder of one order; `beat` is called regularly while bytes move."""

    def __init__(self, paths: PodPaths, order: Order, beat: Callable[[], None]) -> None:
        self._root = paths.root
        self._pod = boot(paths.local).pod
        self._beat = beat
        self._run = paths.run(order.run)
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
        wanted = {item.sha256: item.size for item in self._order.files}
        return [h for h, size in wanted.items() if _size(self._blob(h)) != size]

    def link_outputs(self) -> None:
        """Have what earlier jobs on this disk wrote as blobs, as far as the order wants it."""
        made_here.link(self._root, {h: self._blob(h) for h in self.missing()}, self._beat)

    def _blob(self, sha256: str) -> Path:
        return self._root / "blobs" / sha256[:2] / sha256

    def check_space(self, missing: Iterable[str]) -> None:
        """Raises Refused before the first byte when blobs and copies would not fit."""
        sizes = {item.sha256: item.size for item in self._order.files}
        need = sum(item.size for item in self._order.files) + sum(sizes[h] for h in missing) + SLACK
        self._root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._root).free
        if free < need:
            raise Refused("disk-full", need=need, free=free)

    def sweep_blobs(self) -> None:
        """Remove partial blobs of uploads that were killed.

        A pod has one upload at a time. What another pod on this volume writes is left alone.
        """
        for cut in (self._root / "blobs").glob("*/.*"):
            own = cut.name.split(".")[2:-1] == [self._pod]
            with contextlib.suppress(OSError):
                if own or time.time() - cut.stat().st_mtime > LEFT_SECONDS:
                    cut.unlink()

    def keep_blob(self, sha256: str, content: Iterable[bytes]) -> bool:
        """Store one blob under its hash; returns whether that is the expected one.

        A file that changed while it was sent is stored under its actual hash for the next order.
        """
        blob_path = self._blob(sha256)
        blob_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = blob_path.with_name(f".{sha256}.{self._pod}.{os.getpid()}")
        digest = hashlib.sha256()
        try:
            with temporary.open("wb") as file:
                for data in content:
                    digest.update(data)
                    file.write(data)
            target = self._blob(digest.hexdigest())
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
        return target == blob_path

    def build(self) -> None:
        """Build the folder beside its place, swap it in, then write the record."""
        fresh = self._run / f".work.{os.getpid()}"
        old = self._run / f".old.{os.getpid()}"
        self._sweep()
        fresh.mkdir(parents=True, mode=0o700)
        with tree.opened(fresh) as top, ThreadPoolExecutor(4) as pool:
            for _ in pool.map(lambda item: self._copy(item, top), self._order.files):
                pass
        self._record.unlink(missing_ok=True)
        if self._work.exists():
            os.rename(self._work, old)
        os.rename(fresh, self._work)
        record = {"tree": self._order.tree, "files": len(self._order.files)}
        atomic_files.write(self._record, json.dumps(record).encode() + b"\n")
        shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove the files of an upload that was killed."""
        for pattern in (".work.*", ".old.*"):
            for left in self._run.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)

    def _copy(self, item: Item, top: int) -> None:
        blob = self._blob(item.sha256)
        digest = hashlib.sha256()
        mode = 0o755 if item.executable else 0o644
        self._beat()
        above, _, name = names.raw(item.path).rpartition(b"/")
        folder = tree.make_folder(top, above)
        try:
            fd = os.open(name, NEW_FILE, mode, dir_fd=folder)
        finally:
            os.close(folder)
        with blob.open("rb") as source, os.fdopen(fd, "wb") as sink:
            while data := source.read(COPY):
                self._beat()
                digest.update(data)
                sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
        if digest.hexdigest() != item.sha256:
            blob.unlink()
            raise Refused("blob-lost", sha256=item.sha256)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
