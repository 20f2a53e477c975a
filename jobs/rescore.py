"""Judges a pod's responses again on the laptop: the pod's verdicts are only claims."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .format_check import InvalidFile

MAX_RESPONSE = 100_000  # characters
MAX_NAME = 100  # characters of a system's name
MAX_NUMBER = 1e6  # a temperature, or the number of a sample
MAX_MODES = 1_000  # systems, temperatures and samples of one file

Mode = tuple[str, float, float]  # system, temperature, sample
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """One response, judged here; it is correct where nothing is wrong with it."""

    response: str
    reasons: tuple[str, ...]

    @property
    def correct(self) -> bool:
        return not self.reasons


class AnswerKey(Protocol):
    """A stage's instructions, which responses to them are correct, and what follows from those."""

    def instructions(self, parts: Collection[str]) -> Collection[str]:
        """The texts of the named parts of the set. Raises InvalidFile when there is no such set."""

    def counts(self, instruction: str) -> bool:
        """Whether the headline counts it: not where a rule sees the form of a response only."""

    def reasons(self, instruction: str, response: str) -> Sequence[str]:
        """Why the response is wrong, by the instruction's own verifier, in a time that grows as
        the response does; nothing for a correct one."""

    def statistics(self, tally: Tally, files: Path, report: str, claimed: Record) -> Record:
        """What the stage reports at `report`, computed from the responses of `tally`.

        `files` is the folder of the run's files; `claimed` is the pod's report, of which only what
        cannot be computed here is taken. Raises InvalidFile for responses of another comparison.
        """


@dataclass
class Tally:
    """The laptop's verdicts, by sampling mode and instruction."""

    judged: dict[Mode, dict[str, Judged]] = field(default_factory=dict)
    form_only: set[str] = field(default_factory=set)  # instructions that no headline counts

    @property
    def instructions(self) -> int:
        """How many were answered in every mode."""
        return min((len(of) for of in self.judged.values()), default=0)

    @property
    def responses(self) -> int:
        return sum(len(of) for of in self.judged.values())

    def cell(self, system: str) -> dict[str, float]:
        """The greedy success of `system`: {n, correct, rate}, as stages report it.

        Raises InvalidFile when there is no greedy response.
        """
        every = [
            judged.correct
            for mode, of in self.judged.items()
            if mode[:2] == (system, 0)
            for instruction, judged in of.items()
            if instruction not in self.form_only
        ]
        if not every:
            raise InvalidFile(f"no greedy answer of {system or 'the model'}")
        return {"n": len(every), "correct": sum(every), "rate": sum(every) / len(every)}


@dataclass
class Rescoring:
    """The tallies of one evaluation: criteria on the same responses judge them once."""

    key: AnswerKey
    _tallies: dict[tuple[Path, str | None, Collection[str]], Tally] = field(default_factory=dict)

    def tally(
        self,
        path: Path,
        list_at: str | None,
        parts: Collection[str],
        records: Callable[[], Iterable[tuple[int, Record]]],
    ) -> Tally:
        """Of the responses at `path`, in the list at the key `list_at`, which `records` reads."""
        named = (path, list_at, parts)
        if named not in self._tallies:
            self._tallies[named] = tally(records(), self.key, parts)
        return self._tallies[named]


def tally(records: Iterable[tuple[int, Record]], key: AnswerKey, parts: Collection[str]) -> Tally:
    """Judge every record. Raises InvalidFile for the first that is not right.

    Each mode has to answer each instruction of the parts exactly once, because an omitted or
    repeated response changes a rate as a wrong verdict does.
    """
    asked = set(key.instructions(parts))
    result = Tally(form_only={text for text in asked if not key.counts(text)})
    for number, record in records:
        mode, instruction, response = _read(record, number)
        of = result.judged.setdefault(mode, {})
        if len(result.judged) > MAX_MODES:
            raise InvalidFile(
                f"record {number}: over {MAX_MODES} systems, temperatures and samples"
            )
        if instruction not in asked or instruction in of:
            problem = "twice" if instruction in of else "of no instruction of the set"
            raise InvalidFile(f"record {number}: an answer {problem}")
        judged = of[instruction] = Judged(response, tuple(key.reasons(instruction, response)))
        if record.get("correct") is not judged.correct:
            ours = "right" if judged.correct else "wrong"
            raise InvalidFile(f"record {number}: the answer is {ours}, and something else is said")
    for mode, of in result.judged.items():
        if len(of) < len(asked):
            named = " ".join(str(part) for part in mode).strip()
            raise InvalidFile(f"{named}: {len(of)} of {len(asked)} instructions")
    return result


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
    for value in (temperature, sample):
        if not isinstance(value, int | float) or not abs(value) <= MAX_NUMBER:
            raise InvalidFile(f"record {number}: temperature and sample are not numbers")
    return system, temperature, sample
