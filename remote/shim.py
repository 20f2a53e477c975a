"""The supervisor of one attempt: detached, holding the pod's lock, ending with exit.json.

Started by the agent as `python3 -S -m remote.shim --root R --run NAME --attempt N --lock FD`.
The phases are preflight, environment, running and hashing. If this process is killed the job goes
on and keeps the lock; what was not recorded is then `lost`, never done.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from . import (
    background,
    durable,
    entrusted,
    handover,
    jobenv,
    logfile,
    manifest,
    outputs,
    samples,
)
from .contract import Exit, FileEntry, JobSpec, Manifest, digest, dump
from .lease import Lease
from .outcome import Outcome, ended, halted
from .pace import Pace
from .place import Place, boot, document, write_record
from .prepare import Preparation
from .reserve import Reserve
from .watch import Halt, Progress, Watch

EVICTION_SECONDS = 4.0  # a container gets about five between SIGTERM and SIGKILL
TEARDOWN_SECONDS = 0.7  # a killed job is believed only when we outlive it by so long
HANDOVER_SECONDS = 30.0  # beyond its job's grace, for another pod to let go of a run
LEFTOVER_SECONDS = 2.0  # for what a job leaves running in its session


class Shim:
    """One attempt at one run."""

    def __init__(self, place: Place, spec: JobSpec, attempt: int, lock: int) -> None:
        self.place, self.spec, self.attempt, self.lock = place, spec, attempt, lock
        self.run, self.work = place.run(spec.run), place.work(spec.run)
        self.log = self.run / "job.log"
        self.boot, self.pace = boot(place.local), Pace.from_environment()
        self.pulse = background.Pulse()
        self.watch = Watch(spec, place, self.boot, attempt, self.pace)
        self.started = time.time()
        self.env = jobenv.build(spec, place, self.boot)
        self.lease = Lease.of(place, spec, self.boot.id, attempt)
        self.ready = background.Ready(self.run, spec, attempt, self.watch, self.pace)
        self.reserve = Reserve(self.run / "reserve")

    def live(self) -> None:
        """From the lock to exit.json, or to a note that this attempt was interrupted."""
        self._listen()
        beat = background.heartbeat(self.run, self.spec, self.attempt, self.boot.id, self.pulse)
        heart = background.Repeated("heartbeat", self.pace.heartbeat, beat)
        meter = samples.Meter(self.place.root, self.env["PATH"])
        take = background.sampler(self.run, meter, self.boot.id, self.watch)
        background.Repeated("samples", self.pace.sample, take)
        try:
            self.finish(Outcome.saved(self.run) or self._attempt())
        except Halt as halt:
            self._interrupted(halt)
        heart.end()
        meter.close()

    def _listen(self) -> None:
        """SIGTERM means that the container stops; a closed terminal means nothing."""

        def evict(_number: int, _frame: FrameType | None) -> None:
            self.watch.signalled = True

        signal.signal(signal.SIGTERM, evict)
        signal.signal(signal.SIGINT, evict)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _attempt(self) -> Outcome:
        """Preflight, environment, job. Raises a resumable `Halt`."""
        self.reserve.take()
        preparation = Preparation(
            self.place, self.spec, self.env, self.log, self._tick, self._enter
        )
        try:
            if not self._alone():
                return Outcome(1, "lost", "the pod that had this run goes on with it")
            python = preparation.python()
        except Halt as halt:
            if halt.resumable:
                raise
            return halted(halt, None)
        return python if isinstance(python, Outcome) else self._run_job(python)

    def _alone(self) -> bool:
        """At most one job of a run, over all pods that share its volume."""
        self._enter("preflight", "waiting for the pod that had this run")
        patience = self.spec.term_grace_seconds + HANDOVER_SECONDS
        return handover.await_predecessor(self.run, self.pace.heartbeat, patience, self._tick)

    def _run_job(self, python: Path) -> Outcome:
        """Start the job and wait for its end, or end it."""
        kills = samples.oom_kills()
        self.env = jobenv.with_interpreter(self.env, python)
        try:
            process = self._spawn(jobenv.argv(self.spec, python))
        except OSError as error:
            return Outcome(127, "exited", f"{self.spec.argv[0]}: {error.strerror}")
        self._enter("running", "")
        self.watch.progress = Progress(time.monotonic())
        scan = background.Repeated("ready", self.pace.scan, self.ready.scan, nice=19)
        try:
            while process.poll() is None:
                self._tick()
            self._last_look(process.returncode)
            outcome = ended(process.returncode, kills, samples.oom_kills())
        except Halt as halt:
            self._end(process, halt)
            if halt.resumable:
                raise
            outcome = halted(halt, process.returncode)
        finally:
            self.ready.stop()
            scan.end()
            _sweep(process.pid)
        return outcome.on_disk(self.reserve.disk_full())

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        """The job in its own session, writing its log itself, holding the lock itself."""
        self.work.mkdir(parents=True, exist_ok=True)
        self._say(f"attempt {self.attempt}: {' '.join(argv)}")
        with self.log.open("ab") as log:
            return subprocess.Popen(
                argv,
                cwd=self.work,
                env=self.env | entrusted.variables(self.place, self.spec.run),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self.lock,),
                umask=0o022,
            )

    def _last_look(self, returncode: int) -> None:
        """A job that ends because its container does has not ended: raises `Halt`.

        Whoever kills every process of a container may reach the job a moment before us.
        """
        deadline = time.monotonic() + (TEARDOWN_SECONDS if returncode < 0 else 0)
        while not self.watch.evicted() and time.monotonic() < deadline:
            self._breathe()
        if self.watch.evicted():
            raise Halt("evicted", "the container is being stopped")

    def _end(self, process: subprocess.Popen[bytes], halt: Halt) -> None:
        """SIGTERM, time to write a checkpoint, SIGKILL."""
        self._say(f"{halt.reason}: {halt.detail}")
        self.pulse.text = halt.detail
        _kill(process.pid, signal.SIGTERM)
        began = time.monotonic()
        grace = self.spec.term_grace_seconds
        while process.poll() is None and time.monotonic() < began + grace:
            if self.watch.evicted() and grace > EVICTION_SECONDS:
                began, grace = time.monotonic(), EVICTION_SECONDS
            self._breathe()
        _kill(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEFTOVER_SECONDS * 5)

    def finish(self, outcome: Outcome) -> None:
        """Manifest, then exit.json: the commit. Raises `Halt` when the container stops first."""
        entrusted.forget(self.place, self.spec.run)
        self.reserve.release()
        outcome = replace(outcome, started_at=outcome.started_at or self.started)
        self._keep_trying(partial(outcome.save, self.run))
        self._enter("hashing", "hashing the outputs")
        self.lease.hashing()
        outcome, entries, survey = self._entries(outcome)
        final = Manifest(
            self.spec.run, self.attempt, True, entries, survey.left, survey.notes, survey.beyond
        )
        data = dump(final)
        self._keep_trying(partial(durable.write, self.run / "manifest.json", data))
        record = Exit(
            run=self.spec.run,
            attempt=self.attempt,
            rc=outcome.rc,
            reason=outcome.reason,
            detail=outcome.detail[:2000],
            manifest_sha256=digest(data),
            log_size=logfile.size(self.log),
            started_at=outcome.started_at,
            ended_at=time.time(),
        )
        self._keep_trying(partial(durable.write, self.run / "exit.json", dump(record)))
        self.lease.ended()

    def _entries(self, outcome: Outcome) -> tuple[Outcome, tuple[FileEntry, ...], outputs.Survey]:
        """Every output; a job that left out a declared one did not succeed."""
        evicted_at: list[float] = []

        def pause() -> None:
            self.pulse.tick()
            self.lease.hashed()
            if self.watch.evicted():
                evicted_at[:] = evicted_at or [time.monotonic()]
                if time.monotonic() - evicted_at[0] > EVICTION_SECONDS:
                    raise Halt("evicted", "the container stopped while its outputs were hashed")

        entries, survey = manifest.final(self.ready.hashes, self.spec.outputs, pause)
        absent = outputs.missing(self.spec.outputs, [e.path for e in entries])
        if absent and outcome.rc == 0 and not survey.left:  # which may be what seems absent
            text = f"the job returned 0, but nothing is at {', '.join(absent)}"
            return replace(outcome, rc=1, detail=text), entries, survey
        return outcome, entries, survey

    def _keep_trying(self, write: Callable[[], None], seconds: float = 60.0) -> None:
        """A full disk may get room again; without its record an attempt is lost."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                write()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                self._breathe()
            else:
                return

    def _interrupted(self, halt: Halt) -> None:
        """Not an end: there is no exit.json, and the next start goes on."""
        if halt.reason == "superseded":  # the files are another pod's now
            return
        self.reserve.release()
        with contextlib.suppress(OSError):
            note = {"attempt": self.attempt, "boot_id": self.boot.id, "detail": halt.detail}
            write_record(self.run / "interrupted.json", note)

    def _enter(self, phase: str, text: str) -> None:
        self.pulse.phase, self.pulse.text = phase, text
        self.pulse.tick()

    def _tick(self) -> None:
        self.watch.poll()
        self._breathe()

    def _breathe(self) -> None:
        self.pulse.tick()
        time.sleep(self.pace.tick)

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError), self.log.open("ab") as log:
            log.write(f"podctl: {text}\n".encode())


def _kill(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _sweep(group: int) -> None:
    """End what a job left behind in its process group."""
    _kill(group, signal.SIGTERM)
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.02)
    _kill(group, signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(prog="remote.shim", description="Supervise one attempt.")
    parser.add_argument("--root", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--attempt", required=True, type=int)
    parser.add_argument("--lock", required=True, type=int, help="descriptor that holds the lock")
    asked = parser.parse_args()
    place = Place.at(asked.root)
    spec = document(JobSpec, place.run(asked.run) / "spec.json")
    if spec is None:
        sys.stderr.write(f"no spec of run {asked.run}\n")
        return 1
    os.umask(0o077)
    Shim(place, spec, asked.attempt, asked.lock).live()
    return 0


if __name__ == "__main__":
    sys.exit(main())
