"""The fault schedule of a history, drawn from one seed: the same seed gives the same history."""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field

LEVELS = (0.0, 0.02, 0.05, 0.1)  # chance that one call goes wrong
CALM_AT = 30 * 3600.0  # seconds: no fault occurs after this


@dataclass
class Tally:
    """Counts of what happened in a history."""

    effects: int = 0
    kills: int = 0
    lids: int = 0
    faults: int = 0
    deaths: int = 0  # of pods' hosts, evictions and lost disks
    surprises: int = 0  # histories with an unexpected exception

    def add(self, other: Tally) -> None:
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class FaultSchedule:
    """The faults of one history."""

    seed: int
    # Faults that are frequent in this history. Half of the calls fail for: create, write, delete,
    # pull, hidden, odd, console. Others: late (a create commits late), kill, lid (the machine is
    # suspended), two (controllers), stop. A seeded bug that shows in one of a thousand histories
    # shows in some of these.
    bias: frozenset[str] = frozenset()
    random: random.Random = field(init=False)
    tally: Tally = field(default_factory=Tally)
    calm: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.level = self.random.choice(LEVELS)
        self.kill = self.random.choice((0.0, 0.0, 0.004, 0.015, 0.04))  # at one effect
        self.lid = self.random.choice((0.0, 0.0, 0.003, 0.01))
        self.never_back = self.random.random() < 0.05
        self.two = self.random.random() < 0.2  # two controllers
        self.network_volume = self.random.random() < 0.25
        self.kill = 0.04 if "kill" in self.bias else self.kill
        self.lid = 0.04 if "lid" in self.bias else self.lid
        self.two = self.two or "two" in self.bias

    @property
    def keep_warm(self) -> float:
        """Seconds for which the pod of a failed run waits; such histories have many failures.

        Drawn apart from the other faults, which are the same for a seed with and without it.
        """
        drawn = zlib.crc32(f"{self.seed} warm".encode())
        if "warm" not in self.bias and (self.bias or drawn % 4):
            return 0.0
        return (600.0, 3600.0)[drawn // 4 % 2]

    def strikes(self, share: float = 1.0, kind: str = "") -> bool:
        """Whether this call fails; its probability is `share` times the history's level."""
        level = 0.5 if kind in self.bias else self.level * share
        hit = not self.calm and self.random.random() < level
        self.tally.faults += hit
        return hit

    def chance(self, probability: float) -> bool:
        return not self.calm and self.random.random() < probability

    def between(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def choose(self, *choices: str) -> str:
        return self.random.choice(choices)
