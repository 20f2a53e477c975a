"""A pod's side of the contract on this machine: real agents, supervisors and jobs, no cloud."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from remote import contract
from remote.contract import JobSpec, Manifest, Status

CODE = "c" * 64
MOUNT = "/workspace"
QUICK = {
    "PODCTL_PACE_TICK": "0.02",
    "PODCTL_PACE_HEARTBEAT": "0.1",
    "PODCTL_PACE_SAMPLE": "0.5",
    "PODCTL_PACE_SETTLE": "0.4",
    "PODCTL_PACE_SCAN": "0.1",
}
PATIENCE = 30.0  # seconds; this machine may be busy

T = TypeVar("T")


def until(poll: Callable[[], T | None], subject: str, seconds: float = PATIENCE) -> T:
    """Call `poll` until its result is neither None nor False; returns it."""
    deadline = time.monotonic() + seconds
    while True:
        result = poll()
        if result is not None and result is not False:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {subject}"
        time.sleep(0.02)


@dataclass
class PodSide:
    """One pod: a folder that stands for its file system, and the processes in it."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)  # words before each of the agent's commands

    def __post_init__(self) -> None:
        code = self.root / "code" / CODE
        code.mkdir(parents=True, exist_ok=True)  # another pod's, where two share a volume
        package = Path(contract.__file__).parents[1]
        skip = shutil.ignore_patterns("stages", "*.lock")
        shutil.copytree(package, code / "remote", ignore=skip, dirs_exist_ok=True)
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        home = {"PATH": path, "HOME": str(self.folder), "PODCTL_EMULATED_ROOT": str(self.folder)}
        self.env = home | QUICK | {"RUNPOD_POD_ID": "pod1"} | self.env

    @property
    def root(self) -> Path:
        return self.folder / MOUNT.strip("/") / "podctl"

    @property
    def local(self) -> Path:
        return self.folder / "run" / "podctl"

    def run(self, run: str = "r1") -> Path:
        return self.root / "runs" / run

    def work(self, run: str = "r1") -> Path:
        return self.run(run) / "work"

    def spec(self, script: str, run: str = "r1", **fields: Any) -> JobSpec:
        """A job that is a Python script; it may use `os, signal, sys, time, pathlib`."""
        head = "import os, pathlib, signal, sys, time\n"
        values: dict[str, Any] = {"outputs": ("out/**",), "term_grace_seconds": 10.0} | fields
        argv = ("python", "-S", "-c", head + script)
        return JobSpec(run=run, stage="stage", argv=argv, code=CODE, **values)

    def popen(self, verb: str, *words: str) -> subprocess.Popen[bytes]:
        """One verb of the agent, as the controller calls it."""
        agent = ["python3", "-S", "-m", "remote.agent", verb, "--root", f"{MOUNT}/podctl"]
        return subprocess.Popen(
            [*self.before, *agent, *words],
            cwd=self.root / "code" / CODE,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def call(self, verb: str, *words: str, stdin: bytes = b"", rc: int = 0) -> bytes:
        process = self.popen(verb, *words)
        out, err = process.communicate(stdin, timeout=60)
        assert process.returncode == rc, (process.returncode, err.decode(), out[:2000])
        return out

    def start(self, spec: JobSpec, *words: str, rc: int = 0) -> Status:
        return contract.load(Status, self.call("start", *words, stdin=contract.dump(spec), rc=rc))

    def status(self, run: str = "r1") -> Status:
        return contract.load(Status, self.call("status", "--run", run))

    def stop(self, *words: str, run: str = "r1") -> Status:
        return contract.load(Status, self.call("stop", "--run", run, *words))

    def log(self, offset: int, limit: int, run: str = "r1") -> tuple[dict[str, int], bytes]:
        raw = self.call("log", "--run", run, "--offset", str(offset), "--limit", str(limit))
        head, _, body = raw.partition(b"\n")
        return json.loads(head), body

    def ended(self, run: str = "r1", attempt: int | None = None) -> contract.Exit:
        """Wait for the commit record, of one attempt or any."""

        def look() -> contract.Exit | None:
            data = self.read(run, "exit.json")
            exit_document = contract.load(contract.Exit, data) if data else None
            return (
                exit_document
                if exit_document and attempt in (None, exit_document.attempt)
                else None
            )

        return until(look, f"exit.json of {run}; log: {self.text(run)}")

    def state(self, state: str, run: str = "r1") -> Status:
        """Wait for a state."""
        last: list[Status] = []

        def look() -> Status | None:
            last[:] = [self.status(run)]
            return last[0] if last[0].state == state else None

        return until(look, f"{run} to be {state}")

    def read(self, run: str, name: str) -> bytes | None:
        path = self.run(run) / name
        return path.read_bytes() if path.exists() else None

    def text(self, run: str = "r1") -> str:
        return "\n".join(
            (self.read(run, name) or b"")[-3000:].decode(errors="replace")
            for name in ("job.log", "shim.log")
        )

    def manifest(self, run: str = "r1", name: str = "manifest.json") -> dict[str, str]:
        """Path to sha256."""
        data = self.read(run, name)
        return {e.path: e.sha256 for e in contract.load(Manifest, data).files} if data else {}

    def file(self, name: str, run: str = "r1") -> str:
        """Wait for a non-empty file in the work folder; its text."""
        path = self.work(run) / name
        return until(
            lambda: path.read_text() if path.exists() and path.stat().st_size else None,
            f"{name}; log: {self.text(run)}",
        )

    def processes(self) -> dict[int, str]:
        """Pid to command line of whatever runs in this pod."""
        mark = f"PODCTL_EMULATED_ROOT={self.folder}".encode()
        return {pid: command for pid, env, command in _every() if mark in env.split(b"\0")}

    def shim(self) -> int:
        pids = [p for p, c in self.processes().items() if "remote.supervisor" in c]
        assert len(pids) == 1, pids
        return pids[0]

    def kill_all(self) -> None:
        """Kill every process at once, as a host failure does."""

        def none_left() -> bool:
            for pid in (left := self.processes()):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return not left

        until(none_left, "processes to die")

    def reboot(self) -> None:
        """The container again: its own disk wiped, the volume kept, a new boot."""
        self.kill_all()
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        self.env["PODCTL_BOOT"] = uuid.uuid4().hex


def second_pod(pod: PodSide) -> PodSide:
    """Another pod on the same volume, with a patience that is longer than this machine's pauses."""
    folder = pod.folder.with_name("pod2")
    folder.mkdir()
    (folder / MOUNT.strip("/")).symlink_to(pod.root.parent)
    patient = {"RUNPOD_POD_ID": "pod2", "PODCTL_BOOT": "boot2", "PODCTL_PACE_HEARTBEAT": "0.3"}
    return PodSide(folder, patient)


def _every() -> Iterator[tuple[int, bytes, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError, UnicodeDecodeError):
            continue
        if state not in "ZX":
            yield int(entry.name), environment, command
