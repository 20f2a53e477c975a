"""Stage 1B in this process, in a folder of its own, and what it left there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from remote.stages import generate
from remote.stages.common import layout
from remote.stages.common.parameters import parse
from remote.stages.datagen.parameters import GenerateParameters
from remote.stages.instructions.instruction_set import InstructionSet
from remote.stages.instructions.sets import load

OUT = layout.DATA
DATA, REPORT, JOURNAL = layout.TRAINING_DATA, layout.DATA_QUALITY, layout.GENERATION_JOURNAL
PARAMETERS = {
    "model": "small",
    "instructions": "small",
    "wanted": 150,
    "at_least": 120,
    "max_attempts": 400,
    "max_new_tokens": 48,
    "batch": 25,
}

Change = Callable[[InstructionSet], InstructionSet]


def generate_here(folder: Path, change: Change | None = None, **changes: Any) -> int:
    """The stage in this process, in `folder`; its exit status."""
    parameters = parse(GenerateParameters, json.dumps(PARAMETERS | changes).encode())
    chosen = load("small", parameters.seed)
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        return generate.run(parameters, change(chosen) if change else chosen)
    finally:
        os.chdir(before)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True) if path.is_file() else []


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(folder / DATA)]


def report_of(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / REPORT).read_bytes())
    return report
