"""Which process is which on the host, over restarts and reused numbers."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import psutil

_SWEEP_SECONDS = 10.0


def identity(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None once it is dead."""
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else f"{_boot_id()}/{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except (OSError, psutil.Error):
        return None


def same_boot(known: str) -> bool:
    """Whether an identity is of this boot of the machine; process numbers mean nothing else."""
    return sys.platform != "linux" or known.startswith(f"{_boot_id()}/")


def sweep(variable: str, value: str, session: int | None) -> None:
    """Kill every process with `variable=value` in its environment or in `session`, and below."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (left := _marked(variable, value, session)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1.0)


def _marked(variable: str, value: str, session: int | None) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            # Some programs (sshd) write over their environment: the session tells, too.
            if os.getsid(process.pid) == session or process.environ().get(variable) == value:
                found[process.pid] = process
                found |= {below.pid: below for below in process.children(recursive=True)}
    return list(found.values())


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
