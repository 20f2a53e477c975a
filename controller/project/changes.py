"""What a command line changes in podctl.toml for one run: `--set`, `--gpu`. Light: no pydantic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from controller.errors import UsageError

GPUS = "hardware.gpus"
PRICE = "hardware.max_usd_per_hour"


@dataclass(frozen=True)
class Changes:
    """Keys of stages with their values as typed, and the stages that they are for."""

    values: tuple[tuple[str, str], ...] = ()
    stages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values)

    @property
    def keys(self) -> frozenset[str]:
        """The keys below a stage's table; `train.hardware.gpus` is `hardware.gpus`."""
        names = [key for key, _ in self.values]
        inner = [key.partition(".")[2] for key in names if key.partition(".")[0] in self.stages]
        return frozenset((*names, *inner))

    @property
    def record(self) -> dict[str, list[str]]:
        """For the journal: what was typed; nothing where nothing was."""
        return {RECORD: [f"{key}={value}" for key, value in self.values]} if self else {}


_SAME = {"gpu_count": "hardware.gpu_count", "requirements": "environment.lock"}
NO_CHANGES = Changes()
RECORD = "overrides"  # in a run's specification


def changes_of(
    stages: Sequence[str],
    assignments: Sequence[str],
    gpus: Sequence[str] = (),
    max_usd_per_hour: float | None = None,
) -> Changes:
    """The changes that the options ask for. Raises UsageError."""
    values = [_pair(one) for one in assignments]
    values += [(GPUS, json.dumps(list(gpus)))] if gpus else []
    values += [(PRICE, f"{max_usd_per_hour:g}")] if max_usd_per_hour is not None else []
    keys = [_SAME.get(key, key) for key, _ in values]
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"{key} is set twice", where="--set")
    return Changes(tuple(values), tuple(stages))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(
            f"--set {text}: must be KEY=VALUE",
            hint="--set parameters.learning_rate=1e-4, --set max_hours=2",
        )
    return key.strip(), value
