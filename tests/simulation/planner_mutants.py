"""Seeded bugs of the planner: each takes one rule out of its decisions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from controller.planner import actions, job, pending_termination, provisioning, teardown
from controller.planner import decide as planner
from controller.planner.lease_state import LeaseState
from controller.planner.observation import Observation
from controller.planner.policy import Policy
from controller.providers.base import PodStatus


@contextmanager
def no_probe() -> Iterator[None]:
    """An unclear create is simply repeated."""

    def again(observation: Observation, _: Policy) -> actions.Action:
        return provisioning._next_offer(observation, _, observation.lease.current)

    with patch.object(provisioning, "_probe", again):
        yield


@contextmanager
def early_stop() -> Iterator[None]:
    """A pod is given up as soon as its job ended."""

    def give_up(observation: Observation, _: Policy, __: Any) -> actions.Action:
        assert observation.lease.pod is not None
        return actions.Terminate(observation.lease.pod, "the job ended")

    with patch.object(job, "_ended", give_up):
        yield


@contextmanager
def panic() -> Iterator[None]:
    """A pod whose SSH does not answer is treated as lost."""

    def replace(observation: Observation, _: Policy, __: Any) -> actions.Action:
        assert observation.lease.pod is not None
        return actions.Terminate(observation.lease.pod, "it does not answer")

    with patch.object(planner, "_silent", replace):
        yield


@contextmanager
def delete_trusted() -> Iterator[None]:
    """A pod counts as terminated once the order was accepted."""
    confirm = pending_termination._confirm_termination

    def gone(observation: Observation, policy: Policy, debt: Any) -> actions.Action:
        return actions.ConfirmGone(debt.pod) if debt.clean else confirm(observation, policy, debt)

    with patch.object(pending_termination, "_confirm_termination", gone):
        yield


@contextmanager
def asks_without_pause() -> Iterator[None]:
    """A pod that was given up is terminated again at once until it is gone."""

    def again(_: Observation, __: Policy, debt: Any) -> actions.Action:
        return actions.ConfirmGone(debt.pod) if debt.clean else actions.Terminate(debt.pod, "")

    with patch.object(pending_termination, "_confirm_termination", again):
        yield


@contextmanager
def locks_unread() -> Iterator[None]:
    """The planner does not see that another run has locked a stage meanwhile."""
    with patch.object(LeaseState, "superseded", lambda *_: {}):
        yield


@contextmanager
def surplus_unbooked() -> Iterator[None]:
    """An orphaned pod is terminated before it is in the ledger."""

    def end(_: Observation, pod: str, why: str) -> actions.Action:
        return actions.Terminate(pod, why)

    with (
        patch.object(teardown, "terminate_orphan", end),
        patch.object(pending_termination, "terminate_orphan", end),
    ):
        yield


@contextmanager
def no_sweep() -> Iterator[None]:
    """A lease is closed without a last clean listing."""

    def close(observation: Observation, _: Policy) -> actions.Action:
        return actions.Close(teardown._outcome(observation))

    with patch.object(teardown, "_sweep", close):
        yield


@contextmanager
def no_reckoning() -> Iterator[None]:
    """The ledger's running time of a pod is never reconciled with the provider."""
    with (
        patch.object(planner, "ledger_correction", lambda *_: None),
        patch.object(teardown, "ledger_correction", lambda *_: None),
    ):
        yield


@contextmanager
def vanished_is_started_again() -> Iterator[None]:
    """A run with a living job counts as never started as soon as its pod stops."""

    def forget(_: Observation, __: Policy, ___: Any, pod: Any) -> actions.Action:
        assert pod.status is not PodStatus.RUNNING
        return actions.Terminate(pod.id, "it stopped")

    with patch.object(planner, "_exited", forget):
        yield


@contextmanager
def pod_is_believed() -> Iterator[None]:
    """A job continues as long as its pod reports that it runs."""
    with (
        patch.object(planner, "outlasted", lambda *_: None),
        patch.object(planner, "given_up", lambda *_: False),
    ):
        yield
