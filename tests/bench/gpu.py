"""All five stages in 4-bit NF4 on a CUDA device, through the entry points that a pod uses.

    python tests/bench/gpu.py               # the small model, real weights: what is learned is real
    python tests/bench/gpu.py --random           # random weights in the shape of half a billion
    python tests/bench/gpu.py --random --shape 32b     # … of Qwen2.5-32B, written down in NF4 first
    python tests/bench/gpu.py --random --shape tiny    # … of next to nothing

The first and the last also run, slowly, where there is no CUDA device.

Random weights answer nothing rightly: 1B keeps nothing of what they write and has to end with 1
and its reason; 1C and 1D then learn from the small world's canonical answers, 1D with the model's
own failures beside them, and 1E must not find an improvement. Every outcome is checked. Ends with
a table and, when one was not as expected, with status 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from tests.bench import gpu_model, gpu_outcome  # noqa: E402 (needs the path)
from tests.bench.output import say  # noqa: E402

STAGE_SECONDS = 420.0
DATA = "data/stage1/sft_training_data.jsonl"
REAL: dict[str, dict[str, Any]] = {
    "baseline": {"batch": 100, "max_new_tokens": 48},
    "generate": {"wanted": 600, "at_least": 400, "max_attempts": 900, "max_new_tokens": 64},
    "sft": {"learning_rate": 1e-3, "epochs": 8.0, "accumulation": 1, "packing": "always"}
    | {"max_length": 256},
    "dpo": {"pairs": 120, "least_pairs": 60, "rounds": 6, "epochs": 2.0, "compare_samples": 2},
    "evaluate": {"batch": 100, "samples": 2},
}
RANDOM: dict[str, dict[str, Any]] = {
    "baseline": {"batch": 100, "max_new_tokens": 24},
    "generate": {"wanted": 40, "at_least": 1, "max_attempts": 80, "max_new_tokens": 24},
    "sft": {"max_steps": 10, "accumulation": 1, "max_length": 256},
    "dpo": {"pairs": 120, "least_pairs": 60, "rounds": 1, "max_steps": 10, "compare_samples": 1},
    "evaluate": {"batch": 100, "samples": 1},
}
TRAINING = {"learning_rate": 5e-4, "log_steps": 1, "save_steps": 100, "ask_batch": 200}


@dataclass(frozen=True)
class Row:
    """What came of one stage."""

    stage: str
    exit: int | None  # None: not ended in time
    seconds: float
    figures: gpu_outcome.Figures
    wrong: str  # what is not as expected; empty is good


def main() -> int:
    options = _options()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    say_device(large=options.random and options.shape != "tiny")
    began = time.monotonic()
    if options.random:
        gpu_model.make(options.shape, options.folder / "model")
        say(f"random weights, shape {options.shape}: {time.monotonic() - began:.0f} s")
    rows: list[Row] = []
    for stage in REAL:
        rows.append(run(options.folder, stage, random=options.random))
        say(_line(rows[-1]))
        if rows[-1].wrong:
            break
        if options.random and stage == "generate":
            _canonical(options.folder)
    say(f"\n{table(rows)}\n\n{time.monotonic() - began:.0f} s in all")
    return 1 if any(row.wrong for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run the five stages in 4-bit NF4")
    parser.add_argument("--random", action="store_true", help="random weights instead")
    parser.add_argument("--shape", choices=gpu_model.SHAPES, default="half", help="of the random")
    parser.add_argument("--folder", type=Path, default=Path("gpu-proof"), help="is emptied first")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    return options


def say_device(*, large: bool) -> None:
    """Names the device. Raises SystemExit where a `large` shape has none."""
    import torch

    if not torch.cuda.is_available() and large:
        raise SystemExit("this needs a CUDA device, or --random --shape tiny")
    name = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"
    say(f"{name}, torch {torch.__version__}")


def run(folder: Path, stage: str, *, random: bool) -> Row:
    """One stage in a process of its own, as the agent starts it, and whether it did as expected."""
    parameters: dict[str, Any] = {"instructions": "small", "quantize": "nf4"}
    parameters["model"] = "model" if random else "small"
    if stage in ("sft", "dpo"):
        parameters |= TRAINING | {"max_new_tokens": 24 if random else 48}
    parameters |= (RANDOM if random else REAL)[stage]
    began = time.monotonic()
    status = start(folder, stage, parameters, STAGE_SECONDS)
    seconds = time.monotonic() - began
    log = (folder / f"{stage}.log").read_text()
    wrong = gpu_outcome.wrong(folder, stage, status, log, parameters, random=random)
    if wrong:
        wrong += f"; the log's end:\n{log[-1500:]}"
    return Row(stage, status, seconds, gpu_outcome.figures(folder, stage), wrong)


def start(folder: Path, stage: str, parameters: dict[str, Any], longest: float) -> int | None:
    """Runs a stage as the agent does. Its exit status; None after `longest` seconds."""
    path = folder / f"{stage}.parameters.json"
    path.write_text(json.dumps(parameters))
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "PODCTL_PARAMETERS": str(path),
        "PODCTL_METRICS": str(folder / f"{stage}.metrics.jsonl"),
    }
    with (folder / f"{stage}.log").open("w") as log:
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"remote.stages.{stage}"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=longest,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
    return done.returncode


def _canonical(folder: Path) -> None:
    """Training data where the base wrote none."""
    from remote.stages.instructions.small import dataset

    (folder / DATA).write_text(dataset.text())


def _line(row: Row) -> str:
    ended = "not ended in time" if row.exit is None else f"exit {row.exit}"
    return f"{row.stage}: {ended}, {row.seconds:.0f} s, {row.wrong or row.figures.outcome}"


def table(rows: list[Row]) -> str:
    """As docs/gpu.md has it."""
    lines = [
        "| stage | exit | seconds | peak memory | tokens/s | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        peak = "" if row.figures.peak_gib is None else f"{row.figures.peak_gib:.1f} GiB"
        speed = "" if row.figures.tokens_per_s is None else f"{row.figures.tokens_per_s:,.0f}"
        ended = "none" if row.exit is None else row.exit
        told = "not as expected" if row.wrong else row.figures.outcome
        lines.append(f"| {row.stage} | {ended} | {row.seconds:.0f} | {peak} | {speed} | {told} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
