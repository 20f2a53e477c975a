"""Seeded bugs, each of which the simulation must find.

Each removes one safeguard from the real code, or from the simulated world.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from controller.planner import job as job
from controller.planner import provisioning as provisioning
from controller.planner import teardown as teardown
from controller.planner.policy import Policy
from tests.simulation import executor_mutants, planner_mutants
from tests.simulation.history import World
from tests.simulation.project import POLICY

Mutant = Callable[[], Any]


def _world(**changes: Any) -> Mutant:
    """The same host or cloud without one of its safeguards."""
    original = World.__init__

    def begin(self: World, seed: int, bias: frozenset[str] = frozenset()) -> None:
        original(self, seed, bias)
        for name, value in changes.items():
            owner = self.host if hasattr(self.host, name) else self.cloud
            setattr(owner, name, value)

    return lambda: patch.object(World, "__init__", begin)


@contextmanager
def _locked_stage_again() -> Iterator[None]:
    """A locked stage is run again, and the planner does not see its lock."""
    with _world(respects_locks=False)(), planner_mutants.locks_unread():
        yield


def _policy(**changes: Any) -> Policy:
    return dataclasses.replace(POLICY, **changes)


MUTANTS: dict[str, Mutant] = {
    "no_probe": planner_mutants.no_probe,
    "no_intent": executor_mutants.no_intent,
    "settle_zero": _world(policy=_policy(settle=0.0)),
    "settle_from_intent": executor_mutants.settle_from_intent,
    "one_window_for_all": executor_mutants.one_window_for_all,
    "no_controller_lock": _world(exclusive=False),
    "no_guard": _world(guarded=False),
    "guard_tries_once": _world(stubborn=False),
    "early_stop": planner_mutants.early_stop,
    "panic": planner_mutants.panic,
    "no_verification": _world(verifies=False),
    "pull_trusted": executor_mutants.pull_trusted,
    "locked_stage_again": _locked_stage_again,
    "locks_unread": planner_mutants.locks_unread,
    "delete_trusted": planner_mutants.delete_trusted,
    "asks_without_pause": planner_mutants.asks_without_pause,
    "absence_trusted": executor_mutants.absence_trusted,
    "surplus_unbooked": planner_mutants.surplus_unbooked,
    "no_sweep": planner_mutants.no_sweep,
    "no_reckoning": planner_mutants.no_reckoning,
    "bill_ignored": executor_mutants.bill_ignored,
    "vanished_is_started_again": planner_mutants.vanished_is_started_again,
    "console_unread": executor_mutants.console_unread,
    "lives_are_one": executor_mutants.lives_are_one,
    "half_booked": executor_mutants.half_booked,
    "late_start_is_ours_alone": executor_mutants.late_start_is_ours_alone,
    "exceptions_escape": executor_mutants.exceptions_escape,
    "plan_alone_ends": executor_mutants.plan_alone_ends,
    "pod_is_believed": planner_mutants.pod_is_believed,
    "any_owner_hears": executor_mutants.any_owner_hears,
    "request_heard_twice": executor_mutants.request_heard_twice,
    "warm_for_any_run": executor_mutants.warm_for_any_run,
}

# The bad luck in which the rarer ones show; the others show in any.
BIASES: dict[str, frozenset[str]] = {
    "no_intent": frozenset({"create", "kill"}),
    "settle_zero": frozenset({"create", "late"}),
    "settle_from_intent": frozenset({"create", "late", "lid"}),
    "one_window_for_all": frozenset({"create", "late"}),
    "no_controller_lock": frozenset({"two"}),
    "pull_trusted": frozenset({"pull"}),
    "delete_trusted": frozenset({"delete"}),
    "asks_without_pause": frozenset({"delete"}),
    "absence_trusted": frozenset({"hidden"}),
    "surplus_unbooked": frozenset({"create", "late", "kill", "stop"}),
    "no_sweep": frozenset({"create", "late", "kill", "stop"}),
    "console_unread": frozenset({"console", "two"}),
    "lives_are_one": frozenset({"console", "odd"}),
    "half_booked": frozenset({"console", "kill", "create"}),
    "late_start_is_ours_alone": frozenset({"console", "lid"}),
    "exceptions_escape": frozenset({"surprise"}),
    "plan_alone_ends": frozenset({"surprise"}),
    "pod_is_believed": frozenset({"liar"}),
    "any_owner_hears": frozenset({"handover", "kill"}),
    "request_heard_twice": frozenset({"handover", "kill"}),
    "warm_for_any_run": frozenset({"warm"}),
}
# The first seed to try, of what shows in one of some thousand histories.
FIRST: dict[str, int] = {
    "asks_without_pause": 88,
    "delete_trusted": 73,
    "half_booked": 400,
    "late_start_is_ours_alone": 1400,
    "locks_unread": 88880256,
}
