"""Downloads the files of a manifest: verified, complete, resumable.

    pull(session, session.layout(), run, manifest, into) → PullReport

The manifest is checked before anything is written. Small files arrive in one stream over the
control connection, large ones in chunks over connections of their own; both at the same time.
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

LARGE = 8 * 1024 * 1024  # bytes: a larger file is downloaded in chunks
WORTH_CONNECTING = 16 * 1024 * 1024  # bytes of large files; below it one stream is faster
MAX_LARGE = 64  # large files in flight, two descriptors each; the limit may be 256
REPORT_SECONDS = 0.1
LEAST_VALUABLE = ("optimizer.pt", "optimizer.bin")  # downloaded last


@dataclass(frozen=True)
class PullReport:
    """What one pull transferred; `skipped` is empty for a final manifest."""

    files: int
    bytes: int
    seconds: float
    already: int  # files that were complete before
    skipped: tuple[str, ...] = ()  # changed or deleted on the pod since the manifest


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
    """Download every file of `manifest` below `into`; returns when all files are durable.

    `rate_limit` is in bytes per second over all connections; `patience_seconds` is how long no byte
    may arrive before the connection counts as lost; `code` is what `upload_code` returned.

    Raises UnsafeManifest before anything is written; LocalDiskFull, before the first byte or when
    the disk fills up; LocalDiskClosed when it takes no writes; LocalLimit; ConnectionLost;
    ArtifactsNotSafe when a *final* manifest names what the pod does not have. After any
    error the next pull continues where this one stopped.
    """
    start = time.monotonic()
    if manifest.run != run:
        raise UnsafeManifest(f"the manifest is of {manifest.run[:100]!a}, not of {run}")
    check_files(manifest, caps)
    with writing(into), StagingArea(into, manifest.here) as staging:
        staging.keep_only(manifest.files)
        missing = sorted((entry for entry in manifest.files if not staging.has(entry)), key=_rank)
        staging.check_space(missing)
        if not missing:
            staging.settle()
            return PullReport(0, 0, time.monotonic() - start, len(manifest.files))
        code = code or upload_code(session, layout.root)
        transfer = _Pull(
            session, layout, run, code, staging, patience_seconds, Throttle(rate_limit)
        )
        transfer.report = progress
        representative = {(entry.sha256, entry.size): entry for entry in reversed(missing)}
        distinct = [entry for entry in missing if representative[entry.sha256, entry.size] is entry]
        skipped = transfer.run(distinct, connections)
        if not_copied := _copied(staging, missing, representative):
            skipped |= transfer.run(not_copied, connections)
        staging.settle()
        if staging.in_the_way:
            raise staging.in_the_way
    if skipped and manifest.final:
        raise _incomplete(skipped)
    downloaded = [entry for entry in missing if entry.path not in skipped]
    size = sum(entry.size for entry in distinct if entry.path not in skipped)
    already = len(manifest.files) - len(missing)
    return PullReport(
        len(downloaded), size, time.monotonic() - start, already, tuple(sorted(skipped))
    )


def _copied(
    staging: StagingArea,
    missing: Sequence[FileEntry],
    representative: Mapping[tuple[str, int], FileEntry],
) -> list[FileEntry]:
    """Copies the content of duplicates; returns those whose representative was not downloaded."""
    duplicates = [
        entry for entry in missing if representative[entry.sha256, entry.size] is not entry
    ]
    return [
        entry
        for entry in duplicates
        if not staging.copy(representative[entry.sha256, entry.size], entry)
    ]


def _rank(entry: FileEntry) -> tuple[bool, int, str]:
    """Sort key: small before large, optimiser state last, so that the most valuable files are safe
    first."""
    return entry.path.rsplit("/", 1)[-1] in LEAST_VALUABLE, entry.size, entry.path


def _incomplete(skipped: set[str]) -> ArtifactsNotSafe:
    return ArtifactsNotSafe(
        f"{len(skipped)} files of the final manifest are missing or changed on the pod",
        where=", ".join(encode(path) for path in sorted(skipped)[:10]),
        cause="changed or deleted after the job ended, or the pod's disk lost them",
        hint="the pod is kept; run again to try once more",
    )


class _Pull:
    """One pull in progress."""

    report: Callable[[TransferProgress], None] | None = None
    _next_report = 0.0
    _quiet = True  # no thread is running
    _total = (0, 0)  # files, bytes
    _before = (0, 0)  # the same, of finished batches

    def __init__(
        self,
        session: Session,
        layout: Layout,
        run: str,
        code: str,
        staging: StagingArea,
        patience_seconds: float,
        throttle: Throttle,
    ) -> None:
        self._session = session
        self._staging = staging
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
        """Fetch `wanted`; returns the paths that are missing or changed on the pod."""
        large = [entry for entry in wanted if entry.size > LARGE]
        if sum(entry.size for entry in large) <= WORTH_CONNECTING:
            large = []
        large_paths = {entry.path for entry in large}
        small_files = BatchDownload(
            [entry for entry in wanted if entry.path not in large_paths],
            self._source(self._send),
            self._session,
            self._staging,
            self._throttle,
        )
        self._total = (len(wanted), sum(entry.size for entry in wanted))
        skipped: set[str] = set()
        for first in range(0, max(1, len(large)), MAX_LARGE):
            skipped |= self._batch(
                large[first : first + MAX_LARGE], large, small_files, connections
            )
        return small_files.skipped | skipped

    def _batch(
        self,
        batch: Sequence[FileEntry],
        all_large: Sequence[FileEntry],
        small_files: BatchDownload,
        connections: int,
    ) -> set[str]:
        """Fetch one batch of the large files and all remaining small ones."""
        targets: list[Target] = []
        try:
            with self._staging.room(lambda: sum(entry.size for entry in all_large)):
                for entry in batch:
                    targets.append(Target.open(self._staging, entry))
            self._run_threads(Chunks(targets), small_files, connections)
            sizes = [target.entry.size for target in targets if target.installed]
            self._before = (self._before[0] + len(sizes), self._before[1] + sum(sizes))
        finally:
            # While a thread may still write, its file stays open, so that the descriptor is
            # not reused for another file.
            if self._quiet:
                for target in targets:
                    target.close()
        return {target.entry.path for target in targets if target.changed}

    def _run_threads(self, chunks: Chunks, small_files: BatchDownload, connections: int) -> None:
        source = self._source(self._range)
        fetchers = [
            Fetcher(source, chunks, self._staging, self._throttle)
            for _ in range(min(connections, chunks.waiting()) or 1)
        ]
        checker = Checker(chunks, self._staging)
        threads = [*fetchers, checker] if chunks.targets else []
        self._quiet = not threads
        try:
            with translate_os_limits():
                for thread in threads:
                    thread.start()
            small_files.fetch(lambda: self._report(chunks, small_files))
            while (
                not chunks.finished()
                and checker.is_alive()
                and any(fetcher.is_alive() for fetcher in fetchers)
            ):
                chunks.pause(0.2)
                self._report(chunks, small_files)
            unfinished = not chunks.finished()
        finally:
            chunks.stop()
            for fetcher in fetchers:
                fetcher.abandon()
            for thread in threads:
                if thread.ident is not None:  # the thread was started
                    thread.join(20)
            self._quiet = not any(thread.is_alive() for thread in threads)
        if chunks.failure:
            raise chunks.failure
        if chunks.targets and unfinished:
            failures = [fetcher.failure for fetcher in fetchers if fetcher.failure]
            raise failures[0] if failures else ConnectionLost("the transfer stopped unexpectedly")
        self._report(chunks, small_files, final=True)

    def _report(self, chunks: Chunks, small_files: BatchDownload, *, final: bool = False) -> None:
        now = time.monotonic()
        if self.report is None or (now < self._next_report and not final):
            return
        self._next_report = now + REPORT_SECONDS
        files, total = self._total
        installed, done = self._before
        installed += small_files.files_done + sum(target.installed for target in chunks.targets)
        large = sum(target.entry.size for target in chunks.targets if not target.changed)
        done += small_files.bytes_here + large - chunks.missing_bytes()
        self.report(TransferProgress(installed, files, min(done, total), total))
