"""The plan's whole work at the 32B shape: five stages, seconds and dollars of each.

    python -m tests.bench.gpu_plan                      # a CUDA device with 110 GB
    python -m tests.bench.gpu_plan --shape tiny --short # a look without one

The entry points and parameters are those of `podctl run stage1`. The weights are random, in NF4:
one token in ENDS ends a text, so answers have the length of real ones but never their sense. 1B
therefore answers as often as a plan that keeps 1,000 of TRIES does and ends with 1, and canonical
answers are trained on; 1D finds its failures in the first samples, where a good model is sampled
up to 8,000 times. Seconds include the start of each process.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from tests.bench import gpu, gpu_model, gpu_outcome
from tests.bench.output import say

DOLLARS = 3.59  # an hour of an H200, as in docs/gpu.md
ENDS = 12  # one token in so many ends a text: with those that never end, about 25 tokens each
TRIES, PAIRS = 1900, 1000
STAGES = {"baseline": "1a", "generate": "1b", "sft": "1c", "dpo": "1d", "evaluate": "1e"}
EXPECTED = {"generate": 1}  # exit codes other than 0
KEPT = " pairs are kept of "  # why it ended so
SHORT: dict[str, dict[str, Any]] = {
    "generate": {"wanted": 20, "at_least": 20, "max_attempts": 40},
    "sft": {"max_steps": 2},
    "dpo": {"pairs": 20, "least_pairs": 10, "max_steps": 2, "compare_samples": 1},
    "evaluate": {"samples": 1},
}
SHORT_TOKENS = 8


def main() -> int:
    options = _options()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    gpu.say_device(large=options.shape != "tiny")
    began = time.monotonic()
    gpu_model.make(options.shape, options.folder / "model", ends=ENDS)
    say(f"weights made in {time.monotonic() - began:.0f} s")
    planned = tomllib.loads((gpu.ROOT / "jobs/stage1.toml").read_text())
    seconds: dict[str, float] = {}
    for stage, letter in STAGES.items():
        parameters = changed(stage, planned[f"stage{letter}"]["parameters"], short=options.short)
        start = time.monotonic()
        status = gpu.start(options.folder, stage, parameters, options.longest)
        seconds[stage] = time.monotonic() - start
        log = (options.folder / f"{stage}.log").read_text()
        outcome = gpu_outcome.figures(options.folder, stage).outcome
        say(f"{stage}: exit {status}, {seconds[stage]:.0f} s, {outcome or log[-300:]}")
        if status != EXPECTED.get(stage, 0) or (status and KEPT not in log):
            say(log[-3000:])
            return 1
        if stage == "generate":
            (options.folder / gpu.DATA).write_text(_canonical())
    say(table(seconds, options.dollars))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="run the plan's work with random weights")
    parser.add_argument("--shape", choices=gpu_model.SHAPES, default="32b")
    parser.add_argument("--short", action="store_true", help="a few steps of each")
    parser.add_argument("--folder", type=Path, default=Path("gpu-plan"), help="is emptied first")
    parser.add_argument("--dollars", type=float, default=DOLLARS, help="an hour")
    parser.add_argument("--longest", type=float, default=1800.0, help="seconds of one stage")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    return options


def changed(stage: str, planned: dict[str, Any], *, short: bool) -> dict[str, Any]:
    """The plan's parameters for weights that know nothing."""
    quantize = "none" if short else "nf4"  # bitsandbytes does not train on every CPU
    parameters = planned | {"model": "model", "quantize": quantize}
    if stage == "generate":
        parameters |= {"max_attempts": TRIES}
    if short:
        tokens = {"max_new_tokens": SHORT_TOKENS} if "max_new_tokens" in planned else {}
        parameters |= SHORT.get(stage, {}) | tokens
    return parameters


def _canonical() -> str:
    """1C's data: canonical answers of training instructions."""
    from remote.stages.common.records import CANONICAL, ResponseRecord
    from remote.stages.instructions.sets import load
    from remote.stages.text.prompts import bare

    train = load("english").train
    chosen = random.Random(0).sample(train, min(PAIRS, len(train)))
    records = (
        ResponseRecord(each.text, each.type, each.kind, each.answer, prompt=bare(each.text))
        for each in chosen
    )
    return "".join(json.dumps(each.training_json(CANONICAL)) + "\n" for each in records)


def table(seconds: dict[str, float], dollars: float) -> str:
    """Seconds and US dollars by stage."""
    lines = ["", "| stage | seconds | dollars |", "| --- | --- | --- |"]
    for name, value in [*seconds.items(), ("all", sum(seconds.values()))]:
        lines.append(f"| {name} | {value:.0f} | {value * dollars / 3600:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
