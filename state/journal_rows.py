"""The rows of the journal's tables: operations, leases and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Op:
    seq: int
    at: float  # Unix seconds
    lease: str
    run: str | None
    step: str
    phase: str  # intent | done | fail | note
    of: int | None  # the intent that a done or fail settles
    data: dict[str, Any]
    epoch: int


@dataclass(frozen=True)
class Lease:
    id: str  # "l0001"
    at: float
    data: dict[str, Any]
    closed_at: float | None
    outcome: str | None

    @property
    def open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True)
class Run:
    id: str  # "stage1c-0001": also the name of its folder
    stage: str
    number: int
    lease: str
    at: float
    spec: dict[str, Any]
    finished_at: float | None
    outcome: str | None
    result: dict[str, Any]

    @property
    def open(self) -> bool:
        return self.finished_at is None
