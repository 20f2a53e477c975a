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
from ..text.prompt_style import IGNORED as IGNORED
from ..text.prompt_style import Message, style_of
from ..text.prompts import bare, completion
from .training_records import CONVERSATION, read_training

MAKE = "run stage1b, or put your own pairs there"  # where there are none


@dataclass(frozen=True)
class Pair:
    """One example: the prompt, and the completion that is learned."""

    prompt: str
    completion: str
    where: str  # "<file>, line <n>"
    messages: tuple[Message, ...] = ()  # of a conversation with more than these two

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages, the prompt as the user's and the completion as the assistant's."""
        return self.messages or (
            {"role": "user", "content": self.prompt},
            {"role": "assistant", "content": self.completion},
        )


@dataclass(frozen=True)
class Row:
    """One example in tokens; `labels` is IGNORED over the prompt."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]


def read_pairs(path: Path, *, chat: bool = False) -> tuple[Pair, ...]:
    """The pairs of a file of training data, in any known form; blank lines are skipped.

    With `chat` a record may be a conversation of any length, and its answers are all learned.

    A record has `response` (or `completion`) and `instruction`, which is what the model is given:
    a `prompt` beside it says how the response was made and is only used where there is no
    instruction. Raises: StageError naming file and line.
    """
    return tuple(map(_pair, read_training(path, MAKE, chat=chat)))


def _pair(record: TrainingRecord) -> Pair:
    response = completion(record.response)
    instruction = record.instruction
    prompt = record.prompt if instruction is None else bare(instruction)
    return Pair(prompt, response, record.where, tuple(record.fields.get(CONVERSATION, ())))


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

    Both parts are tokenised apart, as the model will see the prompt when it is used; with a chat
    template, in its turns. Raises:
    StageError for a pair that is too long, or in whose text a special token or a chat template is.
    """
    tokens, labels = style_of(tokenizer).labelled(pair.turns, pair.where)
    if len(tokens) > max_length:
        raise StageError(
            f"{pair.where}: {len(tokens)} tokens, max_length is {max_length}",
            remedy="raise max_length in the stage's parameters, or shorten the record",
        )
    return Row(tuple(tokens), tuple(labels))


def fingerprint(path: Path) -> str:
    """The sha256 of the file at `path`, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
