"""All five stages on a CUDA device in 4-bit NF4, through the entry points that a pod uses.

    python bench/gpu.py                    # the small model, real weights: what is learned is real
    python bench/gpu.py --random           # a Qwen2 of random weights: only the path is proved

The small model goes through 1A to 1E with few steps. Random weights answer nothing, so 1B keeps
nothing of what they write; 1C then trains on the small world's canonical answers instead, which is
said. Prints a line a stage: exit code, seconds, peak of the GPU's memory where the stage tells.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAGE_SECONDS = 420.0
STAGES = {
    "baseline": {"explicit": 40, "batch": 64, "max_new_tokens": 48},
    "generate": {"wanted": 300, "at_least": 150, "max_attempts": 600, "max_new_tokens": 64},
    "sft": {"epochs": 3.0, "batch": 4, "accumulation": 1, "max_length": 512, "save_steps": 40},
    "dpo": {"pairs": 120, "least_pairs": 60, "epochs": 1.0, "batch": 4, "accumulation": 2},
    "evaluate": {"batch": 64, "samples": 2},
}
# hidden, layers, heads, key-value heads, intermediate: half a billion parameters' shape, without
# the vocabulary of the real one: the tokenizer is the small model's.
RANDOM = (896, 24, 14, 2, 4864)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", action="store_true", help="random weights instead")
    parser.add_argument("--folder", type=Path, default=Path("gpu-proof"))
    parser.add_argument("--steps", type=int, default=0, help="of 1C and 1D; 0: as the sizes give")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    model = _random_model(options.folder) if options.random else "small"
    rows = [_device()]
    for stage, parameters in STAGES.items():
        more: dict[str, Any] = {"model": model, "instructions": "small", "quantize": "nf4"}
        if options.random and stage == "generate":
            more |= {"wanted": 40, "at_least": 1, "max_attempts": 80}
        if options.steps and stage in ("sft", "dpo"):
            more["max_steps"] = options.steps
        rows.append(_run(options.folder, stage, parameters | more))
        if stage == "generate" and (options.random or rows[-1]["code"]):
            _canonical(options.folder)
        print(json.dumps(rows[-1]), flush=True)
    (options.folder / "gpu.json").write_text(json.dumps(rows, indent=1) + "\n")
    failed = [row["stage"] for row in rows[1:] if row["code"]]
    if options.random:  # random weights write nothing that a filter would keep
        failed = [stage for stage in failed if stage != "generate"]
    return 1 if failed else 0


def _device() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("this needs a CUDA device")
    found = {"device": torch.cuda.get_device_name(0), "torch": torch.__version__}
    print(json.dumps(found), flush=True)
    return found


def _run(folder: Path, stage: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """One stage in a process of its own, as the agent starts it."""
    path = folder / f"{stage}.parameters.json"
    path.write_text(json.dumps(parameters))
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "PODCTL_PARAMETERS": str(path.absolute()),
        "PODCTL_METRICS": str((folder / f"{stage}.metrics.jsonl").absolute()),
    }
    began = time.monotonic()
    with (folder / f"{stage}.log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", f"remote.stages.{stage}"],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            timeout=STAGE_SECONDS,
            check=False,
        )
    tail = (folder / f"{stage}.log").read_text().strip().splitlines()[-3:]
    seconds = round(time.monotonic() - began, 1)
    return {"stage": stage, "code": done.returncode, "seconds": seconds, "last": tail}


def _canonical(folder: Path) -> None:
    """Training data for 1C where the base wrote none."""
    out = folder / "data/stage1/sft_training_data.jsonl"
    subprocess.run(
        [sys.executable, "-m", "remote.stages.small.dataset", "--out", str(out.absolute())],
        cwd=ROOT,
        timeout=120,
        check=True,
    )


def _random_model(folder: Path) -> str:
    """A Qwen2 that knows nothing, with the small model's tokenizer; its folder's name."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(ROOT / "remote/stages/small/model")
    hidden, layers, heads, kv_heads, intermediate = RANDOM
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        intermediate_size=intermediate,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return "model"


if __name__ == "__main__":
    sys.exit(main())
