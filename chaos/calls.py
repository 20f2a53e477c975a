"""How often podctl makes each system call in a clean run: the points at which a sweep strikes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

KILLED_AT = (
    "write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "mkdir", "ftruncate",
    "connect", "sendto", "sendmsg",
)  # fmt: skip
STRACE = (shutil.which("strace") or "strace", "-f", "-qq", "-y")  # threads too, paths of files
WRITES = ("write", "pwrite64")
SYNCS = ("fsync", "fdatasync")
_LINE = re.compile(r"(?P<thread>\d+)\s+(?P<call>\w+)\((?:\d+<(?P<path>/[^>]*)>)?")


@dataclass(frozen=True)
class Calls:
    """Per call the numbers that strace counts by: each thread's calls are numbered from 1."""

    most: dict[str, int]  # call -> its number in the thread that made most of them
    files: dict[str, list[int]]  # call -> the numbers that hit a file of the project

    def points(self, call: str) -> range:
        return range(1, self.most.get(call, 0) + 1)


def trace(pid: int, log: Path) -> subprocess.Popen[bytes]:
    """strace that only watches."""
    return subprocess.Popen(
        [*STRACE, "-o", str(log), "-e", f"trace={','.join(KILLED_AT)}", "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def counted(log: Path, project: Path) -> Calls:
    """Read what `trace` wrote."""
    count: Counter[tuple[str, str]] = Counter()
    files: dict[str, set[int]] = defaultdict(set)
    for line in log.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None or "resumed>" in line:
            continue
        call = found["call"]
        count[found["thread"], call] += 1
        if (found["path"] or "").startswith(str(project)):
            files[call].add(count[found["thread"], call])
    most: dict[str, int] = {}
    for (_, call), number in count.items():
        most[call] = max(number, most.get(call, 0))
    return Calls(most, {call: sorted(numbers) for call, numbers in files.items()})
