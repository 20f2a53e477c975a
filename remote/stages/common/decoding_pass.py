"""One pass of a system over the instructions, which names a set of responses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DecodingPass:
    """Temperature 0 is greedy decoding."""

    system: str  # the adapter's name
    temperature: float = 0.0
    sample: int = 0
