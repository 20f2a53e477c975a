"""The limits that a pod's guard keeps, and what it reports."""

from ..light_dataclasses import dataclass, replace
from .codec import SCHEMA

GUARD_SILENT_SECONDS = 60.0  # a guard that lives writes guard.json every few seconds


@dataclass(frozen=True)
class GuardLimits:
    """Seconds by monotonic clocks.

    Boot grace and hard cap count over a container that restarts unvisited as over one boot.
    """

    boot_grace: float = 2700.0  # booted and no controller ever came
    idle: float = 1200.0  # no job and no call of a controller
    hard_cap: float = 86400.0  # whatever happens, since this boot
    schema: int = SCHEMA


@dataclass(frozen=True)
class GuardReport:
    """The guard's report on itself. `armed` only after it has read its own pod.

    `denied`: the API refuses that its key reads the pod, and never let it; it may stop it or not.
    """

    boot_id: str
    armed: bool
    detail: str
    phase: str  # boot | idle | job | done | warm
    stops_in_seconds: float | None
    hard_cap_in_seconds: float | None
    age_seconds: float | None = (
        None  # seconds since the report, by the pod's clock; set by the reader
    )
    denied: bool = False
    schema: int = SCHEMA

    def aged(self, age: float) -> "GuardReport":
        """The report `age` seconds after it was written: silence disarms, and so does a future."""
        if 0 <= age <= GUARD_SILENT_SECONDS:
            return replace(self, age_seconds=age)
        text = f"silent for {age:.0f} s" if age > 0 else "not heard since this boot"
        return self.silenced(f"the guard was {text}", age if age > 0 else None)

    def silenced(self, detail: str, age: float | None = None) -> "GuardReport":
        """The report of a guard whose state is unknown, so that its limits do not count."""
        return GuardReport(self.boot_id, False, detail, self.phase, None, None, age)
