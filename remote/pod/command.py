"""Run a program with a deadline, in its own process group, without ever waiting for it blindly."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ..light_dataclasses import dataclass

REAP_SECONDS = 2.0  # a process stuck in the kernel is left behind after so long


@dataclass(frozen=True)
class Result:
    """`rc` is None when the deadline passed and the program was killed."""

    rc: int | None
    output: str  # the last few kilobytes of stdout and stderr


class Command:
    """A started program; its output goes to `output`, a file."""

    def __init__(
        self, argv: list[str], *, env: Mapping[str, str], cwd: Path, output: Path, seconds: float
    ) -> None:
        self.argv = argv
        self.deadline = time.monotonic() + seconds
        self._output = output
        self._start = output.stat().st_size if output.exists() else 0
        with output.open("ab") as sink:
            self._process = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def poll(self) -> Result | None:
        """The result once there is one; kills it at its deadline."""
        rc = self._process.poll()
        if rc is not None:
            return Result(rc, self._tail())
        if time.monotonic() < self.deadline:
            return None
        self.kill()
        return Result(None, self._tail())

    def kill(self) -> None:
        """End it and its children now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_SECONDS)

    def _tail(self) -> str:
        with self._output.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(self._start, end - 4096))
            return file.read(4096).decode(errors="replace").strip()


def wait_all(commands: list[Command], tick: Callable[[], None]) -> list[Result]:
    """Results in order. `tick` is called while waiting; what it raises kills all of them."""
    results: dict[int, Result] = {}
    try:
        while True:
            for index, command in enumerate(commands):
                if index not in results and (result := command.poll()) is not None:
                    results[index] = result
            if len(results) == len(commands):
                return [results[i] for i in range(len(commands))]
            tick()
    finally:
        for index, command in enumerate(commands):
            if index not in results:
                command.kill()
