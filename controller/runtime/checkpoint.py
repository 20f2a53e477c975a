"""Checkpoints as trainers write them: which step the newest one in a folder has come to."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

NAME = re.compile(r"checkpoint[-_](\d{1,15})")  # of transformers, TRL, Axolotl, LLaMA-Factory
STATE = "trainer_state.json"
MAX_STATE = 16 * 1024 * 1024  # bytes; one entry a logged step


def newest_step(folder: Path) -> int | None:
    """The highest step that a checkpoint below `folder` has come to; None without any."""
    return max(saved_steps(folder), default=None)


def saved_steps(folder: Path) -> list[int]:
    """The step of every checkpoint below `folder`.

    A checkpoint is a folder `checkpoint-N` that is not empty, or one with a trainer_state.json.
    """
    steps: list[int] = []
    for place, _, files in os.walk(folder):
        named = NAME.fullmatch(os.path.basename(place))
        if named and files:
            steps.append(int(named[1]))
        elif STATE in files and (step := _global_step(Path(place, STATE))) is not None:
            steps.append(step)
    return steps


def _global_step(path: Path) -> int | None:
    """Of transformers' state of a training; nothing that a pod wrote is trusted to be one."""
    try:
        if path.stat().st_size > MAX_STATE:
            return None
        state = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    step = state.get("global_step") if isinstance(state, dict) else None
    return step if type(step) is int and 0 <= step < 10**15 else None
