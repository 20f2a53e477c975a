"""The small project of `podctl init --demo`: a model and data with which everything is real."""

from __future__ import annotations

from pathlib import Path

from controller.config import example
from remote.stages.small import dataset

DATA = "data/stage1/sft_training_data.jsonl"
PAIRS = 960
_CHANGES = {
    '# model = "Qwen/Qwen2.5-32B"    # a hub id, or a folder of this project': 'model = "small"'
    "                 # half a million weights, part of podctl",
    "# boot_minutes = 20 ": "boot_minutes = 3    ",
    "# settle_seconds = 300 ": "settle_seconds = 5    ",
    "# project_usd = 100.0  ": "project_usd = 20.0     ",
}
_STAGE = """\

# The small model trains in a minute on a CPU.
[stages.stage1c]
hours = 0.1
max_hours = 1.0

[stages.stage1c.parameters]
instructions = "small"
batch = 4
accumulation = 4

[stages.stage1c.hardware]
volume_gb = 10
disk_gb = 10
"""


def config(name: str, provider: str = "emulator") -> str:
    """podctl.toml of the small project."""
    text = example(name, provider)
    for before, after in _CHANGES.items():
        if before not in text:
            raise ValueError(f"the example has no {before!r}")
        text = text.replace(before, after)
    return text + _STAGE


def write_inputs(root: Path) -> tuple[Path, ...]:
    """The small world's instruction data, as stage1b would leave it; kept where it is there."""
    path = root / DATA
    if path.exists():
        return ()
    from state.durable import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, dataset.text(PAIRS, 0).encode(), 0o644)
    return (path,)
