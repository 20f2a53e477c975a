"""A set of instructions, divided into the parts that stages train on and measure on."""

from __future__ import annotations

from dataclasses import dataclass

from ..verification.instruction import Instruction


@dataclass(frozen=True)
class InstructionSet:
    """`pool` holds the labelled few-shot examples, of all four types.

    `critic` holds instructions that no rule can check: they are scored apart and never count as
    a success. They are in no other part.
    """

    name: str
    train: tuple[Instruction, ...]
    development: tuple[Instruction, ...]
    held_out: tuple[Instruction, ...]
    pool: tuple[Instruction, ...]
    critic: tuple[Instruction, ...] = ()
    version: int = 1  # raised whenever an instruction or a verifier changes
