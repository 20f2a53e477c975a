"""Responses that a pod judged, judged again here: its verdicts and its figures are only a claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .format_check import InvalidFile

MAX_RESPONSE = 100_000  # characters
MAX_NAME = 100  # characters of a system's name
MAX_WAYS = 1_000  # systems, temperatures and samples of one file

Way = tuple[str, float, float]  # system, temperature, sample
Record = Mapping[str, Any]


class AnswerKey(Protocol):
    """What a stage's instructions are, and which responses to them are correct."""

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        """The texts of the named parts of the set. Raises Unopenable when there is no such set."""

    def counts(self, instruction: str) -> bool:
        """Whether the headline counts it: not where a rule sees the form of a response only."""

    def correct(self, instruction: str, response: str) -> bool:
        """By the instruction's own verifier, in a time that grows as the response does."""


@dataclass
class Tally:
    """Verdicts made here: of each way of asking, by instruction."""

    verdicts: dict[Way, dict[str, bool]] = field(default_factory=dict)
    form_only: set[str] = field(default_factory=set)  # instructions that no headline counts

    def cell(self, system: str) -> dict[str, float]:
        """The greedy success of `system`: {n, correct, rate}, as stages report it.

        Raises Unopenable when it gave no greedy answer: of nothing, nothing is claimed.
        """
        every = [
            verdict
            for way, of in self.verdicts.items()
            if way[:2] == (system, 0)
            for instruction, verdict in of.items()
            if instruction not in self.form_only
        ]
        if not every:
            raise InvalidFile(f"no greedy answer of {system or 'the model'}")
        return {"n": len(every), "correct": sum(every), "rate": sum(every) / len(every)}


def tally(records: Iterable[tuple[int, Record]], key: AnswerKey, parts: Collection[str]) -> Tally:
    """Judge every record. Raises Unopenable for the first that is not right.

    Each way has to answer each instruction of the parts, and once: what is left out or said twice
    moves a share as a wrong verdict does.
    """
    asked = set(key.instructions(parts))
    found = Tally(form_only={text for text in asked if not key.counts(text)})
    for number, record in records:
        way, instruction, response = _read(record, number)
        of = found.verdicts.setdefault(way, {})
        if len(found.verdicts) > MAX_WAYS:
            raise InvalidFile(f"record {number}: over {MAX_WAYS} systems, temperatures and samples")
        if instruction not in asked or instruction in of:
            what = "twice" if instruction in of else "of no instruction of the set"
            raise InvalidFile(f"record {number}: an answer {what}")
        of[instruction] = key.correct(instruction, response)
        if record.get("correct") is not of[instruction]:
            ours = "right" if of[instruction] else "wrong"
            raise InvalidFile(f"record {number}: the answer is {ours}, and something else is said")
    for way, of in found.verdicts.items():
        if len(of) < len(asked):
            named = " ".join(str(part) for part in way).strip()
            raise InvalidFile(f"{named}: {len(of)} of {len(asked)} instructions")
    return found


def _read(record: Record, number: int) -> tuple[Way, str, str]:
    instruction, response = record.get("instruction"), record.get("response")
    if not isinstance(instruction, str) or not isinstance(response, str):
        raise InvalidFile(f"record {number}: no instruction with its response")
    if len(response) > MAX_RESPONSE:
        raise InvalidFile(f"record {number}: over {MAX_RESPONSE} characters")
    return _way(record, number), instruction, response


def _way(record: Record, number: int) -> Way:
    """What does not say how it was asked was asked once, greedily."""
    system = record.get("system", "")
    temperature, sample = record.get("temperature", 0.0), record.get("sample", 0)
    if not isinstance(system, str) or len(system) > MAX_NAME:
        raise InvalidFile(f"record {number}: system is not a name")
    if not isinstance(temperature, int | float) or not isinstance(sample, int | float):
        raise InvalidFile(f"record {number}: temperature and sample are not numbers")
    return system, temperature, sample
