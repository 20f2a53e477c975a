"""`progress.json`: what a supervisor found of how its job gets on, for looks at the status."""

from __future__ import annotations

import time

from .. import light_json
from ..contract.codec import ContractError, build, number, plain
from ..contract.status import Progress
from ..light_dataclasses import replace
from . import atomic_files
from .paths import record

TYPE_CHECKING = False  # of `typing`, which a look at the status does without
if TYPE_CHECKING:
    from pathlib import Path

    from .atomic_files import StrPath

NAME = "progress.json"
FRESH_SECONDS = 60.0  # after which nobody follows the job any more


def write(folder: Path, attempt: int, boot_id: str, now: float, progress: Progress) -> None:
    """Small and without fsync: only the newest one matters. Raises OSError."""
    document = {
        "attempt": attempt,
        "boot_id": boot_id,
        "monotonic": now,
        "progress": plain(progress),
    }
    atomic_files.write(folder / NAME, light_json.dumps(document).encode() + b"\n", sync=False)


def read(folder: StrPath, attempt: int, boot_id: str) -> Progress | None:
    """What the supervisor of this attempt found last; None where none follows it now.

    Raises OSError, and nothing for whatever a job may have written there.
    """
    value = record(f"{folder}/{NAME}") or {}
    if (value.get("attempt"), value.get("boot_id")) != (attempt, boot_id):
        return None
    age = time.monotonic() - (number(value.get("monotonic")) or 0.0)
    if not 0 <= age <= FRESH_SECONDS:
        return None
    try:
        progress: Progress = build(Progress, value.get("progress"), "Progress")
    except ContractError:
        return None
    return (
        progress
        if progress.step_age is None
        else replace(progress, step_age=progress.step_age + age)
    )
