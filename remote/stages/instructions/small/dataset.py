"""Instruction data of the small world.

`python -m remote.stages.instructions.small.dataset --out FILE` writes it.
The canonical answers of the world's training instructions, in the records that stage1b writes.
Nothing of the held-out and development sets is in it. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from ...common.records import CANONICAL, ResponseRecord
from ...text.prompts import bare
from .splits import make_splits

PAIRS = 960


def main() -> int:
    parser = argparse.ArgumentParser(description="write the small world's instruction data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text(options.pairs, options.seed), encoding="utf-8")
    return 0


def text(pairs: int = PAIRS, seed: int = 0) -> str:
    """The JSONL file: `pairs` records, drawn by `seed`."""
    rows = (record.training_json(CANONICAL) for record in records(pairs, seed))
    return "".join(json.dumps(row) + "\n" for row in rows)


def records(pairs: int, seed: int) -> Iterator[ResponseRecord]:
    """`pairs` training instructions with their canonical answers, drawn by `seed`."""
    train, *_ = make_splits()
    for instruction in random.Random(seed).sample(train, pairs):  # noqa: S311 - not a secret
        yield ResponseRecord(
            instruction.text,
            instruction.type,
            instruction.kind,
            instruction.answer,
            prompt=bare(instruction.text),
        )


if __name__ == "__main__":
    sys.exit(main())
