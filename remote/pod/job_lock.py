"""At most one job on a pod: an flock that lives as long as any process that inherited it.

No pid is ever stored: the kernel knows who holds the lock. A starter takes it exclusively
and passes the descriptor to the job; a check takes it shared for an instant, so that two checks
never mistake each other for a job.
"""

from __future__ import annotations

import fcntl
import os
import time

from .. import light_json
from ..light_dataclasses import dataclass
from . import atomic_files

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    import signal
    from pathlib import Path

    from .atomic_files import StrPath

SMALL = 4096  # bytes
TAKE_SECONDS = 2.0  # how long a process that only checks may hold the lock


@dataclass(frozen=True)
class Holder:
    """What the holder wrote into the lock file; means something only while the lock is held."""

    run: str
    attempt: int


def take(path: StrPath) -> int | None:
    """A descriptor that holds the lock, or None when a job or a starter has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + TAKE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if held(path) or time.monotonic() > deadline:
                os.close(fd)
                return None
            time.sleep(0.005)
        else:
            return fd


def held(path: StrPath) -> bool:
    """Whether some process holds it exclusively now."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def sign(fd: int, holder: Holder) -> None:
    """Write the holder's name, in place: the file must keep its inode."""
    data = light_json.dumps({"run": holder.run, "attempt": holder.attempt}).encode().ljust(512)
    os.pwrite(fd, data, 0)


def holder(path: StrPath) -> Holder | None:
    """The last recorded holder."""
    try:
        data = atomic_files.read(path, SMALL)
        if not data:
            return None
        value = light_json.loads(data)
        return Holder(str(value["run"]), int(value["attempt"]))
    except (OSError, ArithmeticError, RecursionError, ValueError, KeyError, TypeError):
        return None


def processes(path: Path) -> dict[int, str]:
    """Pid to command line of every process that has the lock file open, but this one."""
    from pathlib import Path

    try:
        target = path.stat()
    except FileNotFoundError:
        return {}
    members = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _opens(entry, target):
            members[int(entry.name)] = _command(entry)
    return members


def _opens(process: Path, target: os.stat_result) -> bool:
    try:
        for fd in (process / "fd").iterdir():
            info = fd.stat()
            if (info.st_ino, info.st_dev) == (target.st_ino, target.st_dev):
                return True
    except OSError:  # gone, or another user's
        return False
    return False


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def end_processes(path: Path, grace: float) -> None:
    """SIGTERM to the sessions of all holders, SIGKILL to what is left after `grace` seconds."""
    import signal

    _signal(path, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while held(path) and time.monotonic() < deadline:
        time.sleep(0.05)
    if held(path):
        _signal(path, signal.SIGKILL)
    deadline = time.monotonic() + TAKE_SECONDS
    while held(path) and time.monotonic() < deadline:
        time.sleep(0.02)


def _signal(path: Path, number: signal.Signals) -> None:
    for pid in processes(path):
        try:
            if os.getpgid(pid) == pid:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except ProcessLookupError:
            continue
