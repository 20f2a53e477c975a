"""Writes each action's intent and outcome into the journal, and its costs into the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.clock import Clock
from controller.costs.pricing import parked_disk_rate, running_disk_rate
from controller.engine.outcomes import (
    LeaseOutcome,
    UnexpectedFailure,
    action_data,
    journal_data,
)
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.steps import Step
from state.interval import milliseconds, nano_per_hour, new_interval
from state.journal import Journal
from state.ledger import Ledger

# Actions that touch the world: their intent is on disk before they start.
_INTENTS: dict[type[Action], Step] = {
    actions.Create: Step.CREATE,
    actions.Terminate: Step.TERMINATE,
    actions.StopPod: Step.STOP_POD,
    actions.StartPod: Step.START_POD,
    actions.KeepWarm: Step.WARM,
    actions.Upload: Step.UPLOAD,
    actions.StartJob: Step.START_JOB,
    actions.StopJob: Step.STOP_JOB,
    actions.Pull: Step.PULL,
    actions.Lock: Step.LOCK,
}
# Actions that only record a decision or an observation.
_NOTES: dict[type[Action], Step] = {
    actions.OpenGeneration: Step.GENERATION,
    actions.AskAgain: Step.ASK_AGAIN,
    actions.Adopt: Step.ADOPT,
    actions.RecordPod: Step.SURPLUS,
    actions.RecordRestart: Step.RESUMED,
    actions.ReconcileBilling: Step.RECONCILE,
    actions.ConfirmGone: Step.GONE,
    actions.ConfirmParked: Step.PARKED,
    actions.MarkReached: Step.REACHED,
    actions.AskUnguarded: Step.UNGUARDED,
    actions.Judge: Step.JUDGE,
    actions.RejectHost: Step.DISQUALIFY,
    actions.RestartRun: Step.REWORK,
    actions.ConfirmRestart: Step.REWORK,
    actions.Finish: Step.FINISH,
    actions.Close: Step.CLOSE,
}
# After these a pod bills.
_BILLING = (
    actions.Create,
    actions.Adopt,
    actions.RecordPod,
    actions.StartPod,
    actions.RecordRestart,
)


@dataclass
class LeaseRecorder:
    """Journal and ledger of one lease."""

    lease: str
    journal: Journal
    ledger: Ledger
    clock: Clock
    # Pods whose ledger rows are about to be written, with their price; a crash report names them.
    unwritten: dict[str, float] = field(default_factory=dict)
    _pending: int = 0  # sequence number of the intent that awaits its outcome

    def intent(self, action: Action) -> None:
        step = _INTENTS.get(type(action))
        if step is not None:
            data = action_data(action)
            self._pending = self.journal.intent(self.lease, step, data, _run(action))

    def outcome(self, action: Action, outcome: LeaseOutcome) -> None:
        data = {**action_data(action), **journal_data(outcome)}
        # The ledger first: a pod with two ledger rows is a smaller evil than one without any.
        if not outcome.failed:
            self._book(action, data)
        if type(action) in _INTENTS:
            settle = self.journal.fail if outcome.failed else self.journal.done
            settle(self._pending, data)
        elif (step := _NOTES.get(type(action))) and not outcome.failed:
            self.journal.note(self.lease, step, data, _run(action))
        elif isinstance(outcome, UnexpectedFailure):
            self.incident(action, journal_data(outcome))

    def incident(self, action: Action | None, incident: Mapping[str, Any]) -> None:
        """Record an unexpected exception of `action`, or of an observation or decision."""
        name = type(action).__name__ if action is not None else "look"
        run = _run(action) if action is not None else None
        self.journal.note(self.lease, Step.INCIDENT, {"action": name, **incident}, run)

    def _book(self, action: Action, data: dict[str, Any]) -> None:
        if isinstance(action, _BILLING):
            self.unwritten[data["pod"]] = data["usd_per_hour"]
        self._post(action, data)
        self.unwritten.pop(str(data.get("pod")), None)
        self._finish(action)

    def _finish(self, action: Action) -> None:
        """Close the row of a run or of the lease, unless it was closed just before a crash."""
        if isinstance(action, actions.Finish):
            row = self.journal.run(action.run)
            if row is not None and row.open:
                self.journal.finish_run(action.run, action.outcome, {"why": action.why})
        if isinstance(action, actions.Close):
            lease = self.journal.lease(self.lease)
            if lease is not None and lease.open:
                self.journal.close_lease(self.lease, action.outcome)

    # -- the ledger ------------------------------------------------------------------------------

    def _post(self, action: Action, data: dict[str, Any]) -> None:
        if isinstance(action, actions.Create | actions.Adopt | actions.RecordPod):
            self._open_running(data)
        elif isinstance(action, actions.StartPod | actions.RecordRestart):
            self.ledger.close_all(data["pod"], data["started_at"], "restart")
            self._open_running(data)
        elif isinstance(action, actions.ConfirmParked):
            self._park(data)
        elif isinstance(action, actions.ReconcileBilling):
            self._record_billed(data)
        elif isinstance(action, actions.ConfirmGone):
            self.ledger.close_all(data["pod"], data["ended_at"], "terminated")
            if "until" in data:
                self._record_billed(data)
        elif isinstance(action, actions.StartJob) and not data["interrupted"]:
            self.ledger.attribute(data["pod"], action.run, data["stage"], data["at"])

    def _open_running(self, data: dict[str, Any]) -> None:
        # Compute last: a pod with an open compute interval counts as booked.
        disk = running_disk_rate(data["disk_gb"], data["volume_gb"])
        self._open(data, "disk", disk, "list-price", data["started_at"])
        self._open(data, "compute", data["usd_per_hour"], "provider", data["started_at"])

    def _park(self, data: dict[str, Any]) -> None:
        self.ledger.close_all(data["pod"], data["ended_at"], "parked")
        rate = parked_disk_rate(data["volume_gb"])
        if rate > 0:
            self._open(data, "parked-disk", rate, "list-price", data["ended_at"])

    def _open(
        self, data: dict[str, Any], kind: str, rate: float, source: str, started_at: float
    ) -> None:
        self.ledger.open_interval(
            pod_id=data["pod"],
            lease=self.lease,
            run=data.get("for_run"),
            stage=data["stage"],
            kind=kind,
            usd_per_hour=rate,
            rate_source=source,
            started_at=started_at,
        )

    def _record_billed(self, data: dict[str, Any]) -> None:
        """Record compute that only the bill shows, as one closed interval or not at all."""
        if data["until"] <= data["since"]:
            return
        interval = new_interval(
            pod_id=data["pod"],
            lease=self.lease,
            run=data.get("for_run"),
            stage=data["stage"],
            kind="compute",
            nano_per_hour=nano_per_hour(data["usd_per_hour"]),
            rate_source="provider",
            started_ms=milliseconds(data["since"]),
            ended_ms=milliseconds(data["until"]),
            end_source="bill",
        )
        self.ledger.record((interval,))


def _run(action: Action) -> str | None:
    return getattr(action, "run", None)
