"""The supervisor's polling intervals in seconds, settable through the environment."""

from __future__ import annotations

import os

from ..light_dataclasses import dataclass


@dataclass(frozen=True)
class Intervals:
    """`PODCTL_PACE_TICK=0.05` and so on; anything unreadable leaves the default."""

    tick: float = 0.1  # signals, the job's end, an eviction
    heartbeat: float = 1.0  # heartbeat.json, stop requests, the owner
    sample: float = 5.0  # GPU, CPU, memory, disk
    settle: float = 3.0  # an output unchanged for so long is finished
    scan: float = 2.0  # looking for finished outputs
    absent: float = 600.0  # without a call of a controller, after which the user is notified

    @classmethod
    def from_environment(cls) -> Intervals:
        values = {}
        for name in vars(cls()):
            try:
                value = float(os.environ.get(f"PODCTL_PACE_{name.upper()}", ""))
            except ValueError:
                continue
            if 0.001 <= value <= 3600:
                values[name] = value
        return cls(**values)
