"""Judges a pod's responses again on the laptop: the pod's verdicts are only claims."""

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
    """A stage's instructions, and which responses to them are correct."""

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        """The texts of the named parts of the set. Raises InvalidFile when there is no such set."""

    def counts(self, instruction: str) -> bool:
        """Whether the headline counts it: not where a rule sees the form of a response only."""

    def correct(self, instruction: str, response: str) -> bool:
        """By the instruction's own verifier, in a time that grows as the response does."""


@dataclass
class Tally:
    """The laptop's verdicts, by sampling mode and instruction."""

    verdicts: dict[Mode, dict[str, bool]] = field(default_factory=dict)
    form_only: set[str] = field(default_factory=set)  # instructions that no headline counts

    def cell(self, system: str) -> dict[str, float]:
        """The greedy success of `system`: {n, correct, rate}, as stages report it.

        Raises InvalidFile when there is no greedy response.
        """
        every = [
            verdict
            for mode, of in self.verdicts.items()
            if mode[:2] == (system, 0)
            for instruction, verdict in of.items()
            if instruction not in self.form_only
        ]
        if not every:
            raise InvalidFile(f"no greedy answer of {system or 'the model'}")
        return {"n": len(every), "correct": sum(every), "rate": sum(every) / len(every)}


def tally(records: Iterable[tuple[int, Record]], key: AnswerKey, parts: Collection[str]) -> Tally:
    """Judge every record. Raises InvalidFile for the first that is not right.

    Each mode has to answer each instruction of the parts exactly once, because an omitted or
    repeated response changes a rate as a wrong verdict does.
    """
    asked = set(key.instructions(parts))
    verdict_tally = Tally(form_only={text for text in asked if not key.counts(text)})
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
    """The record's sampling mode; without one it is one greedy response."""
    system = record.get("system", "")
    temperature, sample = record.get("temperature", 0.0), record.get("sample", 0)
    if not isinstance(system, str) or len(system) > MAX_NAME:
        raise InvalidFile(f"record {number}: system is not a name")
    if not isinstance(temperature, int | float) or not isinstance(sample, int | float):
        raise InvalidFile(f"record {number}: temperature and sample are not numbers")
    return system, temperature, sample
