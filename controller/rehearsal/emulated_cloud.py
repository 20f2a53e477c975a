"""The emulator of one rehearsal, and what the files on its pod show of the job."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.errors import PodctlError
from controller.providers.emulator.server import EmulatorProcess, running, start_process
from controller.providers.emulator.settings import KEY_FILE, EmulatorSettings
from remote import contract, outputs
from remote.contract import ContractError, Exit
from remote.log_steps import LogReader
from remote.pod import log_file

SETTINGS = EmulatorSettings(
    boot_seconds=0.3,
    runtime_seconds=0.1,
    stop_seconds=1.0,
    restart_seconds=0.2,
    balance_usd=10_000.0,
)
CHECKPOINT = "checkpoint[-_][0-9]*"  # as transformers and what builds on it name them
ATTEMPT = "podctl: attempt "  # a line of the supervisor's, before the job's own
REQUEST_SECONDS = 20.0
ORPHAN_SECONDS = 20.0  # for the cloud of a rehearsal that was killed to leave


@dataclass(frozen=True)
class Cloud:
    """One emulator in a process of its own."""

    process: EmulatorProcess

    @property
    def base_url(self) -> str:
        return self.process.base_url

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which podctl finds this emulator."""
        return {"PODCTL_EMULATOR_URL": self.base_url, "PODCTL_EMULATOR_KEY": self.process.api_key}

    def pods(self) -> list[dict[str, Any]]:
        """Every pod that is not terminated."""
        documents = self._request("GET", "/_emulator/state")["pods"]
        return [pod for pod in documents if pod["status"] != "TERMINATED"]

    def kill(self, pod: str) -> bool:
        """Kill the pod's host and keep its volume. False when the pod is terminated already."""
        if all(entry["id"] != pod or entry["status"] != "RUNNING" for entry in self.pods()):
            return False
        self._request("POST", f"/_emulator/pods/{pod}/kill")
        return True

    def _request(self, method: str, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.process.api_key}"}
        request = urllib.request.Request(self.base_url + path, headers=headers, method=method)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as reply:  # noqa: S310 - ours
                return json.loads(reply.read() or b"null")
        except (OSError, ValueError) as error:
            raise PodctlError("the emulator does not respond", cause=str(error)) from error

    def job(self, run: str) -> JobFiles | None:
        """The run's folder on whichever pod has it; None before it was started."""
        pods = self.process.state_dir / "pods"
        try:
            folders = [path.parent for path in pods.rglob(f"runs/{run}/spec.json")]
        except OSError:  # a pod that goes takes its folders along
            return None
        return JobFiles(max(folders, key=_age)) if folders else None


def _age(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


@contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Serve until the block is left; then no pod or process of it remains."""
    process = start_process(folder, settings=SETTINGS, detached=True)
    try:
        yield Cloud(process)
    finally:
        process.stop()


def end_orphan(folder: Path) -> None:
    """End the emulator that a killed rehearsal left in this folder."""
    if running(folder) is None:
        return
    pid = int(json.loads((folder / KEY_FILE).read_bytes())["pid"])
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + ORPHAN_SECONDS
    while running(folder) is not None and time.monotonic() < deadline:
        time.sleep(0.1)


@dataclass(frozen=True)
class JobFiles:
    """`runs/<run>` on the pod, read from outside."""

    folder: Path

    @property
    def phase(self) -> str:
        """preflight | environment | running | hashing; empty before the first heartbeat."""
        return str(self._record("heartbeat.json").get("phase", ""))

    @property
    def ended(self) -> Exit | None:
        try:
            return contract.load(Exit, (self.folder / "exit.json").read_bytes())
        except (OSError, ContractError):
            return None

    def saved(self, patterns: tuple[str, ...]) -> str | None:
        """A checkpoint: one that the job announced, else a file of `patterns`.

        Without any pattern a file of a checkpoint-N: it may be the first of many. With some, a
        checkpoint that is not whole yet is none.
        """
        announced = self._lines("announced")
        if announced:
            return announced[-1]
        return self.written(patterns or (f"**/{CHECKPOINT}/**", f"{CHECKPOINT}/**"))

    def written(self, patterns: tuple[str, ...]) -> str | None:
        """A file of `patterns` that is there and not empty."""
        try:
            outputs_found = outputs.find(self.folder / "work", patterns)
        except OSError:
            return None
        return next((path for path, file in outputs_found.items() if file.size), None)

    def steps(self) -> list[int]:
        """The steps that the job reported so far, in the order in which it did.

        In its metrics, or else in its log.
        """
        return self._metrics() or list(self._logged())

    def told_bytes(self) -> int:
        """Grows with what `steps` reads."""
        overrides = (log_file.size(self.folder / name) for name in ("metrics.jsonl", "job.log"))
        try:
            return sum(overrides)
        except OSError:
            return 0

    def _logged(self) -> Iterator[int]:
        """The steps of each attempt: it may have started from the beginning, or resumed."""
        reader = LogReader()
        for line in self._lines("job.log"):
            if line.startswith(ATTEMPT):
                reader = LogReader()
            elif (step := reader.feed(line, 0.0).step) is not None:
                yield step

    def _metrics(self) -> list[int]:
        lines = []
        for line in self._lines("metrics.jsonl"):
            try:
                step = json.loads(line).get("step")
            except (ValueError, AttributeError, RecursionError):
                continue
            if type(step) is int:
                lines.append(step)
        return lines

    def _lines(self, name: str) -> list[str]:
        try:
            return (self.folder / name).read_text(errors="replace").splitlines()
        except OSError:
            return []

    def _record(self, name: str) -> dict[str, Any]:
        try:
            document = json.loads((self.folder / name).read_bytes())
        except (OSError, ValueError):
            return {}
        return document if isinstance(document, dict) else {}
