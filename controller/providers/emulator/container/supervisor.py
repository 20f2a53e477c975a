"""The supervisor of a container: starts it, records its output, and outlives the emulator.

Run as `python -S -m controller.providers.emulator.container.supervisor STATUS_FD`, standard library
only. It reads a `Plan` from stdin (never from a file: it holds the pod's keys) and writes to
STATUS_FD "ok" once the container's root is entered, else the error. Signals: TERM goes to the
container's first process; USR1 kills everything. Its own end kills a namespaced container too.
Exit status: that of the first process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from controller.providers.emulator.container import namespaces as namespace
from controller.providers.emulator.container.console_log import ContainerLog
from controller.providers.emulator.container.namespaces import Bind

_NAMESPACES = namespace.CLONE_NEWPID | namespace.CLONE_NEWUTS | namespace.CLONE_NEWIPC
_DRAIN_SECONDS = 1.0  # for output still in the pipe when the first process has ended
_INSIDE_ID = 1000  # user id in an unprivileged container when root runs the emulator


@dataclass(frozen=True)
class Plan:
    """The plan for starting one container."""

    mode: str  # namespace | userns | process
    disk: str  # the container disk: the root folder of the pod
    hostname: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    log: str
    binds: tuple[Bind, ...]

    def dump(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def load(cls, text: str) -> Plan:
        value = json.loads(text)
        binds = tuple(Bind(**bind) for bind in value.pop("binds"))
        return cls(**{**value, "argv": tuple(value.pop("argv")), "binds": binds})


def inside_ids() -> tuple[int, int]:
    """(uid, gid) of an unprivileged container's user: never 0, which sshd could not drop."""
    return os.geteuid() or _INSIDE_ID, os.getegid() or _INSIDE_ID


def main(arguments: list[str]) -> int:
    plan = Plan.load(sys.stdin.read())
    status = int(arguments[0])
    waker, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(wakes)
    output, first_pid = _start(plan, status)
    os.close(status)
    return _Watch(plan, first_pid, output, waker).run()


def _start(plan: Plan, status: int) -> tuple[int, int]:
    """Fork the first process; returns (descriptor of its output, its pid)."""
    namespace.adopt_orphans()
    output, pipe = os.pipe2(os.O_CLOEXEC)
    try:
        if plan.mode == "userns":
            # Read both first: until the map is written, this process has the overflow ids.
            outside, inside = (os.geteuid(), os.getegid()), inside_ids()
            namespace.unshare(namespace.CLONE_NEWUSER | _NAMESPACES)
            namespace.map_user(outside, inside)
        elif plan.mode == "namespace":
            namespace.unshare(_NAMESPACES)
    except OSError as error:
        os.write(status, str(error).encode())
        raise SystemExit(1) from error
    child = os.fork()
    if child == 0:
        _become_first_process(plan, pipe, status)
    os.close(pipe)
    return output, child


def _become_first_process(plan: Plan, pipe: int, status: int) -> NoReturn:
    code = 126
    try:
        signal.set_wakeup_fd(-1)
        # A plain process tree stays in the supervisor's session, which identifies it.
        os.setpgid(0, 0) if plan.mode == "process" else os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(pipe, 1)
        os.dup2(pipe, 2)
        _enter(plan)
        os.chdir(plan.cwd)
        os.write(status, b"ok")
        os.close(status)
        code = _exec(plan)
    except OSError as error:
        with contextlib.suppress(OSError):  # the status is closed once the root was entered
            os.write(status, str(error).encode())
    finally:
        os._exit(code)


def _enter(plan: Plan) -> None:
    if plan.mode == "process":
        return
    # Before the mounts: from here on, the supervisor's death is the container's.
    namespace.die_with_parent()
    root = plan.mode == "namespace"
    namespace.enter_root(Path(plan.disk), plan.binds, plan.hostname, tty_group=root)
    if root:
        namespace.drop_capabilities()


def _exec(plan: Plan) -> int:
    """The exit status of a first process that cannot be started."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(plan.argv[0], list(plan.argv), plan.env)  # noqa: S606 - a container's command
    except OSError as error:
        os.write(2, f"exec: {plan.argv[0]!r}: {error.strerror}\n".encode())
        return 127 if isinstance(error, FileNotFoundError) else 126


class _Watch:
    """Records the output and waits for the end of the first process."""

    def __init__(self, plan: Plan, first_pid: int, output: int, waker: int) -> None:
        self._namespaced = plan.mode != "process"
        self._log = ContainerLog(Path(plan.log))
        self._first_pid = first_pid
        self._output = output
        self._waker = waker
        self._code: int | None = None

    def run(self) -> int:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            selector.register(self._waker, selectors.EVENT_READ)
            while self._code is None:
                for key, _ in selector.select():
                    if key.fd == self._waker:
                        self._on_signals(os.read(self._waker, 64))
                    elif not self._pump():
                        selector.unregister(self._output)  # closed by all; still running
            if not self._namespaced:
                _kill_descendants()
            self._drain(selector)
        self._log.close()
        return self._code

    def _pump(self) -> bool:
        data = os.read(self._output, 65536)
        self._log.write(data)
        return bool(data)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        deadline = time.monotonic() + _DRAIN_SECONDS
        selector.unregister(self._waker)
        while selector.get_map() and (remaining := deadline - time.monotonic()) > 0:
            if selector.select(remaining) and not self._pump():
                selector.unregister(self._output)

    def _on_signals(self, numbers: bytes) -> None:
        if signal.SIGUSR1 in numbers:
            self._kill()
        elif signal.SIGTERM in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._first_pid, signal.SIGTERM)
        self._reap()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._first_pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Reap ended children: the first process and adopted orphans."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._first_pid:
                    self._code = _exit_status(status)


def _exit_status(status: int) -> int:
    """The exit status as in a shell: 128 + signal for a killed process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _kill_descendants() -> None:
    """Kill all descendants; orphans are adopted, so none escapes by `setsid`."""
    while victims := _descendants():
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def _descendants() -> list[int]:
    """Running descendants of this process; empty without /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = entry.read_text().rpartition(")")[2].split()[:2]
            if state != "X":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    descendants: list[int] = []
    queue = [os.getpid()]
    while queue:
        child_pids = children.get(queue.pop(), [])
        descendants += child_pids
        queue += child_pids
    return descendants


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
