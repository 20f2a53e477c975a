"""Delays of a lease that differ from the planner's defaults on a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Fields of `controller.planner.policy.Policy`, in seconds. The emulator runs on this
# machine: it responds at once, its pods boot in a second, and its bill is current.
EMULATOR = {
    "poll": 1.0,
    "poll_boot": 0.3,
    "poll_ready": 0.3,
    "poll_log": 1.0,
    "ask_again": 2.0,
    "capacity_pause": 2.0,
    "guard": 15.0,
    "denied": 5.0,
    "bill_lag": 0.0,
    "incident_pause": 1.0,
    "overtime": 60.0,
    "last_pull": 60.0,
    "stop_grace": 90.0,
    "bare_grace": 90.0,
    "abandon_grace": 30.0,
}


def policy_delays(provider: str) -> Mapping[str, Any]:
    """Maps field names to seconds; empty for providers with the default delays."""
    return EMULATOR if provider == "emulator" else {}
