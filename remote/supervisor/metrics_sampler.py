"""Samples the pod's use of GPU, CPU, memory and disk: one JSON object a line.

A sampler thread takes them; a hanging `nvidia-smi` costs that thread its time and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from ..contract import Json
from ..light_dataclasses import dataclass

SMI_SECONDS = 10.0
BUSY_PERCENT = 5.0  # below this a GPU counts as idle
GPU_FIELDS = "index,utilization.gpu,memory.used,memory.total,temperature.gpu,power.draw"
CGROUP = Path("/sys/fs/cgroup")
GB = 1e9


@dataclass
class MetricsSampler:
    """Remembers the last reading, since CPU use is a difference."""

    root: Path  # on the volume
    path: str  # where nvidia-smi is looked for
    _last: tuple[float, float] | None = None  # monotonic, CPU seconds used
    _smi: subprocess.Popen[bytes] | None = None  # while nvidia-smi runs

    def sample(self) -> dict[str, Json]:
        """One line of samples.jsonl; what cannot be read is null."""
        used, limit = memory()
        disk = os.statvfs(self.root)
        return {
            "time": round(time.time(), 1),
            "monotonic": round(time.monotonic(), 1),
            "cpu_percent": self._cpu(),
            "memory_gb": None if used is None else round(used / GB, 3),
            "memory_limit_gb": None if limit is None else round(limit / GB, 3),
            "disk_free_gb": round(disk.f_bavail * disk.f_frsize / GB, 3),
            "gpus": self._gpus(),
        }

    def _gpus(self) -> list[dict[str, Json]]:
        """Each GPU's use; empty where there is none or the driver does not answer."""
        program = shutil.which("nvidia-smi", path=self.path)
        if program is None:
            return []
        argv = [program, f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits"]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        ) as self._smi:
            try:
                output, _ = self._smi.communicate(timeout=SMI_SECONDS)
            except subprocess.TimeoutExpired:
                self.close()
                return []
        return [_gpu(line) for line in output.decode(errors="replace").splitlines() if line.strip()]

    def close(self) -> None:
        """End a running nvidia-smi and its children."""
        if self._smi is not None and self._smi.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._smi.pid, signal.SIGKILL)

    def _cpu(self) -> float | None:
        """Percent of all processors this container may use, since the last call."""
        used, now = cpu_seconds(), time.monotonic()
        if used is None:
            return None
        last, self._last = self._last, (now, used)
        if last is None or now <= last[0]:
            return None
        share = (used - last[1]) / (now - last[0]) / processors()
        return round(max(0.0, min(100.0, 100 * share)), 1)


def _gpu(line: str) -> dict[str, Json]:
    index, busy, used, total, celsius, watts = ([_number(v) for v in line.split(",")] + [None] * 6)[
        :6
    ]
    mib = 1024 * 1024 / GB
    return {
        "index": index,
        "percent": busy,
        "memory_gb": None if used is None else round(used * mib, 3),
        "memory_total_gb": None if total is None else round(total * mib, 3),
        "celsius": celsius,
        "watts": watts,
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]"
        return None


def busy(sample: dict[str, Json]) -> bool:
    """Whether any GPU of a sample works."""
    return any((gpu["percent"] or 0) >= BUSY_PERCENT for gpu in sample["gpus"])


def cpu_seconds() -> float | None:
    """Processor time used so far: by this control group, else by the machine."""
    usage = _pairs(CGROUP / "cpu.stat").get("usage_usec")
    if usage is not None:
        return usage / 1e6
    nanoseconds = _integer(CGROUP / "cpuacct/cpuacct.usage")
    if nanoseconds is not None:
        return nanoseconds / 1e9
    ticks = [float(t) for t in _text(Path("/proc/stat")).split("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK") if ticks else None


def processors() -> float:
    """How many this container may use."""
    allowed = float(len(os.sched_getaffinity(0)))
    quota, _, period = _text(CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        return max(0.01, min(allowed, int(quota) / int(period)))
    old, every = (
        _integer(CGROUP / "cpu/cpu.cfs_quota_us"),
        _integer(CGROUP / "cpu/cpu.cfs_period_us"),
    )
    return max(0.01, min(allowed, old / every)) if old and every and old > 0 else allowed


def memory() -> tuple[int | None, int | None]:
    """(used, limit) in bytes: the control group's, else the machine's."""
    info = {
        name: int(rest.split()[0]) * 1024
        for name, _, rest in (
            line.partition(":") for line in _text(Path("/proc/meminfo")).splitlines()
        )
        if rest.split()
    }
    total = info.get("MemTotal")
    for used, limit in (
        ("memory.current", "memory.max"),
        ("memory/memory.usage_in_bytes", "memory/memory.limit_in_bytes"),
    ):
        now = _integer(CGROUP / used)
        if now is not None:
            cap = _integer(CGROUP / limit)
            return now, min(c for c in (cap, total) if c) if cap or total else None
    available = info.get("MemAvailable")
    return (total - available if total and available else None), total


def oom_kills() -> int | None:
    """How often the kernel killed something of this control group for want of memory."""
    kills = _pairs(CGROUP / "memory.events").get("oom_kill")
    if kills is None:
        kills = _pairs(CGROUP / "memory/memory.oom_control").get("oom_kill")
    return None if kills is None else int(kills)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def _integer(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _pairs(path: Path) -> dict[str, float]:
    rows = (line.split() for line in _text(path).splitlines())
    return {row[0]: float(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
