"""Runs the job, from the start of its first process to the end of its last."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ..contract.layout import ENVIRONMENT
from ..pod import atomic_files, job_secrets, process_tree
from ..pod.outcome import Outcome, StopJob, ended, halted
from ..pod.process_tree import JobTree
from ..pod.termination import Termination
from . import job_environment, metrics_sampler
from .attempt import AttemptContext
from .stop_conditions import Progress

EVICTION_SECONDS = 4.0  # a container gets about five between SIGTERM and SIGKILL
TEARDOWN_SECONDS = 0.7  # a killed job is believed only when we outlive it by so long
REAP_SECONDS = 10.0  # for the first process, once all of it was killed


class Job:
    """One job. It holds the pod's lock, writes its own log, and may outlive its supervisor."""

    def __init__(self, base: AttemptContext, env: Mapping[str, str], lock: int) -> None:
        self._base, self._env, self._lock = base, env, lock
        self._tree = JobTree(base.boot.id)

    def clear(self) -> None:
        """End processes left by earlier jobs and attempts of this container. Raises `StopJob`."""
        if not (left := self._tree.members()):
            return
        text = f"ending what an earlier job left running: {process_tree.names(left)}"
        self._base.say(text)
        self._base.enter("preflight", text)
        self._end_all()
        if self._base.watch.evicted():
            raise StopJob("evicted", "the container is being stopped")

    def run(self, python: Path) -> Outcome:
        """Start the job and wait for its end, or end it. Raises a resumable `StopJob`."""
        kills = metrics_sampler.oom_kills()
        try:
            process = self._spawn(job_environment.argv(self._base.spec, python))
        except OSError as error:
            return Outcome(127, "exited", f"{self._base.spec.argv[0]}: {error.strerror}")
        self._base.enter("running", "")
        self._base.watch.progress = Progress(time.monotonic())
        try:
            self._await_first(process)
            self._last_look(process.returncode)
            outcome = ended(process.returncode, kills, metrics_sampler.oom_kills())
            self._await_rest(process, outcome)
        except StopJob as halt:
            self._base.say(f"{halt.reason}: {halt.detail}")
            left = None if process.poll() is None else self._tree.members()
            self._base.pulse.text = halt.detail
            self._end_all()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(REAP_SECONDS)
            if halt.resumable:
                raise
            outcome = _with_rest(halted(halt, process.returncode), left)
        self._base.watch.progress = None
        return outcome

    def _spawn(self, argv: list[str]) -> subprocess.Popen[bytes]:
        """The first process in a session of its own, marked as the job's like all that follow."""
        base = self._base
        base.work.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # for people who look; the job does without
            path = base.paths.run(base.spec.run) / ENVIRONMENT
            atomic_files.write(path, job_environment.script(self._env), sync=False)
        base.say(f"attempt {base.attempt}: {' '.join(argv)}")
        mark = process_tree.mark(base.boot.id, base.spec.run, base.attempt)
        with base.log.open("ab") as log:
            return subprocess.Popen(
                argv,
                cwd=base.work,
                env={**self._env, **job_secrets.variables(base.paths, base.spec.run), **mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._lock,),
                umask=0o022,
            )

    def _await_first(self, process: subprocess.Popen[bytes]) -> None:
        due = 0.0
        while process.poll() is None:
            if time.monotonic() >= due:
                self._tree.collect(process.pid)
                due = time.monotonic() + self._base.pace.sample
            self._base.tick()

    def _last_look(self, returncode: int) -> None:
        """Raises `StopJob` for a job that ended because its container did: it is to be resumed.

        A kill of the whole container may reach the job a moment before the supervisor.
        """
        deadline = time.monotonic() + (TEARDOWN_SECONDS if returncode < 0 else 0)
        while not self._base.watch.evicted() and time.monotonic() < deadline:
            self._base.breathe()
        if self._base.watch.evicted():
            raise StopJob("evicted", "the container is being stopped")

    def _await_rest(self, process: subprocess.Popen[bytes], outcome: Outcome) -> None:
        """Wait until no process of the job runs. Raises `StopJob`.

        The processes that a failed first process leaves behind are ended.
        """
        if not (left := self._tree.members()):
            return
        if outcome.rc != 0 or self._base.spec.stray_processes == "kill":
            self._base.say(f"ending what the job left running: {process_tree.names(left)}")
            self._base.pulse.text = "ending what the job left running"
            self._end_all()
            if self._base.watch.evicted():
                raise StopJob("evicted", "the container is being stopped")
            return
        self._base.say(
            f"the first process ended with 0 and left others: {process_tree.names(left)}"
        )
        pause = tick = self._base.pace.tick
        while left:
            self._base.pulse.text = (
                f"its first process ended, these go on: {process_tree.names(left)}"
            )
            due = time.monotonic() + pause
            while time.monotonic() < due:
                self._base.tick()
            pause = min(max(self._base.pace.heartbeat, tick), pause * 2)
            self._tree.collect(process.pid)
            left = self._tree.members()
        self._base.say("the last of them ended")
        self._base.pulse.text = ""

    def _end_all(self) -> None:
        """SIGTERM, time to write a checkpoint for every process, SIGKILL."""
        end = Termination(self._tree, self._base.spec.term_grace_seconds)
        while not end.step():
            if self._base.watch.evicted():
                end.hurry(EVICTION_SECONDS)
            self._base.breathe()
        if end.left:
            self._base.say(f"these cannot be killed: {process_tree.names(end.left)}")


def _with_rest(outcome: Outcome, left: dict[int, process_tree.Member] | None) -> Outcome:
    """Add to the detail if only processes left by the first one were still running."""
    if not left:
        return outcome
    text = (
        f"{outcome.detail}; the first process had ended, and {process_tree.names(left)} went on: "
        'stray_processes = "kill" ends such processes at once'
    )
    return Outcome(outcome.rc, outcome.reason, text)
