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
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else str(process.create_time())
    except (OSError, psutil.Error):
        return None


def sweep(variable: str, value: str) -> None:
    """Kill every process with `variable=value` in its environment, and what is below it."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while (left := _marked(variable, value)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=1.0)


def _marked(variable: str, value: str) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(variable) == value:
                found[process.pid] = process
                found |= {below.pid: below for below in process.children(recursive=True)}
    return [process for process in found.values() if process.status() != psutil.STATUS_ZOMBIE]
