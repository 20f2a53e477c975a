"""Starts the scratch project's `podctl run`, interrupts it once, and waits for its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from controller.credentials.secret import for_children
from controller.rehearsal import overrides
from controller.rehearsal.emulated_cloud import Cloud, JobFiles
from controller.rehearsal.scratch_project import Scratch
from controller.rehearsal.upstream import SOURCES
from controller.runtime.checkpoint import saved_steps
from remote.pod import atomic_files

T = TypeVar("T")
LOOK_SECONDS = 0.05  # between two polls of the pod's files
FIRST_OUTPUT_SECONDS = 300.0  # for which a kill waits for something to be saved
SAVE_SECONDS, SAVE_FACTOR = 3.0, 3.0  # after the first output, or as many times its own time
LINGER_SECONDS, LINGER_STEPS = 1.0, 3  # after that, to see how far the job is
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:]+Z ")  # with which a line of a log begins
LAST_BYTES = 4096  # of podctl's log, with its last line
LEAVE_SECONDS = 20.0  # for podctl to leave after SIGTERM


@dataclass(frozen=True)
class Kill:
    """The moment at which the pod's host died."""

    seconds: float  # the job had run for so long
    saved: str | None  # a checkpoint that was there
    steps: tuple[int, ...]  # that the job had reported
    written: str | None = None  # an output that was there, whatever it is good for
    checkpoint: int | None = None  # the step of the oldest checkpoint-N


@dataclass(frozen=True)
class End:
    """How the command ended; `error` is its error as JSON."""

    code: int | None  # None: it did not end in time
    error: Mapping[str, str]
    steps: tuple[int, ...] = ()  # that the job had reported, over all its attempts


class RehearsalRun:
    """One run of the stage on the emulator."""

    def __init__(
        self,
        scratch: Scratch,
        cloud: Cloud,
        stage: str,
        deadline: float,
        show: Callable[[str, float], None] = lambda _podctl_error, _left: None,
    ) -> None:
        """`show` is called regularly with podctl's last line and the seconds left."""
        self._scratch, self._cloud = scratch, cloud
        self._stage, self._deadline, self._show = stage, deadline, show
        self.run = f"{stage}-0001"
        self._environment = {
            name: value for name, value in for_children().items() if not name.startswith("RUNPOD_")
        } | {
            **cloud.environment,
            "PYTHONPATH": str(SOURCES),
            "NO_COLOR": "1",
            # Consent given in a rehearsal applies to it alone.
            "XDG_STATE_HOME": str(scratch.cloud / "user"),
        }

    def start(self, secrets: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """`podctl run` in the background, in a session of its own."""
        with self._scratch.log.open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "controller", "run", self._stage),
                    *("-y", "--give-secrets", "--json"),
                ],
                cwd=self._scratch.project.root,
                env=self._environment | dict(secrets),
                stdin=subprocess.DEVNULL,
                stdout=self._scratch.answer.open("wb"),
                stderr=log,
                start_new_session=True,
            )

    def interrupt(self, process: subprocess.Popen[bytes]) -> Kill | None:
        """Kill the pod's host once the job has saved something; None when it ended before."""
        job = self._until(process, self._running)
        if job is None:
            return None
        began = time.monotonic()
        patience = min(began + FIRST_OUTPUT_SECONDS, self._deadline)
        patterns = overrides.signs(self._scratch.project.stages[self._stage])
        outputs = self._scratch.project.stages[self._stage].outputs
        saved, written, since = None, None, 0.0
        while time.monotonic() < patience:
            if job.phase != "running" or process.poll() is not None:
                return None
            saved = job.saved(patterns)
            since = since or (time.monotonic() if saved else 0.0)
            if saved and not _linger(job, since):
                break
            if written is None and (written := job.written(outputs)):
                patience = min(patience, _soon(began))  # a checkpoint may follow, not much later
            self._pause()
        pods = self._cloud.pods()
        if job.phase != "running" or len(pods) != 1:
            return None
        if not self._cloud.kill(pods[0]["id"]) or job.ended is not None:
            return None
        # Only now: it went on until then, and what it did is not to be taken for a second attempt.
        seconds = time.monotonic() - began
        oldest = min(saved_steps(job.folder / "work"), default=None)
        return Kill(seconds, saved, tuple(job.steps()), written, oldest)

    def _running(self) -> JobFiles | None:
        job = self._cloud.job(self.run)
        return job if job is not None and job.phase in ("running", "hashing") else None

    def _until(self, process: subprocess.Popen[bytes], poll: Callable[[], T | None]) -> T | None:
        """Poll until a result is not None; None when the command ends or time is up first."""
        while process.poll() is None and time.monotonic() < self._deadline:
            result = poll()
            if result is not None:
                return result
            self._pause()
        return None

    def finish(self, process: subprocess.Popen[bytes]) -> End:
        """Wait for the end, and force it at the deadline. The pod's files are lost afterwards."""
        job = self._cloud.job(self.run)
        steps: list[int] = []
        read = 0  # bytes of what tells steps: reading all of it again costs the job its processor
        while process.poll() is None and time.monotonic() < self._deadline:
            job = job or self._cloud.job(self.run)
            if job is not None and (size := job.told_bytes()) != read:
                read, steps = size, job.steps() or steps
            self._pause()
        in_time = process.poll() is not None
        end(process)
        return End(process.returncode if in_time else None, self._podctl_error(), tuple(steps))

    def _pause(self) -> None:
        """Wait a moment, and show podctl's last line."""
        lines = (
            atomic_files.tail(self._scratch.log, LAST_BYTES).decode(errors="replace").split("\n")
        )
        line = next((line for line in reversed(lines[:-1]) if line.strip()), "")
        line = _TIME.sub("", line)
        self._show(line, max(0.0, self._deadline - time.monotonic()))
        time.sleep(LOOK_SECONDS)

    def _podctl_error(self) -> Mapping[str, str]:
        try:
            error = json.loads(self._scratch.answer.read_bytes())["error"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {str(key): str(value) for key, value in error.items()}

    def read(self, *words: str) -> tuple[int, Any]:
        """The exit code and JSON document of a command that only reads."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "controller", *words, "--json"],
            cwd=self._scratch.project.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(30.0, self._deadline - time.monotonic()),
            check=False,
        )
        try:
            return done.returncode, json.loads(done.stdout)
        except ValueError:
            return done.returncode, {}


def _soon(began: float) -> float:
    """Until when a checkpoint is waited for once the first output is there."""
    now = time.monotonic()
    return now + max(SAVE_SECONDS, SAVE_FACTOR * (now - began))


def _linger(job: JobFiles, since: float) -> bool:
    """One reported step does not distinguish a job that resumes from one that starts over."""
    few = 0 < len(job.steps()) < LINGER_STEPS
    return few and time.monotonic() - since < LINGER_SECONDS


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, some time, SIGKILL; for the whole session."""
    if process.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LEAVE_SECONDS)
