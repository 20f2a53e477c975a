"""The supervisor of one attempt: detached, holding the pod's lock, ending with exit.json.

Started by the agent as `python3 -S -m remote.supervisor --root R --run NAME --attempt N --lock FD`.
The phases are preflight, environment, running and hashing. If this process is killed the job goes
on and keeps the lock; what was not recorded is then `lost`, never done.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from ..contract import Exit, JobSpec
from ..light_dataclasses import replace
from ..pod import handover, job_secrets, processes
from ..pod import installer_settings as settings
from ..pod.disk_reserve import DiskReserve
from ..pod.outcome import Outcome, StopJob, halted
from ..pod.paths import PodPaths, document, write_record
from . import background, job_environment, metrics_sampler
from .absent_controller import EndNotice, notice_of
from .attempt import AttemptContext
from .commit import Commit
from .follower import Follower
from .guard_deadline import GuardDeadline
from .job import Job
from .prepare import Preparation

HANDOVER_SECONDS = 30.0  # beyond its job's grace, for another pod to let go of a run


class Supervisor:
    """One attempt at one run."""

    def __init__(self, paths: PodPaths, spec: JobSpec, attempt: int, lock: int) -> None:
        self.base = base = AttemptContext(paths, spec, attempt)
        self.lock, self.started = lock, time.time()
        self.notice: EndNotice | None = None
        self.env = job_environment.build(spec, paths, base.boot)
        self.lease = GuardDeadline.of(paths, spec, base.boot.id, attempt)
        self.ready = background.Ready(base.run, spec, attempt, base.watch, base.pace)
        self.reserve = DiskReserve(base.run / "reserve")

    def live(self) -> None:
        """From the lock to exit.json, or to a note that this attempt was interrupted."""
        self._listen()
        processes.adopt_orphans()
        base, pace = self.base, self.base.pace
        beat = background.heartbeat(base.run, base.spec, base.attempt, base.boot.id, base.pulse)
        heart = background.Repeated("heartbeat", pace.heartbeat, beat)
        meter = metrics_sampler.MetricsSampler(base.paths.root, self.env["PATH"])
        take = background.sampler(base.run, meter, base.boot.id, base.watch)
        background.Repeated("samples", pace.sample, take)
        try:
            Job(base, self.env, self.lock).clear()
            self._finish(Outcome.saved(base.run) or self._attempt())
        except StopJob as halt:
            self._interrupted(halt)
        heart.end()
        meter.close()

    def _listen(self) -> None:
        """SIGTERM means that the container stops; a closed terminal means nothing."""

        def evict(_number: int, _frame: FrameType | None) -> None:
            self.base.watch.signalled = True

        signal.signal(signal.SIGTERM, evict)
        signal.signal(signal.SIGINT, evict)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _attempt(self) -> Outcome:
        """Preflight, environment, job. Raises a resumable `StopJob`."""
        base = self.base
        self.reserve.take()
        preparation = Preparation(base.paths, base.spec, self.env, base.log, base.tick, base.enter)
        try:
            if not self._alone():
                return Outcome(1, "lost", "the pod that had this run goes on with it")
            python = preparation.python()
        except StopJob as halt:
            if halt.resumable:
                raise
            return halted(halt, None)
        return python if isinstance(python, Outcome) else self._run_job(python)

    def _alone(self) -> bool:
        """At most one job of a run, over all pods that share its volume."""
        base = self.base
        base.enter("preflight", "waiting for the pod that had this run")
        patience = base.spec.term_grace_seconds + HANDOVER_SECONDS
        return handover.await_predecessor(base.run, base.pace.heartbeat, patience, base.tick)

    def _run_job(self, python: Path) -> Outcome:
        """The job, while what it has finished is published. Raises a resumable `StopJob`."""
        job = Job(self.base, job_environment.with_interpreter(self.env, python), self.lock)
        base, pace = self.base, self.base.pace
        follower = Follower(base.run, base.attempt, base.boot.id)
        scan = background.Repeated("ready", pace.scan, self.ready.scan, nice=19)
        follow = background.Repeated("progress", pace.scan, follower.poll, nice=19)
        try:
            outcome = job.run(python)
        finally:
            self.ready.stop()
            scan.end()
            follow.end()
        with contextlib.suppress(OSError):  # the last step came just before the end
            follower.poll(search=False)
        return outcome.on_disk(self.reserve.disk_full())

    def _finish(self, outcome: Outcome) -> None:
        """Record the end. Raises `StopJob` when the container stops first."""
        notice = notice_of(self.base.paths, self.base.spec)
        job_secrets.forget(self.base.paths, self.base.spec.run)
        settings.forget(self.base.paths, self.base.spec.run)
        self.reserve.release()
        outcome = replace(outcome, started_at=outcome.started_at or self.started)
        Commit(self.base, self.ready.hashes, self.lease).write(outcome)
        self.notice = notice

    def _interrupted(self, halt: StopJob) -> None:
        """Not an end: there is no exit.json, and the next start goes on."""
        if halt.reason == "superseded":  # the files are another pod's now
            return
        self.reserve.release()
        with contextlib.suppress(OSError):
            base = self.base
            note = {"attempt": base.attempt, "boot_id": base.boot.id, "detail": halt.detail}
            write_record(base.run / "interrupted.json", note)


def main() -> int:
    """Supervise the attempt that the command line names: `--root R --run R --attempt N --lock FD`.

    `--lock` is the descriptor that holds the pod's lock. Returns the exit status.
    """
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    run, attempt, lock = options["--run"], int(options["--attempt"]), int(options["--lock"])
    paths = PodPaths.at(options["--root"])
    spec = document(JobSpec, paths.run(run) / "spec.json")
    if spec is None:
        sys.stderr.write(f"no spec of run {run}\n")
        return 1
    os.umask(0o077)
    supervisor = Supervisor(paths, spec, attempt, lock)
    supervisor.live()
    end = document(Exit, paths.run(run) / "exit.json")
    if supervisor.notice is not None and end is not None:
        os.close(lock)  # another run may begin
        supervisor.notice.send_if_absent(supervisor.base, end)
    return 0


if __name__ == "__main__":
    sys.exit(main())
