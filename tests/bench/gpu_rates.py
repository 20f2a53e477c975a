"""What a CUDA device does with the stages' work at the 32B shape: the table of docs/gpu.md.

    python -m tests.bench.gpu_rates                       # everything, medians of three
    python -m tests.bench.gpu_rates --part answering --repeats 1

Weights are random, in NF4, and need no network: 25 GB of GPU memory at least, 110 GB for the rates
of the table. `make bench-gpu` runs it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import gpu_answering, gpu_model, gpu_start, gpu_training
from tests.bench.gpu_clock import Rate
from tests.bench.output import say

PARTS = ("limits", "equality", "start", "plan", "answering", "capped", "training")


def main() -> int:
    options = _options()
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("this needs a CUDA device")
    from remote.stages.common.versions import device, versions
    from remote.stages.training.training import silence_libraries

    silence_libraries()
    say(f"{device()['name']}: {versions()}")
    began = time.monotonic()
    if "limits" in options.part:
        say(limits(options.shape))
    if "equality" in options.part:
        say(gpu_answering.equality("none", options.equality_of))
        say(gpu_answering.equality("nf4", options.equality_of))
    rows: list[Rate] = []
    if "start" in options.part:
        rows += gpu_start.rates(options.shape, options.start_layers, options.repeats)
    if "plan" in options.part:  # in processes of its own, before a model is held here
        words = [sys.executable, "-m", "tests.bench.gpu_plan", "--shape", options.shape]
        subprocess.run(words, check=True)
    if {"answering", "capped", "training"} & set(options.part):
        model, tokenizer = load(options.shape)
        say(f"weights made after {time.monotonic() - began:.0f} s")
        plain = not options.no_plain
        if "answering" in options.part:
            rows += gpu_answering.rates(model, options.repeats, plain=plain)
        if "capped" in options.part:
            rows.append(gpu_answering.capped(model, options.repeats))
        if "training" in options.part:
            with tempfile.TemporaryDirectory() as folder:
                rows += gpu_training.rates(
                    model, tokenizer, options.repeats, Path(folder), plain=plain
                )
    say("\n| what | median | from … to | |\n| --- | --- | --- | --- |")
    say("\n".join(row.line for row in rows))
    say(predicted(device()["name"], options.shape))
    say(f"{time.monotonic() - began:.0f} s in all")
    return 0 if all(row.values for row in rows) else 1


def predicted(device_name: str, shape: str) -> str:
    """The rates that `podctl plan` expects of the device, to compare with the table."""
    from controller.costs.gpu_rates import known, rates_of
    from controller.planner.gpu_memory import architecture

    model = architecture("Qwen/Qwen2.5-32B")
    if shape != "32b" or model is None or not known(device_name):
        return f"podctl plan has no rates of {device_name} at this shape"
    rates = rates_of(device_name, model)
    return (
        f"podctl plan expects ({rates.source}): SFT {rates.sft:,.0f}, DPO {rates.dpo:,.0f}, "
        f"prefill {rates.prefill:,.0f}, decoding {rates.decode:,.0f} tokens/s"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="measure the stages' work on a CUDA device")
    parser.add_argument("--part", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--shape", choices=gpu_model.SHAPES, default="32b")
    parser.add_argument("--start-layers", type=int, default=gpu_start.LAYERS)
    parser.add_argument("--equality-of", default="small", help="small, smollm2 or a folder")
    parser.add_argument("--no-plain", action="store_true", help="leave out what is slow")
    return parser.parse_args()


def load(shape: str) -> tuple[Any, Any]:
    """The model in NF4, and a tokenizer that any text can be written with."""
    import torch
    from transformers.utils.logging import disable_progress_bar

    from remote.stages.model.loading import load_tokenizer, resolve

    disable_progress_bar()
    torch.manual_seed(0)
    tokenizer = load_tokenizer(resolve("small"))
    model = gpu_model.quantised(gpu_model.configuration(shape, tokenizer))
    model.config.use_cache = False
    model.config._attn_implementation = "sdpa"
    return model, tokenizer


def limits(shape: str) -> str:
    """What the device does at best, and what that would be in tokens of this shape."""
    import torch

    size = 8192
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in "ab")
    copied = torch.empty(2**30, device="cuda", dtype=torch.bfloat16)
    other = torch.empty_like(copied)
    product = _seconds(lambda: left @ right)
    copy = _seconds(lambda: other.copy_(copied))
    flops, bandwidth = 2 * size**3 / product, 2 * copied.nbytes / copy
    weights = gpu_model.weights(shape)
    forward = flops / (2 * weights)
    return (
        f"limits: {flops / 1e12:.0f} TFLOP/s in bf16, {bandwidth / 1e12:.2f} TB/s; at "
        f"{weights / 1e9:.1f}e9 weights {forward:,.0f} tokens/s of a forward pass, "
        f"{forward / 2:,.0f} of training without recomputation (two passes: weights are frozen), "
        f"{forward / 3:,.0f} with all of it, "
        f"{bandwidth / (2 * weights):,.0f} steps/s of decoding"
    )


def _seconds(work: Any) -> float:
    import torch

    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.monotonic()
    for _ in range(10):
        work()
    torch.cuda.synchronize()
    return (time.monotonic() - began) / 10


if __name__ == "__main__":
    raise SystemExit(main())
