"""How patient one lease is driven: as it was opened, on this cloud, with what drills have shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from controller.diagnostics import drill_results as proof
from controller.planner.policy import Policy
from controller.project.project import Project
from controller.providers.policy_delays import policy_delays
from jobs.stage import Stage
from state.journal import Journal


def lease_policy(
    project: Project, provider: str, data: Mapping[str, Any], budget_usd: float | None = None
) -> Policy:
    """Of the lease with `data`; a budget given now may allow what it did not when it was opened."""
    pod = project.config.pod
    most = max(data.get("most_usd") or 0.0, budget_usd or 0.0)
    policy = Policy(
        settle=float(str(data.get("settle", pod.settle_seconds))),
        boot=float(str(data.get("boot", pod.boot_minutes * 60.0))),
        on_success=str(data.get("on_success", pod.on_success)),
        on_failure=str(data.get("on_failure", pod.on_failure)),
        keep_warm=float(data.get("keep_warm") or 0.0),
        on_vanished=pod.on_vanished,
        may_rent=not data.get("adopted", False),
        max_offer_usd_per_hour=data.get("dearest"),
        wait_since=float(data.get("wait_since") or 0.0),
        wait_until=float(data.get("wait_until") or 0.0),
        dropped_offers=frozenset(data.get("dropped", ())),
        stage_hours=_stage_hours(data),
        slow_offers=frozenset(data.get("too_slow", ())),
        max_stage_usd=data.get("max_stage_usd"),
        replacement_budget_usd=most - data["worst_usd"] if "worst_usd" in data else None,
    )
    return replace(policy, **policy_delays(provider))


def _stage_hours(data: Mapping[str, Any]) -> dict[str, float]:
    """As the lease was opened; none where its stages were not predicted."""
    recorded = data.get("max_stage_usd") is not None and data.get("expected")
    return {str(gpu): float(hours) for gpu, hours in recorded["hours"].items()} if recorded else {}


def with_stages(policy: Policy, stages: Iterable[Stage]) -> Policy:
    """A job has its own grace to save before the pod's begins."""
    grace = max((stage.grace_seconds for stage in stages), default=0.0)
    return replace(
        policy, stop_grace=policy.stop_grace + grace, bare_grace=policy.bare_grace + grace
    )


def proven(policy: Policy, project: Project, journal: Journal, image: str) -> Policy:
    """With what the last drill of this account and image has shown."""
    found = proof.newest(journal, proof.account_name(project), image)
    return replace(policy, stops_itself=found is not None and found.passed)
