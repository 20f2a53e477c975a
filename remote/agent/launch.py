"""Starts a run exactly once, whatever the number of requests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from ..contract import ENV_TOOL, Attempt, JobSpec, Status, dump
from ..pod import atomic_files, handover, job_secrets
from ..pod import installer_settings as settings
from ..pod import job_lock as lock
from ..pod.disk_reserve import DiskReserve
from ..pod.job_lock import Holder
from ..pod.outcome import Outcome
from ..pod.paths import PodPaths, boot, document, record, write_record
from . import status as report

PATIENCE_SECONDS = 10.0  # for another starter to get on with it
LEFTOVER_SECONDS = 2.0  # for the supervisor of an ended run to leave
PACKAGE = Path(__file__).resolve().parents[1]


class Refusal(Exception):
    """The run is not started; `status` is what there is instead. Exit code `code`."""

    def __init__(self, code: int, text: str, status: Status) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


BUSY, OTHER_SPEC, NO_SECRET = 75, 66, 77


def start(paths: PodPaths, spec: JobSpec, *, again: bool) -> Status:
    """Make sure that `spec` runs or has run. Returns once it owns the pod's lock, or never will.

    An ended run stays ended unless `again`, which begins a new attempt. A lost one goes on from
    its last checkpoint. Raises `Refusal` while another run has the pod, or for a changed spec.
    """
    begun = time.monotonic()
    while True:
        done = report.status(paths, spec.run)
        if done.state == "ended" and not again:
            return done
        fd = lock.take(paths.lock)
        if fd is not None:
            try:
                return _begin(paths, spec, fd, again)
            finally:
                os.close(fd)
        other = _occupant(paths, spec, done, begun)
        if other is not None:
            return other
        time.sleep(0.02)


def _occupant(paths: PodPaths, spec: JobSpec, own: Status, begun: float) -> Status | None:
    """Determine who holds the lock: this run, another one, or processes left by an ended one."""
    holder, waited = lock.holder(paths.lock), time.monotonic() - begun
    signed = holder == Holder(spec.run, own.attempt)  # else the starter is about to write it down
    if own.state in ("starting", "running") and (signed or waited > PATIENCE_SECONDS):
        return own
    if holder and holder.run != spec.run:
        other = report.status(paths, holder.run)
        if other.state in ("starting", "running") and other.attempt == holder.attempt:
            raise Refusal(BUSY, f"this pod is busy with run {holder.run}", other)
    if waited > LEFTOVER_SECONDS and holder and _ended(paths, holder):
        lock.end_processes(paths.lock, LEFTOVER_SECONDS)
    if waited > PATIENCE_SECONDS:
        raise Refusal(BUSY, "the pod's lock is held and its holder does not say by what", own)
    return None


def _ended(paths: PodPaths, holder: Holder) -> bool:
    return report.status(paths, holder.run).state == "ended"


def _begin(paths: PodPaths, spec: JobSpec, fd: int, again: bool) -> Status:
    """With the lock held: decide again, record the attempt, start the supervisor."""
    folder = paths.run(spec.run)
    folder.mkdir(parents=True, exist_ok=True)
    DiskReserve(folder / "reserve").release()  # nobody did it in a death that was not announced
    last = document(Attempt, folder / "attempt.json")
    end = report.ending(folder, last)
    if end is not None and not again:
        return report.status(paths, spec.run)
    missing = [] if Outcome.saved(folder) else job_secrets.missing(paths, spec)
    if not missing and not Outcome.saved(folder) and settings.missing(paths, spec.run):
        missing = ["how to install what the job needs"]
    if missing:  # it would fail; whoever has them is to start the run
        text = f"{', '.join(missing)} was not handed over in this life of the container"
        raise Refusal(NO_SECRET, text, report.status(paths, spec.run))
    _keep_spec(paths, spec, folder, again)
    number = last.number + 1 if last else 1
    lock.sign(fd, Holder(spec.run, number))
    if end is not None:
        _archive(folder, end.attempt)
    elif last is not None:
        _heed_stop(folder, last.number)
        _count_restart(folder, spec, number)
    now = boot(paths.local)
    handover.own(folder, now)
    (folder / "stop.json").unlink(missing_ok=True)
    attempt = Attempt(spec.run, number, now.id, time.time())
    atomic_files.write(folder / "attempt.json", dump(attempt))
    spawn(paths, spec.run, number, fd)
    return report.status(paths, spec.run)


def _keep_spec(paths: PodPaths, spec: JobSpec, folder: Path, again: bool) -> None:
    """Write the spec once; only a new attempt after an end may change it."""
    data = dump(spec)
    before = document(JobSpec, folder / "spec.json")
    if before is not None and dump(before) != data and not again:
        text = f"run {spec.run} was started with another spec"
        raise Refusal(OTHER_SPEC, text, report.status(paths, spec.run))
    if before is None or dump(before) != data:
        atomic_files.write(folder / "spec.json", data)


def _archive(folder: Path, attempt: int) -> None:
    """Archive an ended attempt's records, the commit record first."""
    for name in ("exit", "manifest", "outcome"):
        path = folder / f"{name}.json"
        if path.exists():
            os.replace(path, folder / f"{name}.{attempt}.json")
    (folder / "restarts.json").unlink(missing_ok=True)
    atomic_files.sync_folder(folder)


def _heed_stop(folder: Path, attempt: int) -> None:
    """Keep a stop request that was made just before the container restarted."""
    asked = record(folder / "stop.json") or {}
    if asked.get("attempt") == attempt and Outcome.saved(folder) is None:
        Outcome(143, "stopped", str(asked.get("reason") or "")).save(folder)


def _count_restart(folder: Path, spec: JobSpec, number: int) -> None:
    """After too many restarts the new attempt only hashes and commits."""
    restarts = (record(folder / "restarts.json") or {}).get("count", 0)
    count = (restarts if isinstance(restarts, int) else 0) + 1
    write_record(folder / "restarts.json", {"count": count})
    if count > spec.max_restarts and Outcome.saved(folder) is None:
        text = f"interrupted {count} times, {spec.max_restarts} restarts are allowed"
        Outcome(1, "lost", f"{text}; attempt {number - 1} was the last").save(folder)


def spawn(paths: PodPaths, run: str, attempt: int, fd: int) -> None:
    """Start a supervisor that inherits the lock's descriptor and nothing else."""
    detach(paths, run, "remote.supervisor", ["--attempt", str(attempt), "--lock", str(fd)], (fd,))


def detach(
    paths: PodPaths, run: str, module: str, words: list[str], fds: tuple[int, ...] = ()
) -> None:
    """Start a module of this package for a run, in a session of its own."""
    argv = [sys.executable, "-S", "-m", module, "--root", str(paths.root)]
    env = {name: value for name, value in os.environ.items() if name != "RUNPOD_API_KEY"}
    env[ENV_TOOL] = "1"
    with (paths.run(run) / "shim.log").open("ab") as log:
        subprocess.Popen(
            [*argv, "--run", run, *words],
            cwd=PACKAGE.parent,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=fds,
        )
