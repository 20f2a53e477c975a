"""Which slots have ended, as the host sees it."""

from __future__ import annotations

from collections import deque
from typing import Any

import torch


class Flags:
    """Flags that are read one step late so that the device never waits for the host."""

    def __init__(self, slots: int, device: Any) -> None:
        self._cuda = device.type == "cuda"
        make = {"dtype": torch.bool, "pin_memory": self._cuda}
        self._host = [torch.zeros(slots, **make) for _ in range(2)]
        event: Any = torch.cuda.Event
        self._events = [event() for _ in range(2)] if self._cuda else []
        self._numbers: deque[tuple[int, int]] = deque(maxlen=2)  # step, and its half of `_host`
        self._half = 0

    def write(self, number: int, over: Any) -> None:
        self._half = 1 - self._half
        self._host[self._half].copy_(over, non_blocking=True)
        if self._cuda:
            self._events[self._half].record()
        self._numbers.append((number, self._half))

    def read(self) -> tuple[int, list[bool]]:
        number, half = self._numbers[0 if self._cuda else -1]
        if self._cuda:
            self._events[half].synchronize()
        return number, self._host[half].tolist()
