"""What was predicted of each stage's newest run, beside the speed that the stage measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from controller.costs.plan_spending import Expected
from controller.engine.lease_context import terms
from controller.planner.journal_fold import lease_state_of
from controller.project.project import Project
from state.journal import Journal

LARGEST_LOG = 64 * 1024 * 1024  # bytes of a training log that is read
# Where a stage's program writes its speed: file, and key in it or in its last line.
_SPEEDS = {
    "stage1b": ("data/stage1/data_quality.json", ("cost", "tokens_per_second")),
    "stage1c": ("checkpoints/stage1_sft/training_log.jsonl", ("tokens_per_s",)),
    "stage1d": ("checkpoints/stage1_dpo/training_log.jsonl", ("tokens_per_s",)),
}


def expected_of(project: Project, journal: Journal, stages: Iterable[str]) -> dict[str, Expected]:
    """By stage; without those that never ran, or that were not predicted."""
    return {name: expected for name in stages for expected in _expected(project, journal, name)}


def _expected(project: Project, journal: Journal, stage: str) -> Iterator[Expected]:
    runs = journal.runs(stage)
    lease = journal.lease(runs[-1].lease) if runs else None
    if lease is None:
        return
    recorded = terms(journal, lease, runs[-1].id).get("expected") or {}
    state = lease_state_of(journal, lease.id)
    prediction = recorded.get("stages", {}).get(stage, {}).get(state.offer)
    if prediction is not None:
        yield Expected(
            hours=prediction["hours"],
            usd_per_hour=state.quoted_usd_per_hour,
            source=prediction["source"],
            planned_speed=prediction["tokens_per_second"],
            speed=_speed(project, stage),
        )


def _speed(project: Project, stage: str) -> float | None:
    """Tokens per second as the stage's outputs have them; None for stages that write none."""
    name, keys = _SPEEDS.get(stage, ("", ()))
    path = project.root / name
    try:
        if not keys or path.stat().st_size > LARGEST_LOG:
            return None
        raw = path.read_bytes().strip()
        value: Any = json.loads(raw.splitlines()[-1] if name.endswith("l") else raw)
        for key in keys:
            value = value[key]
        speed = float(value)
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return speed if 0 < speed < 1e9 else None
