"""A critic that uses one token: how much more likely the model finds "right" than "wrong".

The model reads a few judged examples and the response, and two options with the letters A and B.
What counts is the difference of the log-probabilities of the two letters. A base model prefers a
letter whatever it stands for, so both assignments are asked and the mean is taken: a preference
of the letter cancels out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..common.failure import StageError
from ..text.prompt_style import style_of
from ..text.prompts import DELIMITER
from ..verification.instruction import Instruction

LETTERS = ("A", "B")
_GOOD, _BAD = "right", "wrong"
_EXAMPLES = 4  # judged ones before the response, as many right as wrong


@dataclass(frozen=True)
class Margin:
    """log p(good) - log p(bad), in nats: with "good" as A, with "good" as B, and their mean."""

    good_first: float
    good_second: float

    @property
    def mean(self) -> float:
        return (self.good_first + self.good_second) / 2


def letter_tokens(tokenizer: Any) -> tuple[int, int]:
    """The token id of " A" and of " B". Raises: StageError when one is not a single token."""
    token_ids = []
    for letter in LETTERS:
        tokens = tokenizer(f" {letter}", add_special_tokens=False)["input_ids"]
        if len(tokens) != 1:
            raise StageError(
                f"the tokenizer has no single token for {f' {letter}'!r}",
                remedy="set critic = false in the stage's parameters: this critic needs one token",
            )
        token_ids.append(int(tokens[0]))
    return token_ids[0], token_ids[1]


def render(
    pool: Sequence[Instruction], instruction: str, response: str, good_first: bool, seed: int = 0
) -> str:
    """The critic's prompt: judged examples, then the response; the next token is the letter."""
    draw = random.Random(f"critic/{seed}/{instruction}")  # noqa: S311 - not a secret
    shown = draw.sample(list(pool), min(_EXAMPLES, len(pool)))
    order = [place % 2 == 0 for place in range(len(shown))]
    draw.shuffle(order)
    text = ""
    for example, right in zip(shown, order, strict=True):
        others = [other.answer for other in pool if other.answer != example.answer]
        shown_answer = example.answer if right or not others else draw.choice(others)
        letter = LETTERS[0] if right == good_first else LETTERS[1]
        text += _question(example.text, shown_answer, good_first) + f" {letter}{DELIMITER}"
    return text + _question(instruction, response, good_first)


def _question(instruction: str, response: str, good_first: bool) -> str:
    first, second = (_GOOD, _BAD) if good_first else (_BAD, _GOOD)
    return (
        f"{instruction.strip()}\n {response.strip()}\n"
        f"Is this response right? A: {first}. B: {second}.\n"
    )


def margins(
    model: Any,
    tokenizer: Any,
    pool: Sequence[Instruction],
    pairs: Sequence[tuple[str, str]],
    batch: int = 50,
    *,
    seed: int = 0,
) -> list[Margin]:
    """The margin of each (instruction, response) of `pairs`, in order. Raises: StageError."""
    letters = letter_tokens(tokenizer)
    prompts = [
        render(pool, instruction, response, good_first, seed)
        for instruction, response in pairs
        for good_first in (True, False)
    ]
    margins_of_a = _differences(model, tokenizer, prompts, letters, batch)
    return [Margin(margins_of_a[n], -margins_of_a[n + 1]) for n in range(0, len(margins_of_a), 2)]


def _differences(
    model: Any, tokenizer: Any, prompts: Sequence[str], letters: tuple[int, int], batch: int
) -> list[float]:
    """log p(A) - log p(B) of the next token after each prompt, in nats."""
    import torch

    tokenizer.padding_side = "left"
    model.eval()
    order = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    margins_of_a = [0.0] * len(prompts)
    for start in range(0, len(order), batch):
        places = order[start : start + batch]
        style = style_of(tokenizer)
        tokens = [style.prompt(prompts[place]) for place in places]
        inputs = tokenizer.pad({"input_ids": tokens}, return_tensors="pt")
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        with torch.inference_mode():
            scores = model(**inputs.to(model.device), logits_to_keep=1, use_cache=False).logits
        logs = torch.log_softmax(scores[:, -1].float(), dim=-1)
        differences = (logs[:, letters[0]] - logs[:, letters[1]]).tolist()
        for place, difference in zip(places, differences, strict=True):
            margins_of_a[place] = float(difference)
    return margins_of_a
