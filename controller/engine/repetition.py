"""Ends a drive whose action is decided again and again without a pause and without an effect."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from controller.planner.actions import Action, NeedsOperator, PullReady, Wait
from controller.planner.unexpected_error import name_of, phrase

MOST = 100  # times in a row; creates try as many offers as the provider has
REPEATED = "without a pause and without an effect"


@dataclass
class Repetitions:
    """How often each action was carried out since the last pause."""

    times: Counter[str] = field(default_factory=Counter)

    def add(self, action: Action) -> NeedsOperator | None:
        """Count `action`; NeedsOperator instead of one time too many."""
        if isinstance(action, Wait):
            self.times.clear()
        if isinstance(action, Wait | PullReady):  # there is something new in each download
            return None
        self.times[name_of(action)] += 1
        if self.times[name_of(action)] <= MOST:
            return None
        return NeedsOperator(
            "failed",
            f"podctl was about to {phrase(action)} once more, after {MOST} times {REPEATED}.",
            "podctl sync tries again; podctl stop --terminate --abandon REASON ends it, "
            "and local files are kept",
        )
