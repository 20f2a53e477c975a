"""Loads an adapter onto its base model and generates one response, to show that it is usable.

python -m remote.stages.open_adapter checkpoints/stage1_sft
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .common.failure import StageError
from .common.layout import ADAPTER_CONFIG
from .model.loading import load_model, load_tokenizer, resolve
from .text.prompts import bare


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: open_adapter FOLDER [INSTRUCTION]\n")
        return 2
    instruction = arguments[1] if len(arguments) == 2 else "What is the capital of France?"
    try:
        print(ask(Path(arguments[0]), instruction))
    except StageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def ask(folder: Path, instruction: str) -> str:
    """The number of adapter weights and a greedy response, in one line. Raises: StageError."""
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_bytes())
        base = str(config["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{folder}: no adapter in it: {error}", remedy="name the folder of an adapter"
        ) from error
    source = resolve(base)
    from peft import PeftModel

    from .model.sampling import generate

    try:
        model = PeftModel.from_pretrained(load_model(source, "none"), str(folder))
    except (RuntimeError, ValueError) as error:
        raise StageError(
            f"{folder} does not fit its base {base!r}: {str(error)[:300]}",
            remedy="train it again on this base, or name the base that it was trained on",
        ) from error
    weights = sum(weight.numel() for name, weight in model.named_parameters() if "lora_" in name)
    (answer,) = generate(model, load_tokenizer(source), [bare(instruction)])
    return f"{weights:,} adapter weights on {base}; {instruction!r} -> {answer!r}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
