"""The result of one crash case."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.crash.case import Case


@dataclass
class Result:
    """The result of one case."""

    case: Case
    violations: list[str] = field(default_factory=list)
    processes: int = 0
    kills: int = 0
    stops: int = 0
    errors: int = 0  # injected
    requests: int = 0  # that the provider saw
    starts: int = 0  # of the job
    pods: int = 0
    seconds: float = 0.0
    off_usd: float = 0.0  # ledger against bill, the worst pod
    off_seconds: float = 0.0  # the same in seconds of its rate
    boundaries: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
