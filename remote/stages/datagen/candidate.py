"""A generated response before it is filtered."""

from __future__ import annotations

from dataclasses import dataclass

from ..verification.instruction import Instruction


@dataclass(frozen=True)
class Candidate:
    """`prompt` is the one that was used, drawn by `seed`; `finished` is one of
    `model.stop_reasons`."""

    instruction: Instruction
    prompt: str
    response: str
    finished: str
    attempt: int = 0  # at this instruction, from 0
    seed: int = 0
    tokens: int = 0  # generated, the end included
    margin: float | None = None  # of the critic, in nats
