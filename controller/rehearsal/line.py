"""One phase of a rehearsal, as it is shown."""

from __future__ import annotations

from dataclasses import dataclass

PASS, FAIL, SKIP = "PASS", "FAIL", "SKIP"
OPEN = "INCONCLUSIVE"  # it was played, and does not tell


@dataclass(frozen=True)
class FindingLine:
    """What a phase showed; `mend` says what to change after a FAIL."""

    phase: str
    status: str
    detail: str
    mend: str = ""
