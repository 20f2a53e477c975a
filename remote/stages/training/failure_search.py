"""Decides which instructions the SFT model is asked next, until it has failed often enough.

Hard kinds come first: by their success on the development set at the beginning, then by what was
sampled so far. So a better model is not asked ever more often, and a budget ends the search.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..common.parameters import DpoParameters
from ..common.records import CANONICAL, PreferencePair, SystemResponse
from ..instructions.instruction_set import InstructionSet
from ..verification.instruction import Instruction
from . import preference_pairs
from .preference_pairs import CORRUPTED, SAMPLED, Candidate

CHUNK = 512  # answers that are asked for at once; fills the slots of a large GPU
LEAST_CHUNK = 64
PRIOR = 4.0  # answers that the development set's rate of a kind counts for
UNKNOWN_RATE = 0.5  # of failures, of a kind that nothing is known of
OWN_TRIES = 4  # samples of an instruction, for a right answer of the model's own
ENOUGH = "enough pairs"

# The answers to instructions, each of them sample number so and so; None when stopped.
Ask = Callable[[Sequence[Instruction], int], "list[SystemResponse] | None"]


@dataclass
class FailureSearch:
    """What was sampled so far; the next instructions depend on that alone.

    Attributes:
        failure_rates: by kind, the share of wrong answers on the development set.
    """

    candidates: Sequence[Candidate]
    parameters: DpoParameters
    failure_rates: Mapping[str, float] = field(default_factory=dict)
    records: list[SystemResponse] = field(default_factory=list)
    usable: list[SystemResponse] = field(default_factory=list)
    _samples: Counter[str] = field(default_factory=Counter)  # by instruction
    _asked: Counter[str] = field(default_factory=Counter)  # by kind
    _wrong: Counter[str] = field(default_factory=Counter)  # by kind

    def run(self, ask: Ask, chosen: InstructionSet, tell: Callable[[str], None]) -> bool:
        """Samples until there are enough pairs or the budget is spent; False when stopped."""
        while task := self.next_task():
            instructions, sample = task
            records = ask(instructions, sample)
            if records is None:
                return False
            self.add(records, preference_pairs.usable_samples(records, chosen))
            count = len(self.pairs())
            tell(f"{len(self.records)} answers sampled, {self.wrong} wrong; {count} pairs")
        return True

    def add(self, records: Sequence[SystemResponse], usable: Sequence[SystemResponse]) -> None:
        self.records += records
        self.usable += usable
        for record in records:
            self._samples[record.instruction] += 1
            self._asked[record.kind] += 1
            self._wrong[record.kind] += record.correct is False

    @property
    def wrong(self) -> int:
        return self._wrong.total()

    def pairs(self) -> list[PreferencePair]:
        """Of the failures so far; a chosen answer is the model's own where it has a right one."""
        return preference_pairs.sampled_pairs(self.own_first(), self.usable, self.parameters)

    def own_first(self) -> list[Candidate]:
        """The candidates with a right sample in place of another answer.

        Not for free text: a verifier that sees its form only does not say that it is right.
        """
        right: dict[str, str] = {}
        for record in self.usable:
            if record.correct and not record.form_only:
                right.setdefault(record.instruction, record.response)
        return [
            replace(candidate, chosen=right[candidate.instruction.text], source=SAMPLED)
            if candidate.instruction.text in right
            else candidate
            for candidate in self.candidates
        ]

    def next_task(self) -> tuple[list[Instruction], int] | None:
        """Instructions to ask next, and the number of the sample; None when the search is over."""
        left = self.parameters.sample_budget - len(self.records)
        if left <= 0:
            return None
        pairs = self.pairs()
        missing = self.parameters.pairs - len(pairs)
        if missing <= 0:
            return self._for_own_answers(pairs, left)
        by_sample: dict[int, list[tuple[float, int]]] = {}
        for place, candidate in enumerate(self.candidates):
            done = self._samples[candidate.instruction.text]
            if done < self.parameters.rounds:
                score = self.failure_rate(candidate.instruction.kind) / (1 + done)
                by_sample.setdefault(done, []).append((-score, place))
        if not by_sample:
            return None
        tops = {sample: sorted(ranked)[:CHUNK] for sample, ranked in by_sample.items()}
        sample = min(tops, key=lambda number: (_mean(tops[number]), number))
        expected = max(-_mean(tops[sample]), 0.02)
        count = min(left, max(LEAST_CHUNK, round(missing / expected)))
        return [self.candidates[place].instruction for _, place in tops[sample][:count]], sample

    def _for_own_answers(
        self, pairs: Sequence[PreferencePair], left: int
    ) -> tuple[list[Instruction], int] | None:
        """Instructions of pairs whose chosen answer is not the model's own yet."""
        canonical = {pair.instruction for pair in pairs if pair.chosen_source == CANONICAL}
        most = min(OWN_TRIES, self.parameters.rounds)
        by_sample: dict[int, list[Instruction]] = {}
        for candidate in self.candidates:
            instruction = candidate.instruction
            done = self._samples[instruction.text]
            if instruction.text in canonical and done < most and not instruction.form_only:
                by_sample.setdefault(done, []).append(instruction)
        if not by_sample:
            return None
        sample = min(by_sample)
        return by_sample[sample][: min(left, CHUNK)], sample

    def failure_rate(self, kind: str) -> float:
        """The estimated share of wrong answers of a kind."""
        prior = self.failure_rates.get(kind, UNKNOWN_RATE)
        return (self._wrong[kind] + PRIOR * prior) / (self._asked[kind] + PRIOR)

    def summary(self, pairs: Sequence[PreferencePair], outcome: str) -> dict[str, Any]:
        """The document on the search; `outcome` is ENOUGH, or why there are too few pairs."""
        asked, made_up = len(self.records), sum(pair.source == CORRUPTED for pair in pairs)
        return {
            "schema": 1,
            "outcome": outcome,
            "finding": self._finding(len(pairs) - made_up, made_up),
            "answers": asked,
            "budget": self.parameters.sample_budget,
            "wrong": self.wrong,
            "failure_rate": self.wrong / asked if asked else None,
            "pairs": len(pairs),
            "made_up": made_up,
            "wanted": self.parameters.pairs,
            "at_least": self.parameters.least_pairs,
            "kinds": {
                kind: {"n": self._asked[kind], "wrong": self._wrong[kind]}
                for kind in sorted(self._asked)
            },
        }

    def _finding(self, failures: int, made_up: int) -> str:
        share = f"{self.wrong / len(self.records):.1%}" if self.records else "none"
        text = (
            f"{self.wrong:,} of {len(self.records):,} sampled answers are wrong ({share}), which "
            f"gives {failures:,} pairs"
        )
        if len(self.records) >= self.parameters.sample_budget:
            text += "; the budget of answers is spent"
        if made_up:
            text += f"; the model failed too rarely, and {made_up:,} failures were made up"
        return f"{text}."


def failure_rates(path: Path) -> dict[str, float]:
    """By kind, the share of wrong answers in the table of development.json at `path`.

    Without the file, or for what is no table, nothing: the search then learns it by sampling.
    """
    try:
        kinds = json.loads(path.read_bytes())["kinds"]
        cells = {str(kind): (int(cell["n"]), int(cell["correct"])) for kind, cell in kinds.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return {}
    return {
        kind: (n - correct + 0.5) / (n + 1)
        for kind, (n, correct) in cells.items()
        if 0 <= correct <= n and n
    }


def _mean(ranked: Sequence[tuple[float, int]]) -> float:
    return sum(score for score, _ in ranked) / len(ranked)
