"""The seconds from the start of a stage's process to its first answer, with the weights on disk.

A model in the shape of `gpu_model` lies in bf16 as the hub's cache would have it. It is answered
with four times: without an NF4 copy, with one being written, and with one that is there, from a
cold and from a warm page cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench import gpu_model
from tests.bench.gpu_clock import Rate
from tests.bench.output import say

LAYERS = 32  # of the 64 of the 32b shape: in bf16 all of them do not fit on a disk of 64 GiB
_LONGEST = 900.0  # seconds of one start


def rates(shape: str, layers: int, repeats: int) -> list[Rate]:
    """One row for each way to start; the note has the last run's parts, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_base(Path(folder), shape, layers)
        size = sum(path.stat().st_size for path in model.parent.glob("blobs/*")) / 1e9
        say(f"{layers} layers: {size:.0f} GB in bf16")
        home = str(Path(folder, "home"))
        plan = [
            ("no copy allowed, cold", False, True, repeats),
            ("the copy is written, cold", True, True, 1),
            ("the copy is there, cold", True, True, repeats),
            ("the copy is there, warm", True, False, repeats),
        ]
        rows = []
        for what, copy, cold, times in plan:
            values, note = [], ""
            for _ in range(times):
                if cold:
                    forget(Path(folder))
                parts = _start(model, home, copy=copy)
                values.append(parts["first answer"])
                note = ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts.items())
            rows.append(Rate(f"start, {what}, seconds", tuple(values), note))
            say(rows[-1].line)
        return rows


def write_base(folder: Path, shape: str, layers: int) -> Path:
    """A model as in the hub's cache: links, named as its files are, to blobs."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, Qwen2ForCausalLM

    snapshot, blobs = folder / "snapshot", folder / "blobs"
    snapshot.mkdir()
    blobs.mkdir()
    tokenizer = AutoTokenizer.from_pretrained(gpu_model.SMALL)
    config = gpu_model.configuration(shape, tokenizer)
    config.num_hidden_layers = layers
    config.layer_types = config.layer_types[:layers]
    config.architectures, config.dtype = ["Qwen2ForCausalLM"], "bfloat16"
    config.save_pretrained(snapshot)
    tokenizer.save_pretrained(snapshot)
    with torch.device("meta"):
        shapes = {name: one.shape for name, one in Qwen2ForCausalLM(config).state_dict().items()}
    made = {size: torch.randn(size, dtype=torch.bfloat16) * 0.02 for size in set(shapes.values())}
    by_file: dict[str, dict[str, Any]] = {}
    for name, size in shapes.items():
        layer = name.split(".")[2] if name.startswith("model.layers.") else "rest"
        by_file.setdefault(f"model-{layer}.safetensors", {})[name] = made[size]
    for name, tensors in by_file.items():
        own = {key: tensor.clone() for key, tensor in tensors.items()}
        save_file(own, snapshot / name, metadata={"format": "pt"})
    places = {key: name for name, tensors in by_file.items() for key in tensors}
    index = {"metadata": {}, "weight_map": places}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    for path in list(snapshot.iterdir()):
        blob = blobs / f"of-{path.name}"
        path.rename(blob)
        path.symlink_to(blob)
    return snapshot


def forget(folder: Path) -> None:
    """Takes the files of `folder` out of the page cache."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            handle = os.open(path, os.O_RDONLY)
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def _start(model: Path, home: str, *, copy: bool) -> dict[str, float]:
    words = [sys.executable, "-m", "tests.bench.gpu_start", str(model), str(int(copy))]
    environment = os.environ | {"HF_HOME": home, "PODCTL_BENCH_BEGAN": str(time.time())}
    done = subprocess.run(
        words, env=environment, stdout=subprocess.PIPE, timeout=_LONGEST, check=True
    )
    lines = done.stdout.decode().splitlines()
    say("\n".join(line for line in lines[:-1] if "copy" in line))
    parts: dict[str, float] = json.loads(lines[-1])
    return parts


def main(model: str, copy: str) -> int:
    """One start: prints the seconds since the process was asked for as JSON, in the last line."""
    began = float(os.environ["PODCTL_BENCH_BEGAN"])
    parts: dict[str, float] = {}

    def mark(name: str) -> None:
        parts[name] = round(time.time() - began, 2)

    from remote.stages.model.base_weights import begin
    from remote.stages.model.loading import load_model, load_tokenizer, resolve

    source = resolve(model)
    begin(source, "nf4", copy == "1", print)
    mark("reading begun")
    tokenizer = load_tokenizer(source)
    mark("tokenizer")
    loaded = load_model(source, "nf4")
    mark("model")
    from remote.stages.model.sampling import generate

    generate(loaded, tokenizer, ["The capital of France is the city of"], max_new_tokens=2)
    mark("first answer")
    print(json.dumps(parts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
