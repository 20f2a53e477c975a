"""What a training is made of; what another training left in its folder is set aside.

A checkpoint does not say which data it has seen. The document beside it does, and one goes on only
from what has the same: so an adapter was trained, from its first step, on what its record names.
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
    """All that decides what is learned: the parameters, and the `sha256` of what is read."""
    return {"schema": 1, "parameters": dataclasses.asdict(parameters), "sha256": sha256}


def claim_folder(out: Path, wanted: MadeOf, log: MetricsLog) -> None:
    """From now on `out` holds nothing of a training that is made of anything but `wanted`.

    A checkpoint that does not say what it is of is another's.
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
    """Have a new checkpoint say what it is of, as the folder that it stands in does."""
    shutil.copyfile(checkpoint.parent / layout.PROVENANCE, checkpoint / layout.PROVENANCE)


def _of(folder: Path) -> Any:
    try:
        return json.loads((folder / layout.PROVENANCE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _free(out: Path) -> Path:
    """A folder beside `out`, where no output is looked for."""
    names = (out.with_name(f"{out.name}.earlier-{number}") for number in count(1))
    return next(folder for folder in names if not folder.exists())
