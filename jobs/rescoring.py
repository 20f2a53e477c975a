"""Responses that a pod judged, judged again here: its verdicts and its figures are only a claim."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .opening import Unopenable

MAX_RESPONSE = 100_000  # characters

Way = tuple[str, str, str]  # system, temperature, sample
Record = Mapping[str, Any]


class AnswerKey(Protocol):
    """What a stage's instructions are, and which responses to them are correct."""

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        """The texts of the named parts of the set. Raises Unopenable when there is no such set."""

    def correct(self, instruction: str, response: str) -> bool:
        """By the instruction's own verifier."""


@dataclass
class Tally:
    """Verdicts made here: of each way of asking, by instruction."""

    verdicts: dict[Way, dict[str, bool]] = field(default_factory=dict)

    def cell(self, system: str) -> dict[str, float]:
        """The greedy success of `system`: {n, correct, rate}, as stages report it."""
        every = [
            verdict
            for way, of in self.verdicts.items()
            if way[0] == system and way[1] in ("0", "0.0", "None")
            for verdict in of.values()
        ]
        rate = sum(every) / len(every) if every else 0.0
        return {"n": len(every), "correct": sum(every), "rate": rate}


def tally(records: Iterable[tuple[int, Record]], key: AnswerKey, parts: Collection[str]) -> Tally:
    """Judge every record. Raises Unopenable for the first that is not right.

    Each way has to answer each instruction of the parts, and once: what is left out or said twice
    moves a share as a wrong verdict does.
    """
    asked = set(key.instructions(parts))
    found = Tally()
    for number, record in records:
        instruction, response = _texts(record, number)
        of = found.verdicts.setdefault(_way(record), {})
        if instruction not in asked or instruction in of:
            what = "twice" if instruction in of else "of no instruction of the set"
            raise Unopenable(f"record {number}: an answer {what}")
        of[instruction] = key.correct(instruction, response)
        if record.get("correct") is not of[instruction]:
            ours = "right" if of[instruction] else "wrong"
            raise Unopenable(f"record {number}: said to be {record.get('correct')}, is {ours}")
    for way, of in found.verdicts.items():
        if len(of) < len(asked):
            raise Unopenable(f"{' '.join(way)}: {len(of)} of {len(asked)} instructions")
    return found


def _texts(record: Record, number: int) -> tuple[str, str]:
    instruction, response = record.get("instruction"), record.get("response")
    if not isinstance(instruction, str) or not isinstance(response, str):
        raise Unopenable(f"record {number}: no instruction with its response")
    if len(response) > MAX_RESPONSE:
        raise Unopenable(f"record {number}: over {MAX_RESPONSE} characters")
    return instruction, response


def _way(record: Record) -> Way:
    system = record.get("system", "")
    return str(system), str(record.get("temperature")), str(record.get("sample"))
