"""Forks the podctl processes of a sweep from one process that has imported everything.

Each is a separate process in a session of its own. It runs podctl's `main` and can be killed at
any moment; forking saves the second that importing takes. `python -m tests.crash.fork_server` reads
one JSON request a line from stdin and reports on stdout which processes started, stopped and ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

_IMPORTED = (
    "cryptography.hazmat.primitives.asymmetric.ed25519", "paramiko", "runpod.api.rest",
    "controller.leases.commands", "controller.cli.main", "controller.cli.run",
    "controller.cli.sync",
    "controller.providers.retry", "controller.providers.runpod.provider", "controller.ssh.session",
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Podctl:
    """One podctl process. `out` and `err` are files that it writes."""

    pid: int
    folder: Path
    fork_server: ForkServer
    stopped: bool = False
    code: int | None = None  # exit code, negative for a signal

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text(errors="replace")

    def settle(self, seconds: float) -> bool:
        """Wait until it has ended or is stopped; False when neither happened in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            # Of a process that strace follows the fork server gets no notice that it stopped.
            if self.fork_server.until(lambda: self.stopped or self.code is not None, 0.5):
                return True
            self.stopped = b"stopped by SIGSTOP" in self._traced()
        return False

    def _traced(self) -> bytes:
        log = self.folder / "strace"
        return log.read_bytes() if log.exists() else b""

    def ended(self, seconds: float) -> bool:
        return self.fork_server.until(lambda: self.code is not None, seconds)

    def send(self, number: signal.Signals) -> None:
        if number == signal.SIGCONT:
            self.stopped = False
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


@dataclass
class ForkServer:
    """The client side of the fork server."""

    _popen: subprocess.Popen[str] = field(init=False)
    _change: threading.Condition = field(default_factory=threading.Condition)
    _started: dict[int, int] = field(default_factory=dict)  # request -> pid
    _ends: dict[int, int] = field(default_factory=dict)
    _alive: dict[int, Podctl] = field(default_factory=dict)
    _requests: int = 0

    def __post_init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.fork_server"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Kill every process that still runs."""
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        self._popen.wait(30.0)

    def podctl(
        self, *words: str, cwd: Path, folder: Path, env: dict[str, str], fault: str = "",
        moments: str = "",
    ) -> Podctl:  # fmt: skip
        """Start `podctl WORDS` in `cwd`, with `fault` injected; its output goes to `folder`."""
        folder.mkdir(parents=True)
        with self._change:
            self._requests += 1
            number = self._requests
            message = {
                "id": number, "words": words, "cwd": str(cwd), "folder": str(folder), "env": env,
                "fault": fault, "moments": moments,
            }  # fmt: skip
            assert self._popen.stdin is not None
            self._popen.stdin.write(json.dumps(message) + "\n")
            self._popen.stdin.flush()
            if not self._change.wait_for(lambda: number in self._started, 60.0):
                raise RuntimeError("the fork server started no process")
            podctl = Podctl(self._started.pop(number), folder, self)
            self._alive[podctl.pid] = podctl
            podctl.code = self._ends.pop(podctl.pid, None)  # it may have ended already
            return podctl

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        with self._change:
            return self._change.wait_for(holds, seconds)

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            message = json.loads(line)
            with self._change:
                self._handle(message)
                self._change.notify_all()

    def _handle(self, message: dict[str, int]) -> None:
        pid = message["pid"]
        if "id" in message:
            self._started[message["id"]] = pid
            return
        child = self._alive.get(pid)
        if "stopped" in message:
            if child is not None:
                child.stopped = True
        elif child is not None:
            child.code = message["code"]
            del self._alive[pid]
        else:
            self._ends[pid] = message["code"]


def _serve() -> None:
    _import_everything()
    children: set[int] = set()

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                if pid == 0:
                    return
                if os.WIFSTOPPED(status):
                    _report(pid=pid, stopped=1)
                else:
                    children.discard(pid)
                    _report(pid=pid, code=os.waitstatus_to_exitcode(status))

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        message = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run_podctl(message)
        children.add(pid)
        _report(id=message["id"], pid=pid)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _import_everything() -> None:
    """Import what podctl needs, so that children start without importing."""
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or each child's first collection would copy all memory pages


def _report(**message: int) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")  # whole: shorter than PIPE_BUF


def _run_podctl(message: dict[str, Any]) -> NoReturn:
    """Run podctl in the child process; does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(message["cwd"])
    os.environ.update(message["env"])
    folder = Path(message["folder"])
    for descriptor, name in ((0, os.devnull), (1, folder / "out"), (2, folder / "err")):
        opened = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.argv = ["podctl", *message["words"]]
    code = 1
    try:
        from tests.crash.fault_injection import inject

        inject(message["fault"], message["moments"])
        from controller.__main__ import main

        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
