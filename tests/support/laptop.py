"""A researcher's laptop: a project folder, and podctl's own commands in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from state.database import open_database
from state.journal import Journal
from tests.support.emulated_cloud import EmulatedCloud, until

COMMAND_SECONDS = 90.0

CONFIG = """
[project]
name = "try"
provider = "emulator"

[budget]
project_usd = 50.0

[pod]
settle_seconds = {settle}
boot_minutes = {boot_minutes}

[stages.hello]
title = "Say hello"
command = ["bash", "job.sh"]
inputs = ["job.sh", "in.txt"]
outputs = ["out/**"]
hours = 0.01
max_hours = 0.1
criteria = [{{ kind = "value", path = "out/result.json", key = "ok", equals = true }}]

[stages.hello.hardware]
gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]
disk_gb = 10
volume_gb = 20

{more}
"""

JOB = """
set -e
echo begin
mkdir -p out
sleep {seconds}
cp in.txt out/copy.txt
echo '{{"ok": {ok}}}' > out/result.json
echo end
exit {rc}
"""

# Before a job's own lines: it works on until it is let go, however slow this machine is.
HELD = "until [ -e go ]; do sleep 0.05; done\n"


@dataclass
class Laptop:
    """One project of one person, with the emulator as its provider."""

    folder: Path
    cloud: EmulatedCloud
    environment: dict[str, str] = field(default_factory=dict)
    since: float = field(default_factory=time.time)

    def write(self, *, seconds: float = 0.2, ok: str = "true", rc: int = 0, **config: Any) -> None:
        """A project with the one stage `hello`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        chosen = {"boot_minutes": 1, "settle": 2, "more": ""} | config
        (self.folder / "podctl.toml").write_text(CONFIG.format(**chosen))
        self.job(seconds=seconds, ok=ok, rc=rc)
        (self.folder / "in.txt").write_text("hi\n")

    def job(self, *, seconds: float = 0.2, ok: str = "true", rc: int = 0) -> None:
        (self.folder / "job.sh").write_text(JOB.format(seconds=seconds, ok=ok, rc=rc))

    @contextmanager
    def held(self) -> Iterator[None]:
        """A job that begins in this block is at work until the block is left."""
        job = self.folder / "job.sh"
        job.write_text(HELD + job.read_text())
        yield
        for work in self.cloud.state_dir.rglob("runs/*/work"):
            (work / "go").touch()

    def detach(self) -> None:
        """Begin the job, see it at work, and leave it to itself."""
        with self.held():
            self.podctl("run", "hello", "-y", "--detach")

    def ended(self) -> Path:
        """The exit record that the first run's job leaves on its pod, as soon as it is there."""
        return until(
            lambda: next(self.cloud.state_dir.rglob("runs/hello-0001/exit.json"), None), 90
        )

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start podctl in a process group of its own, as a shell does, and return."""
        return subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=self.folder,
            env=os.environ
            | {"PODCTL_EMULATOR_URL": self.cloud.base_url, "NO_COLOR": "1"}
            | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **more,
        )

    def podctl(self, *words: str, expect: int = 0, **more: Any) -> Done:
        """Run one command to its end; its exit code must be `expect`."""
        process = self.start(*words, **more)
        try:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"podctl {words} hangs:\n{out}\n{err}") from None
        assert process.returncode == expect, f"{process.returncode}\n{out}\n{err}"
        return Done(process.returncode, out, err)

    def shell(self, line: str) -> None:
        """A line that podctl printed, as a user types it."""
        program = f'podctl() {{ {sys.executable} -m controller "$@"; }}\n'
        address = {"PODCTL_EMULATOR_URL": self.cloud.base_url}
        subprocess.run(
            ["bash", "-ec", program + line],
            cwd=self.folder, env=os.environ | address | self.environment, check=True, timeout=60,
        )  # fmt: skip

    def json(self, *words: str, expect: int = 0) -> Any:
        return json.loads(self.podctl(*words, "--json", expect=expect).out)

    def journal(self) -> Journal:
        return Journal(open_database(self.folder / ".podctl" / "state.db", readonly=True))

    def living_pods(self) -> list[dict[str, Any]]:
        """The account's pods that are not terminated."""
        return list(self.cloud.api("GET", "/v2/pods").body["pods"])

    def asked(self, method: str, path: str = "") -> list[float]:
        """When the cloud got requests of `method` whose path ends so, oldest first."""
        requests = self.cloud.state()["requests"]
        recent = (request for request in requests if request["at"] >= self.since)
        return [
            request["at"]
            for request in recent
            if request["method"] == method and request["path"].endswith(path)
        ]

    def creates(self) -> list[float]:
        return self.asked("POST", "/v2/pods")

    def works(self) -> bool:
        """Whether the journal says that a job was started."""
        if not (self.folder / ".podctl" / "state.db").exists():
            return False
        journal = self.journal()
        return any(
            op.step == "start-job" and op.phase == "done"
            for lease in journal.leases()
            for op in journal.ops(lease.id)
        )

    def assert_done(self, pods: int = 1) -> None:
        """The stage is locked, so many pods were ever made, none is left, and the bill agrees."""
        assert (self.folder / "locks" / "hello.json").exists()
        assert len(self.cloud.state()["pods"]) == pods
        assert self.living_pods() == []
        self.assert_books_agree()

    def assert_books_agree(self) -> None:
        """Ledger and bill agree for each pod to the cent."""
        report = self.json("cost", "--reconcile")
        assert report["pods"]
        for row in report["pods"]:
            assert abs(row["ledger_usd"] - row["billed_usd"]) < 0.01, row


def with_volume(laptop: Laptop, volume: str) -> None:
    """Let the project's pods mount the account's network volume `volume`."""
    path = laptop.folder / "podctl.toml"
    path.write_text(path.read_text().replace("[pod]", f'[pod]\nnetwork_volume_id = "{volume}"'))


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
