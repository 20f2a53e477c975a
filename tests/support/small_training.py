"""Stages 1C and 1D in this process, on the small model."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remote.stages.instructions.small import dataset

SFT, DPO = Path("checkpoints/stage1_sft"), Path("checkpoints/stage1_dpo")
DATA = Path("data/stage1/sft_training_data.jsonl")
PAIRS = Path("artifacts/preference_pairs.jsonl")
COMPARISON = Path("artifacts/dpo_comparison.json")
_SMALL = {
    "model": "small",
    "instructions": "small",
    "accumulation": 1,
    "log_steps": 2,
    "max_new_tokens": 48,
    "ask_batch": 200,
}
SFT_PARAMETERS = _SMALL | {"max_steps": 100, "save_steps": 50, "learning_rate": 5e-4}
DPO_PARAMETERS = _SMALL | {
    "max_steps": 24,
    "save_steps": 12,
    "learning_rate": 5e-4,
    "pairs": 60,
    "least_pairs": 30,
    "rounds": 1,
    "compare_samples": 1,
}


def work_folder(folder: Path, text: str = "") -> Path:
    """A work folder with training data; `text` instead of the small world's own."""
    (folder / DATA).parent.mkdir(parents=True, exist_ok=True)
    (folder / DATA).write_text(text or dataset.text(400))
    return folder


def sft_here(folder: Path, **changes: Any) -> int:
    """Stage 1C in `folder`; its exit status."""
    from remote.stages import sft
    from remote.stages.common.parameters import SftParameters, parse

    raw = json.dumps(SFT_PARAMETERS | changes).encode()
    return _in(folder, lambda: sft.run(parse(SftParameters, raw)))


def dpo_here(folder: Path, **changes: Any) -> int:
    """Stage 1D in `folder`; its exit status."""
    from remote.stages import dpo
    from remote.stages.common.parameters import DpoParameters, parse

    raw = json.dumps(DPO_PARAMETERS | changes).encode()
    return _in(folder, lambda: dpo.run(parse(DpoParameters, raw)))


def _in(folder: Path, act: Callable[[], int]) -> int:
    before, handler = Path.cwd(), signal.getsignal(signal.SIGTERM)
    os.chdir(folder)
    try:
        return act()
    finally:
        os.chdir(before)
        signal.signal(signal.SIGTERM, handler)


def read(path: Path) -> Any:
    return json.loads(path.read_bytes())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
