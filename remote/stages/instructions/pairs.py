"""Pairs of prompt and completion: reads, splits and tokenises them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.training_record import TrainingRecord
from ..text.chat_template import template_text
from ..text.prompts import bare, completion
from .training_records import read_training

IGNORED = -100  # a label that no loss is computed for
MAKE = "run stage1b, or put your own pairs there"  # where there are none


@dataclass(frozen=True)
class Pair:
    """One example: the prompt, and the completion that is learned."""

    prompt: str
    completion: str
    where: str  # "<file>, line <n>"


@dataclass(frozen=True)
class Row:
    """One example in tokens; `labels` is IGNORED over the prompt."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]


def read_pairs(path: Path) -> tuple[Pair, ...]:
    """The pairs of a file of training data, in any known form; blank lines are skipped.

    A record has `response` (or `completion`) and `instruction`, which is what the model is given:
    a `prompt` beside it says how the response was made and is only used where there is no
    instruction. Raises: StageError naming file and line.
    """
    return tuple(map(_pair, read_training(path, MAKE)))


def _pair(record: TrainingRecord) -> Pair:
    response = completion(record.response)
    instruction = record.instruction
    prompt = record.prompt if instruction is None else bare(instruction)
    return Pair(prompt, response, record.where)


def split(pairs: Sequence[Pair], share: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(training, evaluation): equal prompts stay on one side; at least one pair is trained on."""
    prompts = sorted({pair.prompt for pair in pairs})
    random.Random(seed).shuffle(prompts)  # noqa: S311 - not a secret
    count = min(len(prompts) - 1, max(1, round(share * len(prompts)))) if share > 0 else 0
    chosen = set(prompts[:count])
    train = [pair for pair in pairs if pair.prompt not in chosen]
    return train, [pair for pair in pairs if pair.prompt in chosen]


def to_row(pair: Pair, tokenizer: Any, max_length: int) -> Row:
    """Tokens of prompt, completion and end of text; only the last two are learned.

    Both parts are tokenised apart, as the model will see the prompt when it is used. Raises:
    StageError for a pair that is too long, or in whose text a special token or a chat template is.
    """
    prompt = _plain(pair.prompt, tokenizer, pair.where)
    learned = [*_plain(pair.completion, tokenizer, pair.where), tokenizer.eos_token_id]
    if len(prompt) + len(learned) > max_length:
        raise StageError(
            f"{pair.where}: {len(prompt) + len(learned)} tokens, max_length is {max_length}",
            remedy="raise max_length in the stage's parameters, or shorten the record",
        )
    return Row((*prompt, *learned), (*[IGNORED] * len(prompt), *learned))


def _plain(text: str, tokenizer: Any, where: str) -> list[int]:
    """The tokens of `text`, none of them special. Raises: StageError."""
    tokens = [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    leaked = tokenizer.decode([token for token in tokens if token in special][:1])
    if leaked or (leaked := template_text(text)):
        raise StageError(
            f"{where}: the text holds {leaked!r} of a chat template or tokenizer",
            remedy="a chat template leaked into the data: remove it; a base model has no roles",
        )
    return tokens


def fingerprint(path: Path) -> str:
    """The sha256 of the file at `path`, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
