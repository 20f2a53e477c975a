"""Judges candidates by every filter; the first that objects names the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..text.near_duplicates import normalised, overlaps
from ..verification.instruction import Instruction
from .answer_label import without_label
from .candidate import Candidate
from .filters import FILTERS

MEASURED, DUPLICATE, WRONG, DOUBTED = "near_measured", "duplicate", "wrong", "doubted"
RULES = {
    "refusal": "begins by declining",
    "runaway": "goes on into a new prompt",
    "cut_off": "ended by its length: neither the delimiter nor an end of text came",
    "malformed": "blank, template text, broken characters, a label, or stuck",
    "short": "50 characters or fewer although its instruction allows more",
    MEASURED: "the instruction or a line of the response is, nearly is or holds an instruction of "
    "the held-out or development set",
    DUPLICATE: "instruction and response are there already",
    WRONG: "the verifier says that it is wrong",
    DOUBTED: "the critic's margin is below critic_margin (only with critic)",
}
PASSED = "pass"


@dataclass(frozen=True)
class Judged:
    """`verdicts` has one entry a filter that ran: PASSED or why not."""

    candidate: Candidate
    verdicts: dict[str, str]
    reasons: tuple[str, ...]  # of the verifier; empty when the response is correct

    @property
    def removed_by(self) -> str | None:
        """The first filter that objects, or None: the candidate is kept."""
        return next((name for name, verdict in self.verdicts.items() if verdict != PASSED), None)


@dataclass(frozen=True)
class Policy:
    """Further conditions, and the measured instructions that nothing may overlap."""

    measured: tuple[Instruction, ...]
    verified_only: bool = False
    critic_margin: float | None = None  # None: no critic


class Selection:
    """Judges candidates in the order in which they come, and stores the verdicts."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._texts = [instruction.text for instruction in policy.measured]
        self._seen: set[str] = set()
        self.judged: list[Judged] = []

    @property
    def kept(self) -> list[Judged]:
        return [judged for judged in self.judged if judged.removed_by is None]

    def add(self, candidates: Sequence[Candidate]) -> list[Judged]:
        """Judges further candidates, without the labels before their answers; the verdicts."""
        candidates = [without_label(candidate) for candidate in candidates]
        overlapping = near_measured(candidates, self._texts)
        new = [
            self._judge(candidate, near)
            for candidate, near in zip(candidates, overlapping, strict=True)
        ]
        self.judged += new
        return new

    def fill_up(self, count: int) -> int:
        """Keeps wrong responses too until `count` are kept: the first to each instruction without
        a right one, to which nothing else was objected. Returns how many."""
        answered = {judged.candidate.instruction.text for judged in self.kept}
        missing, filled = count - len(self.kept), 0
        for place, judged in enumerate(self.judged):
            text = judged.candidate.instruction.text
            objections = {name for name, why in judged.verdicts.items() if why != PASSED}
            if filled < missing and objections == {WRONG} and text not in answered:
                verdicts = {name: why for name, why in judged.verdicts.items() if name != WRONG}
                self.judged[place] = replace(judged, verdicts=verdicts)
                answered.add(text)
                filled += 1
        return filled

    def _judge(self, candidate: Candidate, near: str | None) -> Judged:
        objections = {name: rule(candidate) for name, rule in FILTERS.items()}
        objections[MEASURED] = near
        objections[DUPLICATE] = duplicate(candidate, self._seen)
        reasons = candidate.instruction.reasons(candidate.response)
        if self._policy.verified_only:
            objections[WRONG] = "; ".join(reasons) or None
        if self._policy.critic_margin is not None:
            objections[DOUBTED] = doubted(candidate, self._policy.critic_margin)
        verdicts = {name: why or PASSED for name, why in objections.items()}
        judged = Judged(candidate, verdicts, reasons)
        if judged.removed_by is None:
            self._seen.add(identity(candidate))
        return judged


def identity(candidate: Candidate) -> str:
    """Equal for candidates that say the same to the same instruction."""
    return f"{normalised(candidate.instruction.text)}\n{normalised(candidate.response)}"


def duplicate(candidate: Candidate, seen: set[str]) -> str | None:
    """The same response to the same instruction was kept before."""
    again = identity(candidate) in seen
    return "the same instruction and response were kept before" if again else None


def doubted(candidate: Candidate, least: float) -> str | None:
    """The critic does not prefer "right" by `least` nats."""
    if candidate.margin is None or candidate.margin >= least:
        return None
    return f"margin {candidate.margin:.3f}, need {least:g}"


def near_measured(candidates: Sequence[Candidate], measured: Sequence[str]) -> list[str | None]:
    """For each candidate which of the `measured` instructions it holds, or None."""
    lines = [
        (place, line)
        for place, candidate in enumerate(candidates)
        for line in (
            candidate.instruction.text,
            *candidate.response.splitlines(),
            candidate.response,
        )
        if line.strip()
    ]
    objections: list[str | None] = [None] * len(candidates)
    for near in overlaps([line for _, line in lines], measured):
        place, line = lines[near.candidate]
        objections[place] = objections[place] or (
            f"{line.strip()[:80]!r} is {near.similarity:.0%} the same as, or holds, "
            f"{measured[near.other][:80]!r}"
        )
    return objections
