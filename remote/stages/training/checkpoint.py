"""Finds the checkpoint to resume from: the newest complete one."""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..common.layout import ADAPTER_WEIGHTS

_NAME = re.compile(r"checkpoint-(\d+)")
_PICKLES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")  # zip archives, never opened here


def step_of(checkpoint: Path) -> int:
    """The step at which `checkpoint-<step>` was saved."""
    match = _NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else -1


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, oldest first."""
    by_name = [path for path in folder.glob("checkpoint-*") if step_of(path) >= 0 and path.is_dir()]
    return sorted(by_name, key=step_of)


def newest_complete(folder: Path) -> Path | None:
    """The newest checkpoint that opens; newer, damaged ones are removed with a message."""
    for checkpoint in reversed(checkpoints(folder)):
        reason = broken(checkpoint)
        if reason is None:
            return checkpoint
        print(f"{checkpoint} is skipped and removed: {reason}", flush=True)
        shutil.rmtree(checkpoint)
    return None


def broken(checkpoint: Path) -> str | None:
    """Why `checkpoint` cannot be resumed from, or None; nothing is unpickled."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_bytes())
        if state.get("global_step") != step_of(checkpoint):
            return "trainer_state.json is of another step"
        with safe_open(checkpoint / ADAPTER_WEIGHTS, framework="np") as tensors:
            if not list(tensors.keys()):
                return f"no tensor in {ADAPTER_WEIGHTS}"
    except (OSError, ValueError, AttributeError, SafetensorError) as error:
        return str(error)[:200]
    for name in _PICKLES:
        if not zipfile.is_zipfile(checkpoint / name):
            return f"{name} is missing or cut off"
    return None


def is_finished(checkpoint: Path) -> bool:
    """Whether the training of `checkpoint` had no step left."""
    state = json.loads((checkpoint / "trainer_state.json").read_bytes())
    return bool(state["global_step"] >= state["max_steps"])


def sync_to_disk(checkpoint: Path) -> None:
    """Syncs every file of `checkpoint` to disk."""
    for path in (*checkpoint.rglob("*"), checkpoint):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
