"""The project of a scenario: one tiny stage whose output follows from a seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

STAGE = "hello"
SETTLE = 3.0  # seconds; the lags of the modes are well below it
LINES = 3000

_CONFIG = f"""
[project]
name = "crash"
provider = "emulator"

[budget]
project_usd = 50.0

[pod]
settle_seconds = {SETTLE}
boot_minutes = 2

[stages.{STAGE}]
title = "Say hello"
command = ["bash", "job.sh"]
inputs = ["job.sh", "seed.txt"]
outputs = ["out/**"]
hours = 0.01
max_hours = 0.1
criteria = [{{ kind = "value", path = "out/result.json", key = "ok", equals = true }}]

[stages.{STAGE}.hardware]
gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]
disk_gb = 10
volume_gb = 20
"""

# Descriptor 9 connects to the job monitor while any process of the job lives.
_JOB = """
set -e
exec 9<>/dev/tcp/127.0.0.1/{port}
echo {project} >&9
seed=$(cat seed.txt)
mkdir -p out/deep
seq -f "$seed %.0f" {lines} > out/lines.txt
sleep {seconds}
printf %s "$seed" > out/deep/seed.txt
echo '{{"ok": true}}' > out/result.json
"""


@dataclass(frozen=True)
class Workload:
    """One project folder."""

    folder: Path
    name: str

    def write(self, port: int, seconds: float) -> None:
        """Create the project; `port` is that of the job monitor."""
        self.folder.mkdir(parents=True)
        (self.folder / "podctl.toml").write_text(_CONFIG)
        (self.folder / "seed.txt").write_text(self.seed)
        job = _JOB.format(port=port, project=self.name, lines=LINES, seconds=seconds)
        (self.folder / "job.sh").write_text(job)

    @property
    def seed(self) -> str:
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]

    @property
    def expected(self) -> dict[str, bytes]:
        """The files that the job must write."""
        lines = "".join(f"{self.seed} {number}\n" for number in range(1, LINES + 1))
        return {
            "out/lines.txt": lines.encode(),
            "out/deep/seed.txt": self.seed.encode(),
            "out/result.json": b'{"ok": true}\n',
        }

    @property
    def state(self) -> Path:
        return self.folder / ".podctl" / "state.db"

    @property
    def lock(self) -> Path:
        return self.folder / "locks" / f"{STAGE}.json"
