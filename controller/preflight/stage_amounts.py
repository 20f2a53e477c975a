"""How much data a built-in stage works on: its instruction set, and what earlier stages made.

Lengths are counted in characters, as no tokenizer is on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.costs.stage_work import CHARACTERS_PER_TOKEN, SETS, DataAmounts, from_characters
from controller.planner.gpu_memory import Architecture, architecture
from jobs.stage import Stage

DATA = "data/stage1/sft_training_data.jsonl"
DEVELOPMENT = "checkpoints/stage1_sft/development.json"
LARGEST_SIZE = 10**7
MOST_RECORDS = 20_000  # that are read; more are counted by the size of the file
_PAIRS = (("instruction", "response"), ("prompt", "completion"), ("question", "answer"))
_CONFIG = {  # field of Architecture → key of config.json
    "hidden": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "words": "vocab_size",
}


def amounts_of(stage: Stage, root: Path) -> DataAmounts | None:
    """Amounts of the stage's set, with 1B's data and 1C's success where they exist here."""
    name = stage.parameters.get("instructions")
    if not isinstance(name, str):
        return None
    amounts = SETS.get(name) or _folder(root / name)
    if amounts is None:
        return None
    data = stage.parameters.get("data", DATA)
    success = _success(root / DEVELOPMENT)
    return replace(
        amounts,
        training_tokens=_training_tokens(root / data) if isinstance(data, str) else None,
        failing=None if success is None else 1.0 - success,
    )


def _folder(folder: Path) -> DataAmounts | None:
    """A user's own set; None where its files are missing or hold no instruction."""
    parts = {
        name: [*_records(folder / f"{name}.jsonl")] for name in ("train", "development", "held_out")
    }
    train = parts["train"]
    if not all(parts.values()):
        return None
    lengths = [
        sum(len(str(record.get(key) or "")) for record in train) / len(train)
        for key in ("instruction", "answer")
    ]
    return from_characters(*(len(records) for records in parts.values()), *lengths)


def _training_tokens(path: Path) -> float | None:
    """Tokens of all pairs of the data; None where it is not here or has another form."""
    total = size = 0
    for record in _records(path):
        size += record["bytes"]
        keys = next((pair for pair in _PAIRS if all(key in record for key in pair)), None)
        if keys is None:
            return None
        total += sum(len(str(record[key])) for key in keys)
    if not total:
        return None
    return total / CHARACTERS_PER_TOKEN * max(1.0, path.stat().st_size / size)


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The first records, each with its size as "bytes"; lines that are no JSON object are left."""
    try:
        with path.open("rb") as lines:
            for _, line in zip(range(MOST_RECORDS), lines, strict=False):
                if isinstance(record := _json(line), dict):
                    yield record | {"bytes": len(line)}
    except OSError:
        return


def _success(path: Path) -> float | None:
    """The SFT model's measured share of right answers on the development set."""
    try:
        document = _json(path.read_bytes())
    except OSError:
        return None
    overall = document.get("overall") if isinstance(document, dict) else None
    rate = overall.get("rate") if isinstance(overall, dict) else None
    is_share = isinstance(rate, int | float) and 0 <= rate <= 1
    return float(rate) if is_share and rate is not None else None


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def model_of(stage: Stage, root: Path) -> tuple[Architecture | None, bool]:
    """The shape of the stage's model, and whether its folder is quantized to 4 bits already.

    The shape is that of a known hub id, else of the config.json of a folder of the project.
    """
    name = stage.parameters.get("model")
    if not isinstance(name, str):
        return None, False
    if (shape := architecture(name)) is not None:
        return shape, False
    try:
        config = _json((root / name / "config.json").read_bytes())
    except (OSError, ValueError):
        return None, False
    return _from_config(config) if isinstance(config, dict) else (None, False)


def _from_config(config: Mapping[str, Any]) -> tuple[Architecture | None, bool]:
    """None where a size is missing or not plausible."""
    sizes = {field: _size(config.get(key)) for field, key in _CONFIG.items()}
    heads = sizes["heads"] or 1
    sizes["kv_heads"] = _size(config.get("num_key_value_heads")) or heads
    sizes["head"] = _size(config.get("head_dim")) or max(1, sizes["hidden"] // heads)
    if not all(sizes.values()):
        return None, False
    tied = config.get("tie_word_embeddings") is True
    return Architecture(**sizes, tied=tied), isinstance(config.get("quantization_config"), dict)


def _size(value: Any) -> int:
    """A plausible number of units; else 0."""
    return value if type(value) is int and 0 < value < LARGEST_SIZE else 0
