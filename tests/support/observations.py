"""Observations for tests, from flat facts: each goes into the part that has such a field."""

from __future__ import annotations

import dataclasses
from typing import Any

from controller.planner.lease_state import LeaseState
from controller.planner.observation import Observation

PARTS = ("provider", "pods", "job", "local")


def observe(lease: LeaseState, now: float, **facts: Any) -> Observation:
    """An observation at `now` in which everything but `facts` is unknown or empty."""
    return changed(Observation(lease, now), **facts)


def changed(observation: Observation, **facts: Any) -> Observation:
    """The same observation with other facts."""
    parts: dict[str, Any] = {}
    for part in PARTS:
        value = getattr(observation, part)
        names = {field.name for field in dataclasses.fields(value)} & facts.keys()
        parts[part] = dataclasses.replace(value, **{name: facts.pop(name) for name in names})
    return dataclasses.replace(observation, **parts, **facts)
