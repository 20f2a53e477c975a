"""One instruction with its canonical answer and its specification of a correct response."""

from __future__ import annotations

from dataclasses import dataclass

from .verifier import Check, verify

TYPES = ("completion", "qa", "generation", "response")
CRITIC = "critic"  # the kind of what no rule can check; scored apart, never counted as a success


@dataclass(frozen=True)
class Instruction:
    """`type` is one of `TYPES`, `kind` the family of its template; `checks` as in `verifier`."""

    text: str
    type: str
    kind: str
    answer: str
    checks: tuple[Check, ...]

    def reasons(self, response: str) -> tuple[str, ...]:
        """Why `response` is wrong; empty when it is correct."""
        return verify(self.checks, response)

    @property
    def value(self) -> str:
        """The value that is asked for, without the sentence that states it; or the answer."""
        first = self.checks[0]
        if first.get("check") in ("states", "answer"):
            return str(first["values"][0])
        return str(first["value"]) if first.get("check") == "decides" else self.answer

    @property
    def form_only(self) -> bool:
        """Whether a rule sees the form of a response and not its sense: free text."""
        return any(check.get("check") == "written" for check in self.checks)
