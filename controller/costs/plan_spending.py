"""The plan's spending so far, as a document that a stage on a pod can report. Pure.

A pod knows neither the ledger nor the other runs, so a summary travels with every run's inputs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.costs.pricing import Spending, spending_by_subject
from jobs.catalog import built_in
from jobs.stage import Stage
from state.interval import Total

PATH = ".podctl/plan_so_far.json"  # inside the work folder
USD_PER_HOUR = 0.86  # of one L40S, for which the `hours` of podctl's own stages are predicted


@dataclass(frozen=True)
class Expected:
    """What was predicted of a stage on the GPU that its newest run has; tokens per second."""

    hours: float
    usd_per_hour: float  # as it was quoted
    source: str  # as `Prediction.source`
    planned_speed: float | None = None
    speed: float | None = None  # measured by the stage


def document(
    stages: Mapping[str, Stage],
    stage: str,
    run: str,
    spent: Iterable[Total],
    usages: Mapping[str, Any],
    *,
    usd_per_hour: float,
    at: float,
    expected: Mapping[str, Expected] | None = None,
) -> bytes:
    """One JSON object: the plan's estimate, and each stage on the way to `stage`, in plan order.

    `spent` are the ledger's totals by stage, `usages` summaries of samples by stage,
    `usd_per_hour` what the pod costs now and `at` the moment, in Unix seconds. `expected` has what
    was predicted, and measured, of the stages that ran.
    """
    known = expected or {}
    wanted = _on_the_way(stages, stage)
    spending_of = {row.subject: row for row in spending_by_subject(spent)}
    stages_ahead = [stage for name, stage in stages.items() if name in wanted]
    rows = [
        _row(stage, spending_of.get(stage.name), usages.get(stage.name), known.get(stage.name))
        for stage in stages_ahead
    ]
    hours, usd = (sum(float(row[key]) for row in rows) for key in ("plan_hours", "plan_usd"))
    plan_total = {
        "schema": 1,
        "at": at,
        "run": run,
        "stage": stage,
        "usd_per_hour": usd_per_hour,
        "plan": {
            "hours": round(hours, 6),
            "usd": round(usd, 4),
            "usd_per_hour": round(usd / hours, 4) if hours else USD_PER_HOUR,
        },
        "stages": rows,
    }
    return json.dumps(plan_total, indent=1, allow_nan=False).encode() + b"\n"


def _row(
    stage: Stage, paid: Spending | None, usage: Any, expected: Expected | None
) -> dict[str, Any]:
    """With a prediction at the price that was paid; else the definition's, at the plan's price."""
    hours, rate = planned_hours(stage), USD_PER_HOUR
    if expected is not None:
        hours = expected.hours
        rate = paid.compute_usd / paid.hours if paid and paid.hours else expected.usd_per_hour
    return {
        "name": stage.name,
        "title": stage.title,
        "plan_hours": round(hours, 6),
        "plan_usd": round(hours * rate, 4),
        "plan_source": expected.source if expected else "hours",
        "plan_tokens_per_second": expected.planned_speed if expected else None,
        "tokens_per_second": expected.speed if expected else None,
        "hours": round(paid.hours, 6) if paid else 0.0,
        "usd": round(paid.usd, 6) if paid else 0.0,
        "usage": usage,
    }


def _on_the_way(stages: Mapping[str, Stage], stage: str) -> set[str]:
    """The stage and everything that it needs, at any depth."""
    wanted, open_ = set(), [stage]
    while open_:
        name = open_.pop()
        if name not in wanted and name in stages:
            wanted.add(name)
            open_ += stages[name].needs
    return wanted


def planned_hours(stage: Stage) -> float:
    """As podctl's own plan has it; a project's smaller numbers are no estimate of that plan."""
    return float(built_in().get(stage.name, {}).get("hours", stage.hours))
