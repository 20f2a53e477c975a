"""The small project of `podctl init --demo`: a model and a world in which everything is real."""

from __future__ import annotations

from pathlib import Path

from controller.project.config import example
from remote.stages.common.layout import TRAINING_DATA
from remote.stages.instructions.small import dataset

PAIRS = 960
_CHANGES = {
    '# model = "Qwen/Qwen2.5-32B"    # a hub id, or a folder of this project': 'model = "small"'
    "                 # half a million weights, part of podctl",
    "# boot_minutes = 20 ": "boot_minutes = 3    ",
    "# settle_seconds = 300 ": "settle_seconds = 5    ",
    "# project_usd = 100.0  ": "project_usd = 20.0     ",
}
_HEAD = """
# The whole plan with the small model and its own small world: minutes on a CPU. Every stage accepts
# the same hardware, so that they share one pod.
"""
_STAGE = """
[stages.{name}]
hours = 0.05
max_hours = 0.5
hardware = {{ gpus = ["NVIDIA GeForce RTX 4090", "NVIDIA L40S"], disk_gb = 10, volume_gb = 10 }}

[stages.{name}.parameters]
instructions = "small"
seed = 0
{parameters}
"""
_TRAINING = """\
batch = 8
accumulation = 1
max_length = 256
epochs = 2
save_steps = 100
max_new_tokens = 48
ask_batch = 200
"""
_PARAMETERS = {
    "stage1a": "max_new_tokens = 48\nbatch = 50",
    "stage1b": "max_new_tokens = 48\nbatch = 100",
    "stage1c": f"{_TRAINING}learning_rate = 3e-4",
    "stage1d": f"{_TRAINING}learning_rate = 5e-4\npairs = 600",
    "stage1e": "batch = 100",
}


def config(name: str, provider: str = "emulator") -> str:
    """podctl.toml of the small project."""
    text = example(name, provider, "stage1")
    for before, after in _CHANGES.items():
        if before not in text:
            raise ValueError(f"the example has no {before!r}")
        text = text.replace(before, after)
    stages = (
        _STAGE.format(name=stage, parameters=parameters)
        for stage, parameters in _PARAMETERS.items()
    )
    return text + _HEAD + "".join(stages)


def write_inputs(root: Path) -> tuple[Path, ...]:
    """The small world's instruction data, as stage1b would leave it; kept where it is there."""
    path = root / TRAINING_DATA
    if path.exists():
        return ()
    from state.atomic_files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, dataset.text(PAIRS, 0).encode(), 0o644)
    return (path,)
