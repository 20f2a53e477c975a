"""Records what a training is made of, and sets aside the files of another training.

A checkpoint does not say which data it was trained on. The document beside it does, and a training
resumes only from checkpoints with the same document.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from ..common import layout
from ..common.append_jsonl import write_atomically
from ..common.metrics import MetricsLog
from ..common.parameters import TrainingParameters
from .checkpoint import checkpoints

_LEFT = (layout.TRAINING_LOG, "adapter_*", layout.HYPERPARAMETERS, layout.DEVELOPMENT)

MadeOf = dict[str, Any]


def describe_training(parameters: TrainingParameters, **sha256: str) -> MadeOf:
    """All that decides what is learned: the parameters, and the sha256 of each input, by name."""
    named = dataclasses.asdict(parameters)
    del named["four_bit_copy"]  # the same weights, and documents of earlier versions lack it
    return {"schema": 1, "parameters": named, "sha256": sha256}


def claim_folder(out: Path, wanted: MadeOf, log: MetricsLog) -> None:
    """Moves files of a training other than `wanted` out of `out`, and writes its document there.

    A checkpoint without a document counts as another training's.
    """
    others = [checkpoint for checkpoint in checkpoints(out) if _of(checkpoint) != wanted]
    if _of(out) != wanted:
        others += [path for name in _LEFT for path in sorted(out.glob(name))]
    if others:
        aside = _free(out)
        log.message(
            f"{len(others)} files and checkpoints in {out} are of a training on other data, of "
            f"other parameters or from another adapter: they are now in {aside}, and nothing is "
            "gone on from"
        )
        aside.mkdir()
        for path in others:
            os.replace(path, aside / path.name)
    write_atomically(out / layout.PROVENANCE, json.dumps(wanted, indent=1) + "\n")


def mark_checkpoint(checkpoint: Path) -> None:
    """Copies the document of the training into a new checkpoint."""
    shutil.copyfile(checkpoint.parent / layout.PROVENANCE, checkpoint / layout.PROVENANCE)


def _of(folder: Path) -> Any:
    try:
        return json.loads((folder / layout.PROVENANCE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _free(out: Path) -> Path:
    """An unused folder beside `out`, which no declared output matches."""
    names = (out.with_name(f"{out.name}.earlier-{number}") for number in count(1))
    return next(folder for folder in names if not folder.exists())
