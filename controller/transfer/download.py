"""Brings the files of a manifest here: verified, complete, resumable.

    pull(session, session.layout(), run, manifest, into) → PullReport

The manifest is judged as a whole before anything is written. Small files come in one stream over
the control connection, large ones in pieces over connections of their own; both at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ArtifactsNotSafe, ConnectionLost, translate_os_limits
from controller.transfer.batch_download import BatchDownload
from controller.transfer.chunks import Chunks, Target
from controller.transfer.disk import writing
from controller.transfer.manifest_check import Caps, UnsafeManifest, check_files
from controller.transfer.progress import TransferProgress
from controller.transfer.range_download import Checker, Fetcher, Source
from controller.transfer.staging_area import StagingArea
from controller.transfer.throttle import Throttle
from controller.transfer.upload import files_argv, upload_code
from remote.contract import FileEntry, Layout, Manifest
from remote.names import encode

if TYPE_CHECKING:
    from controller.ssh.session import Session

LARGE = 8 * 1024 * 1024  # bytes: a file over this comes in pieces
WORTH_CONNECTING = 16 * 1024 * 1024  # bytes of large files; below it one stream is faster
MAX_LARGE = 64  # large files under way at once, two descriptors each; some may open only 256
REPORT_SECONDS = 0.1
LAST = ("optimizer.pt", "optimizer.bin")  # what one can best do without


@dataclass(frozen=True)
class PullReport:
    """What this pull moved; `skipped` only for a manifest that is not final."""

    files: int
    bytes: int
    seconds: float
    already: int  # files that were here before
    skipped: tuple[str, ...] = ()  # changed or gone on the pod since the manifest


def pull(
    session: Session,
    layout: Layout,
    run: str,
    manifest: Manifest,
    into: Path,
    *,
    code: str | None = None,
    connections: int = 4,
    rate_limit: float | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
    patience_seconds: float = 60.0,
    caps: Caps | None = None,
) -> PullReport:
    """Have every file of `manifest` below `into`; returns when all is durable.

    `rate_limit` is in bytes per second over everything; `patience_seconds` is how long nothing may
    move before the connection counts as lost; `code` is what `upload_code` returned.

    Raises UnsafeManifest before anything is written; LocalDiskFull, before the first byte or when
    the disk fills up; LocalDiskClosed when it takes no writes; LocalLimit; ConnectionLost;
    ArtifactsNotSafe when a *final* manifest names what the pod does not have. Whatever was raised,
    the next pull goes on where this one stopped.
    """
    began = time.monotonic()
    if manifest.run != run:
        raise UnsafeManifest(f"the manifest is of {manifest.run[:100]!a}, not of {run}")
    check_files(manifest, caps)
    with writing(into), StagingArea(into, manifest.here) as inbox:
        inbox.keep_only(manifest.files)
        wanted = sorted((entry for entry in manifest.files if not inbox.has(entry)), key=_rank)
        inbox.check_space(wanted)
        if not wanted:
            inbox.settle()
            return PullReport(0, 0, time.monotonic() - began, len(manifest.files))
        code = code or upload_code(session, layout.root)
        job = _Pull(session, layout, run, code, inbox, patience_seconds, Throttle(rate_limit))
        job.report = progress
        first = {(entry.sha256, entry.size): entry for entry in reversed(wanted)}
        once = [entry for entry in wanted if first[entry.sha256, entry.size] is entry]
        skipped = job.run(once, connections)
        if lacking := _copied(inbox, wanted, first):
            skipped |= job.run(lacking, connections)
        inbox.settle()
        if inbox.in_the_way:
            raise inbox.in_the_way
    if skipped and manifest.final:
        raise _not_all(skipped)
    came = [entry for entry in wanted if entry.path not in skipped]
    size = sum(entry.size for entry in once if entry.path not in skipped)
    already = len(manifest.files) - len(wanted)
    return PullReport(len(came), size, time.monotonic() - began, already, tuple(sorted(skipped)))


def _copied(
    inbox: StagingArea, wanted: Sequence[FileEntry], first: Mapping[tuple[str, int], FileEntry]
) -> list[FileEntry]:
    """Copies what came under another name; returns the files for which it did not come."""
    twins = [entry for entry in wanted if first[entry.sha256, entry.size] is not entry]
    return [entry for entry in twins if not inbox.copy(first[entry.sha256, entry.size], entry)]


def _rank(entry: FileEntry) -> tuple[bool, int, str]:
    """Small before large, optimiser state last: what matters most is safe first."""
    return entry.path.rsplit("/", 1)[-1] in LAST, entry.size, entry.path


def _not_all(skipped: set[str]) -> ArtifactsNotSafe:
    return ArtifactsNotSafe(
        f"{len(skipped)} files of the final manifest are not on the pod as it says",
        where=", ".join(encode(path) for path in sorted(skipped)[:10]),
        cause="changed or deleted after the job ended, or the pod's disk lost them",
        hint="the pod is kept; run again to try once more",
    )


class _Pull:
    """One pull in progress."""

    report: Callable[[TransferProgress], None] | None = None
    _next_report = 0.0
    _quiet = True  # no thread of ours is at work
    _total = (0, 0)  # files, bytes
    _before = (0, 0)  # the same, of batches that are done

    def __init__(
        self,
        session: Session,
        layout: Layout,
        run: str,
        code: str,
        inbox: StagingArea,
        patience_seconds: float,
        throttle: Throttle,
    ) -> None:
        self._session = session
        self._inbox = inbox
        self._patience = patience_seconds
        self._throttle = throttle
        self._cwd = str(layout.code(code))
        self._send = tuple(files_argv(layout, "send", "--run", run))
        self._range = tuple(files_argv(layout, "range", "--run", run))

    def _source(self, argv: tuple[str, ...]) -> Source:
        def connect(seconds: float, wanted: Callable[[], bool]) -> Session:
            return self._session.sibling(deadline_seconds=seconds, wanted=wanted)

        return Source(connect, argv, self._cwd, self._patience)

    def run(self, wanted: Sequence[FileEntry], connections: int) -> set[str]:
        """Fetch `wanted`; returns the paths that the pod does not have as listed."""
        large = [entry for entry in wanted if entry.size > LARGE]
        if sum(entry.size for entry in large) <= WORTH_CONNECTING:
            large = []
        chosen = {entry.path for entry in large}
        small = BatchDownload(
            [entry for entry in wanted if entry.path not in chosen],
            self._source(self._send),
            self._session,
            self._inbox,
            self._throttle,
        )
        self._total = (len(wanted), sum(entry.size for entry in wanted))
        gone: set[str] = set()
        for first in range(0, max(1, len(large)), MAX_LARGE):
            gone |= self._batch(large[first : first + MAX_LARGE], large, small, connections)
        return small.skipped | gone

    def _batch(
        self,
        some: Sequence[FileEntry],
        every: Sequence[FileEntry],
        small: BatchDownload,
        connections: int,
    ) -> set[str]:
        """Fetch some of the large files and all the small ones that are left."""
        targets: list[Target] = []
        try:
            with self._inbox.room(lambda: sum(entry.size for entry in every)):
                for entry in some:
                    targets.append(Target.open(self._inbox, entry))
            self._together(Chunks(targets), small, connections)
            here = [target.entry.size for target in targets if target.installed]
            self._before = (self._before[0] + len(here), self._before[1] + sum(here))
        finally:
            # While a thread may still write, its file stays open: that number must not become
            # another file's.
            if self._quiet:
                for target in targets:
                    target.close()
        return {target.entry.path for target in targets if target.changed}

    def _together(self, pieces: Chunks, small: BatchDownload, connections: int) -> None:
        source = self._source(self._range)
        crew = [
            Fetcher(source, pieces, self._inbox, self._throttle)
            for _ in range(min(connections, pieces.waiting()) or 1)
        ]
        checker = Checker(pieces, self._inbox)
        threads = [*crew, checker] if pieces.targets else []
        self._quiet = not threads
        try:
            with translate_os_limits():
                for thread in threads:
                    thread.start()
            small.fetch(lambda: self._tell(pieces, small))
            while not pieces.over() and checker.is_alive() and any(c.is_alive() for c in crew):
                pieces.pause(0.2)
                self._tell(pieces, small)
            unfinished = not pieces.over()
        finally:
            pieces.stop()
            for member in crew:
                member.abandon()
            for thread in threads:
                if thread.ident is not None:  # it was started
                    thread.join(20)
            self._quiet = not any(thread.is_alive() for thread in threads)
        if pieces.failure:
            raise pieces.failure
        if pieces.targets and unfinished:
            failures = [fetcher.failure for fetcher in crew if fetcher.failure]
            raise failures[0] if failures else ConnectionLost("the transfer stopped by itself")
        self._tell(pieces, small, last=True)

    def _tell(self, pieces: Chunks, small: BatchDownload, *, last: bool = False) -> None:
        now = time.monotonic()
        if self.report is None or (now < self._next_report and not last):
            return
        self._next_report = now + REPORT_SECONDS
        files, total = self._total
        installed, done = self._before
        installed += small.files_done + sum(target.installed for target in pieces.targets)
        large = sum(target.entry.size for target in pieces.targets if not target.changed)
        done += small.bytes_here + large - pieces.missing_bytes()
        self.report(TransferProgress(installed, files, min(done, total), total))
