"""One real `podctl run` in a fresh project on the far-away cloud, and what its journal says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from state.database import open_database
from state.journal import Journal
from state.journal_rows import Op
from tests.bench.remote_latency import Faraway

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 900.0

HEAD = """
[project]
name = "bench"
provider = "runpod"
"""
STAGE = """
[stages.{name}]
title = "{name}"
command = ["bash", "{name}.sh"]
inputs = ["{name}.sh"]
outputs = ["{name}/**"]
hours = 0.1
max_hours = 0.5
criteria = [{{ kind = "exists", path = "{name}/done" }}]
hardware = {{ cpu = "cpu5c", vcpu_count = 4, disk_gb = 20 }}
"""


@dataclass(frozen=True)
class Lease:
    """What was written down about the one lease of a project."""

    root: Path
    ops: tuple[Op, ...]

    def at(self, step: str, phase: str, run: str | None = None) -> float:
        """Unix seconds of the first such entry."""
        return next(
            op.at
            for op in self.ops
            if (op.step, op.phase) == (step, phase) and run in (None, op.run)
        )

    @property
    def pod(self) -> str:
        return next(
            str(op.data["pod"]) for op in self.ops if (op.step, op.phase) == ("create", "done")
        )

    def ended_at(self, run: str) -> float:
        """When the job's end was committed, by the pod's clock, which is ours here."""
        path = self.root / ".podctl" / "runs" / run / "exit.json"
        return float(json.loads(path.read_text())["ended_at"])

    def printed(self, run: str) -> list[float]:
        """The moments that the job printed; the agent's own lines are left out."""
        log = (self.root / ".podctl" / "runs" / run / "job.log").read_text()
        return [float(line) for line in log.splitlines() if line[:1].isdecimal()]


def run_lease(root: Path, cloud: Faraway, jobs: dict[str, str]) -> Lease:
    """Run `jobs`, stage name to bash script, in order on one pod; each must pass."""
    root.mkdir()
    text = HEAD + "".join(STAGE.format(name=name) for name in jobs)
    (root / "podctl.toml").write_text(text)
    for name, script in jobs.items():
        (root / f"{name}.sh").write_text(f"date +%s.%N\nset -e\nmkdir -p {name}\n{script}\n")
    podctl(root, cloud, "doctor", "--register")
    podctl(root, cloud, "run", *jobs, "-y", "--no-follow")
    return read_lease(root)


def read_lease(root: Path) -> Lease:
    """The one lease of the project in `root`."""
    connection = open_database(root / ".podctl" / "state.db", readonly=True)
    journal = Journal(connection)
    (lease,) = journal.leases()
    found = Lease(root, tuple(journal.ops(lease.id)))
    connection.close()
    return found


def compiled_environment(cloud: Faraway) -> dict[str, str]:
    """The environment of a command: an installed podctl is compiled, so this one becomes so too."""
    environ = os.environ | cloud.environment | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    return environ


def podctl(root: Path, cloud: Faraway, *words: str, codes: Sequence[int] = (0,)) -> None:
    """Run one command, which ends with one of `codes`; what it said is shown when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "controller", *words],
        cwd=root,
        env=compiled_environment(cloud),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    if done.returncode not in codes:
        raise SystemExit(f"podctl {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
