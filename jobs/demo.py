"""The demo's project: a podctl.toml for the embedded cloud with the small model, and its data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DATA = "data/stage1/sft_training_data.jsonl"
SECONDS = 120.0  # deadline of writing the data

CONFIG = """\
# The demo: the embedded cloud, and a model so small that a CPU trains it in under a minute.

[project]
name = "demo"
provider = "emulator"
model = "small"                 # comes with podctl: 525,696 parameters, knows a closed world

[budget]
project_usd = 20.0

[pod]
settle_seconds = 5              # the embedded cloud's listings do not lag for minutes

[stages.stage1c]
hours = 0.05                    # expected
max_hours = 0.25                # the job's budget: at this it is stopped

[stages.stage1c.hardware]
gpus = []                       # any type: the embedded cloud has no real GPU
min_gpu_memory_gb = 0
disk_gb = 10
volume_gb = 10

[stages.stage1c.parameters]
epochs = 3.0
batch = 4
accumulation = 2                # 8 pairs a step: about 340 steps
max_length = 256
log_steps = 5
"""


def write_project(folder: Path) -> tuple[Path, ...]:
    """Write podctl.toml where there is none, and the training data; the paths written.

    The data are made by the small world's own program, in a process of its own: stages and the
    rest of podctl share nothing but files. Raises: subprocess.SubprocessError, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [write_data(folder)]
    config = folder / "podctl.toml"
    if not config.exists():
        config.write_text(CONFIG, encoding="utf-8")
        written.insert(0, config)
    return tuple(written)


def write_data(folder: Path) -> Path:
    """Write the training data of stage1c below `folder`; the path written."""
    path = folder / DATA
    subprocess.run(
        [sys.executable, "-m", "remote.stages.small.dataset", "--out", str(path.absolute())],
        check=True,
        timeout=SECONDS,
    )
    return path
