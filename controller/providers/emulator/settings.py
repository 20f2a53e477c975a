"""Settings of one emulator: boot times, credit, quotas."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

KNOWN_KEY = "rpa_emulator"  # if requested at the start; else every start generates a key
KEY_FILE = "emulator.json"  # {"base_url", "api_key", "pid"}, mode 0600


def new_key() -> str:
    """A random key, with a prefix that distinguishes it from an account's key."""
    return f"{KNOWN_KEY}_{secrets.token_urlsafe(24)}"


@dataclass(frozen=True)
class Quota:
    """Requests allowed to one key in each window."""

    minute: int = 600
    hour: int = 20_000
    day: int = 200_000


@dataclass(frozen=True)
class EmulatorSettings:
    """Seconds and US dollars. The defaults suit interactive use; tests boot faster."""

    boot_seconds: float = 3.0  # from create or start to RUNNING
    runtime_seconds: float = 0.5  # from RUNNING to the first `runtime`
    stop_seconds: float = 2.0  # SIGTERM to SIGKILL when a pod is stopped
    evict_seconds: float = 5.0  # the same when its host evicts it
    restart_seconds: float = 1.0  # pause before a container whose command ended runs again
    balance_usd: float = 100.0  # credit of a new account
    mode: str = "auto"  # of containers: namespace | process | auto
    leave_pods: bool = False  # when the emulator ends: leave pods running, else stop them
    quota: Quota = Quota()
    record_traffic: bool = False  # every REST exchange into traffic.jsonl
