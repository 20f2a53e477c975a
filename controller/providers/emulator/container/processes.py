"""Identifies processes of the host across restarts and reused pids."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import psutil

_SWEEP_SECONDS = 10.0


def identity(pid: int) -> str | None:
    """An identity that differs for a later process with the same pid; None if it has ended."""
    try:
        if sys.platform == "linux":
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return None if fields[0] in "ZX" else f"{_boot_id()}/{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except (OSError, psutil.Error):
        return None


def same_boot(identity_text: str) -> bool:
    """Whether an identity belongs to the current boot of the machine."""
    return sys.platform != "linux" or identity_text.startswith(f"{_boot_id()}/")


def sweep(variable: str, value: str, session: int | None) -> None:
    """Kill every process with `variable=value` in its environment or in `session`, and its
    children."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (processes := _marked(variable, value, session)) and time.monotonic() < deadline:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, timeout=1.0)


def _marked(variable: str, value: str, session: int | None) -> list[psutil.Process]:
    processes: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            # Some programs (sshd) overwrite their environment, so the session is checked too.
            if os.getsid(process.pid) == session or process.environ().get(variable) == value:
                processes[process.pid] = process
                processes |= {child.pid: child for child in process.children(recursive=True)}
    return list(processes.values())


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
