"""Reads the figures that the trainings logged, for the curves of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...usage import thinned
from ..common.failure import StageError
from ..common.jsonl import read_records
from ..common.layout import TRAINING_LOG

POINTS = 400  # of one curve
KEYS = (
    "loss",
    "eval_loss",
    "rewards/accuracies",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
)


def read_history(folders: Mapping[str, Path]) -> dict[str, Any]:
    """By system, each recorded quantity as [[step, value], …].

    Raises: StageError for a missing log, or an invalid line, with file and line.
    """
    return {name: _curves(folder / TRAINING_LOG, folder) for name, folder in folders.items()}


def _curves(path: Path, folder: Path) -> dict[str, list[list[float]]]:
    curves: dict[str, list[list[float]]] = {key: [] for key in KEYS}
    for where, record in read_records(path, f"run the stage that trains {folder}"):
        step = record.get("step")
        if type(step) is not int or step < 0:
            raise StageError(f"{where}: step is {step!r}", remedy="run the training again")
        for key, points in curves.items():
            if record.get(key) is not None:
                points.append([step, _number(record[key], key, where)])
    return {key: thinned(points, POINTS) for key, points in curves.items() if points}


def _number(value: Any, key: str, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value):
        raise StageError(
            f"{where}: {key} is {value!r}, no finite number",
            remedy="the training diverged: lower its learning rate and run it again",
        )
    return float(value)
