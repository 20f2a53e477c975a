"""Responses that a pod judged, judged again here: its verdicts and its figures are only a claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .format_check import InvalidFile

MAX_RESPONSE = 100_000  # characters
MAX_NAME = 100  # characters of a system's name
MAX_MODES = 1_000  # systems, temperatures and samples of one file

Mode = tuple[str, float, float]  # system, temperature, sample
Record = Mapping[str, Any]


class AnswerKey(Protocol):
    """What a stage's instructions are, and which responses to them are correct."""

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        """The texts of the named parts of the set. Raises Unopenable when there is no such set."""

    def correct(self, instruction: str, response: str) -> bool:
        """By the instruction's own verifier, in a time that grows as the response does."""


@dataclass
class Tally:
    """Verdicts made here: of each way of asking, by instruction."""

    verdicts: dict[Mode, dict[str, bool]] = field(default_factory=dict)

    def cell(self, system: str) -> dict[str, float]:
        """The greedy success of `system`: {n, correct, rate}, as stages report it.

        Raises Unopenable when it gave no greedy answer: of nothing, nothing is claimed.
        """
        every = [
            verdict
            for mode, of in self.verdicts.items()
            if mode[:2] == (system, 0)
            for verdict in of.values()
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
    verdict_tally = Tally()
    for number, record in records:
        mode, instruction, response = _read(record, number)
        of = verdict_tally.verdicts.setdefault(mode, {})
        if len(verdict_tally.verdicts) > MAX_MODES:
            raise InvalidFile(
                f"record {number}: over {MAX_MODES} systems, temperatures and samples"
            )
        if instruction not in asked or instruction in of:
            problem = "twice" if instruction in of else "of no instruction of the set"
            raise InvalidFile(f"record {number}: an answer {problem}")
        of[instruction] = key.correct(instruction, response)
        if record.get("correct") is not of[instruction]:
            ours = "right" if of[instruction] else "wrong"
            raise InvalidFile(f"record {number}: the answer is {ours}, and something else is said")
    for mode, of in verdict_tally.verdicts.items():
        if len(of) < len(asked):
            named = " ".join(str(part) for part in mode).strip()
            raise InvalidFile(f"{named}: {len(of)} of {len(asked)} instructions")
    return verdict_tally


def _read(record: Record, number: int) -> tuple[Mode, str, str]:
    instruction, response = record.get("instruction"), record.get("response")
    if not isinstance(instruction, str) or not isinstance(response, str):
        raise InvalidFile(f"record {number}: no instruction with its response")
    if len(response) > MAX_RESPONSE:
        raise InvalidFile(f"record {number}: over {MAX_RESPONSE} characters")
    return _mode_of(record, number), instruction, response


def _mode_of(record: Record, number: int) -> Mode:
    """What does not say how it was asked was asked once, greedily."""
    system = record.get("system", "")
    temperature, sample = record.get("temperature", 0.0), record.get("sample", 0)
    if not isinstance(system, str) or len(system) > MAX_NAME:
        raise InvalidFile(f"record {number}: system is not a name")
    if not isinstance(temperature, int | float) or not isinstance(sample, int | float):
        raise InvalidFile(f"record {number}: temperature and sample are not numbers")
    return system, temperature, sample
