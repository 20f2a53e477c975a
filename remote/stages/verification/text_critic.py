"""A critic of free text: whether a base model finds a response likely as an answer to its own
instruction, and as a text.

A rule sees only the form of free text. Two differences of the base model's mean log-probabilities
a token say more: `relevance`, how much likelier the response is after its own instruction than
after others, and `order`, how much likelier it is than its own words in other orders. The margin
is the smaller of the two. Its threshold is chosen on labelled responses: canonical answers are
right; canonical answers to other instructions and shuffled ones are wrong. A model that does not
tell these apart abstains.

Pure: the model comes in as a function that gives log-probabilities.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .instruction import Instruction

# (prompt's instruction, response) -> mean log-probability of a token of the response, in nats.
LogProbabilities = Callable[[Sequence[tuple[str, str]]], Sequence[float]]

OTHERS = 2  # instructions that a response is tried with, and orders of its words
MOST_ACCEPTED = 0.05  # of the wrong responses of the calibration
LEAST_AUC = 0.8  # below it the critic abstains


@dataclass(frozen=True)
class Likelihood:
    """Mean log-probabilities a token: after its own instruction, after others, and shuffled."""

    own: float
    others: tuple[float, ...]
    shuffled: tuple[float, ...]

    @property
    def relevance(self) -> float:
        return self.own - max(self.others)

    @property
    def order(self) -> float:
        return self.own - max(self.shuffled)

    @property
    def margin(self) -> float:
        return min(self.relevance, self.order)


@dataclass(frozen=True)
class Calibration:
    """How well margins tell right from wrong, and the threshold that follows."""

    auc: float
    threshold: float
    right: int
    wrong: int
    false_accepts: float  # shares, at the threshold
    false_rejects: float
    least_auc: float = LEAST_AUC

    @property
    def abstains(self) -> bool:
        return self.auc < self.least_auc

    def agrees(self, likelihood: Likelihood) -> bool | None:
        """Whether the response is one; None when the critic abstains."""
        return None if self.abstains else likelihood.margin >= self.threshold

    def to_json(self) -> dict[str, Any]:
        rule = (
            f"at most {MOST_ACCEPTED:.0%} of the wrong responses are accepted; below an AUC of "
            f"{self.least_auc:g} the critic abstains"
        )
        return asdict(self) | {"abstains": self.abstains, "rule": rule}


def likelihoods(
    pairs: Sequence[tuple[Instruction, str]],
    others: Sequence[Instruction],
    log_probabilities: LogProbabilities,
) -> list[Likelihood]:
    """Of each response to its instruction; `others` are what it is tried with besides."""
    rows: list[tuple[str, str]] = []
    for instruction, response in pairs:
        rows.append((instruction.text, response))
        rows += [(other.text, response) for other in _drawn(instruction, others)]
        rows += [(instruction.text, text) for text in shuffles(response)]
    values = list(log_probabilities(rows))
    step = 1 + 2 * OTHERS
    return [
        Likelihood(
            values[start],
            tuple(values[start + 1 : start + 1 + OTHERS]),
            tuple(values[start + 1 + OTHERS : start + step]),
        )
        for start in range(0, len(values), step)
    ]


def _drawn(instruction: Instruction, others: Sequence[Instruction]) -> list[Instruction]:
    """`OTHERS` of `others`, of its own kind where there are enough; always the same."""
    draw = random.Random(f"text critic/{instruction.text}")  # noqa: S311 - not a secret
    different = [other for other in others if other.text != instruction.text]
    alike = [other for other in different if other.kind == instruction.kind]
    return draw.sample(alike if len(alike) >= OTHERS else different, OTHERS)


def shuffles(text: str) -> list[str]:
    """The words of `text` in `OTHERS` other orders, always the same ones."""
    draw = random.Random(f"shuffle/{text}")  # noqa: S311 - not a secret
    orders = []
    for _ in range(OTHERS):
        words = text.split()
        draw.shuffle(words)
        orders.append(" ".join(words))
    return orders


def calibrate(right: Sequence[float], wrong: Sequence[float]) -> Calibration:
    """The lowest threshold that accepts at most `MOST_ACCEPTED` of the wrong margins."""
    if not right or not wrong:
        return Calibration(0.5, 0.0, len(right), len(wrong), 0.0, 1.0)  # it abstains
    allowed = int(MOST_ACCEPTED * len(wrong))
    highest = sorted(wrong, reverse=True)
    above = [margin for margin in sorted({*right, *wrong}) if margin > highest[allowed]]
    threshold = above[0] if above else highest[0] + 1.0
    return Calibration(
        area(right, wrong),
        threshold,
        len(right),
        len(wrong),
        sum(margin >= threshold for margin in wrong) / len(wrong),
        sum(margin < threshold for margin in right) / len(right),
    )


def area(right: Sequence[float], wrong: Sequence[float]) -> float:
    """The share of pairs in which the right margin is above the wrong one; ties count half."""
    wins = sum((high > low) + 0.5 * (high == low) for high in right for low in wrong)
    return float(wins / (len(right) * len(wrong)))


def labelled(written: Sequence[Instruction]) -> tuple[list[tuple[Instruction, str]], int]:
    """Labelled responses to free-text instructions, and how many of them, the first ones, are
    right: the canonical answers; then those of other instructions, and their words shuffled."""
    right = [(instruction, instruction.answer) for instruction in written]
    wrong = [
        (instruction, other.answer)
        for instruction in written
        for other in _drawn(instruction, written)[:1]
        if instruction.reasons(other.answer)
    ]
    wrong += [(instruction, shuffles(instruction.answer)[0]) for instruction in written]
    return right + wrong, len(right)


def calibrate_on(
    written: Sequence[Instruction], log_probabilities: LogProbabilities
) -> Calibration:
    """The calibration on labelled responses to `written`, with this model."""
    pairs, count = labelled(written)
    margins = [one.margin for one in likelihoods(pairs, written, log_probabilities)]
    return calibrate(margins[:count], margins[count:])
