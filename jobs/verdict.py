"""The verdict of a criterion: PASS, FAIL, or INCONCLUSIVE when there is too little data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Measured = float | int | str | bool | None  # what a lock can hold
MAX_TEXT = 300  # characters of a measured value or detail


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


Outcome = tuple[Verdict, Measured, str]


@dataclass(frozen=True)
class Finding:
    """One criterion judged. `measured` is the value seen, None when nothing could be measured.

    `accepted` is the user's reason to lock the stage without a PASS of it.
    """

    criterion: str
    status: Verdict
    measured: Measured
    detail: str
    accepted: str = ""

    @property
    def met(self) -> bool:
        return self.status is Verdict.PASS or bool(self.accepted)

    def as_dict(self) -> dict[str, Measured]:
        document: dict[str, Measured] = {
            "criterion": self.criterion,
            "status": str(self.status),
            "measured": self.measured,
            "detail": self.detail,
        }
        return document | ({"accepted": self.accepted} if self.accepted else {})


def plain(text: str) -> str:
    """Text of a pod, made printable and short, for locks and the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_TEXT])


def verdict(holds: bool) -> Verdict:
    return Verdict.PASS if holds else Verdict.FAIL
