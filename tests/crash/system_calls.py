"""How often podctl makes each system call in a run without faults; a sweep injects faults there."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.case import Fault
from tests.crash.fork_server import Podctl

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
    # Within: like the one before it and the one after it, to the same file, as SQLite writes the
    # pages of one transaction. A fault at such a write has
    # the same effect as at the first or last of them.
    within: dict[str, list[int]] = field(default_factory=dict)

    def points(self, call: str) -> list[int]:
        """The numbers of the thread with most calls, except those within."""
        return self._not_within(call, range(1, self.most.get(call, 0) + 1))

    def struck(self, call: str) -> list[int]:
        """The numbers that hit a file of the project, except those within."""
        return self._not_within(call, self.files.get(call, ()))

    def _not_within(self, call: str, numbers: Iterable[int]) -> list[int]:
        inner = set(self.within.get(call, ()))
        return [number for number in numbers if number not in inner]

    def every(self) -> Calls:
        """The same with nothing left out."""
        return dataclasses.replace(self, within={})


def trace(pid: int, log: Path) -> subprocess.Popen[bytes]:
    """Attach strace, which only logs."""
    return subprocess.Popen(
        [*STRACE, "-o", str(log), "-e", f"trace={','.join(KILLED_AT)}", "-p", str(pid)],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def counted(log: Path, project: Path) -> Calls:
    """Read what `trace` wrote."""
    count: Counter[tuple[str, str]] = Counter()
    files: dict[str, set[int]] = defaultdict(set)
    alike: dict[str, list[tuple[str, str]]] = defaultdict(list)  # thread -> (call, path) in order
    for line in log.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None or "resumed>" in line:
            continue
        call, path = match["call"], match["path"] or ""
        count[match["thread"], call] += 1
        alike[match["thread"]].append((call, path))
        if path.startswith(str(project)):
            files[call].add(count[match["thread"], call])
    most: dict[str, int] = {}
    for (_, call), number in count.items():
        most[call] = max(number, most.get(call, 0))
    within = _within(max(alike.values(), key=len, default=[]), str(project))
    return Calls(most, {call: sorted(numbers) for call, numbers in files.items()}, within)


def _within(calls: list[tuple[str, str]], project: str) -> dict[str, list[int]]:
    """The numbers of `pwrite64` whose neighbours on both sides are the same call on that file."""
    numbers: dict[str, list[int]] = defaultdict(list)
    count: Counter[str] = Counter()
    for at, (call, path) in enumerate(calls):
        count[call] += 1
        near = calls[max(0, at - 1) : at + 2]
        if call == "pwrite64" and path.startswith(project) and near == [(call, path)] * 3:
            numbers[call].append(count[call])
    return dict(numbers)


def inject(podctl: Podctl, fault: Fault) -> subprocess.Popen[bytes]:
    """Attach strace, which carries out `fault`, to the process, which waits for it."""
    effect = {"kill": "signal=KILL", "stop": "signal=STOP"}.get(
        fault.effect, f"error={fault.effect}"
    )
    when = f"{fault.number}{'+' if fault.on == '-' else ''}"
    return subprocess.Popen(
        [*STRACE, "-o", str(podctl.folder / "strace"),
         "-e", f"trace={fault.place}", "-e", f"inject={fault.place}:{effect}:when={when}",
         "-p", str(podctl.pid)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
