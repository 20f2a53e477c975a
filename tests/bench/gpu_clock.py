"""Medians of measurements on a GPU."""

from __future__ import annotations

import statistics
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.output import say

CARD = 48 * 10**9  # bytes of the smaller card whose memory is imitated


@contextmanager
def card_of(size: int) -> Iterator[None]:
    """Leaves this process `size` bytes of the GPU's memory."""
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, size / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@dataclass(frozen=True)
class Rate:
    what: str
    values: tuple[float, ...]  # none where it failed
    note: str

    @property
    def line(self) -> str:
        """A row of the table."""
        if not self.values:
            return f"| {self.what} | failed | | {self.note} |"
        spread = f"{min(self.values):,.1f} … {max(self.values):,.1f}"
        return f"| {self.what} | {statistics.median(self.values):,.1f} | {spread} | {self.note} |"


def median_of(what: str, repeats: int, measure: Callable[[], tuple[float, str]]) -> Rate:
    """`repeats` results of `measure`; the note is of the last."""
    values, note = [], ""
    for _ in range(repeats):
        try:
            value, note = measure()
        except Exception as error:
            traceback.print_exc(limit=-6)
            return Rate(what, tuple(values), f"{type(error).__name__}: {str(error)[:200]}")
        values.append(value)
    rate = Rate(what, tuple(values), note)
    say(rate.line)
    return rate
