"""Every action's intent and outcome go into the journal, and what it costs into the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.clock import Clock
from controller.costs.pricing import parked_disk_rate, running_disk_rate
from controller.engine.loop import LeaseOutcome
from controller.planner import actions
from controller.planner.actions import Action
from controller.planner.lease_state import Step
from state.interval import Interval, milliseconds, nano_per_hour
from state.journal import Journal
from state.ledger import Ledger

# Actions that touch the world: their intent is on disk before they start.
_INTENTS: dict[type[Action], Step] = {
    actions.Create: Step.CREATE,
    actions.Terminate: Step.TERMINATE,
    actions.StopPod: Step.STOP_POD,
    actions.StartPod: Step.START_POD,
    actions.Upload: Step.UPLOAD,
    actions.StartJob: Step.START_JOB,
    actions.StopJob: Step.STOP_JOB,
    actions.Pull: Step.PULL,
    actions.Lock: Step.LOCK,
}
# Actions that only write down what was decided or seen.
_RECORDS: dict[type[Action], Step] = {
    actions.OpenGeneration: Step.GENERATION,
    actions.Adopt: Step.ADOPT,
    actions.RecordPod: Step.SURPLUS,
    actions.RecordRestart: Step.RESUMED,
    actions.ReconcileBilling: Step.RECKON,
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


_RENTED = (
    actions.Create,
    actions.Adopt,
    actions.RecordPod,
    actions.StartPod,
    actions.RecordRestart,
)


@dataclass
class LeaseRecorder:
    """The books of one lease."""

    lease: str
    journal: Journal
    ledger: Ledger
    clock: Clock
    unwritten: dict[str, float] = field(default_factory=dict)  # pods with their price, until booked
    _pending: int = 0  # the intent whose outcome is due

    def intent(self, action: Action) -> None:
        step = _INTENTS.get(type(action))
        if step is not None:
            self._pending = self.journal.intent(self.lease, step, _data(action), _run(action))

    def outcome(self, action: Action, outcome: LeaseOutcome) -> None:
        data = _data(action) | outcome.data
        # The ledger first: a pod that is in the books twice is a smaller evil than not at all.
        if outcome.phase == "done":
            if isinstance(action, _RENTED):
                self.unwritten[data["pod"]] = data["usd_per_hour"]
            self._post(action, data)
            self.unwritten.pop(str(data.get("pod")), None)
            self._finish(action)
        if type(action) in _INTENTS:
            settle = self.journal.fail if outcome.phase == "fail" else self.journal.done
            settle(self._pending, data)
        elif (step := _RECORDS.get(type(action))) and outcome.phase == "done":
            self.journal.note(self.lease, step, data, _run(action))
        elif outcome.data.get("unforeseen"):
            self.incident(action, outcome.data)

    def incident(self, action: Action | None, found: Mapping[str, Any]) -> None:
        """An exception that nobody foresaw, of `action` or of the look at the world."""
        name = type(action).__name__ if action is not None else "look"
        run = _run(action) if action is not None else None
        self.journal.note(self.lease, Step.INCIDENT, {"action": name, **found}, run)

    def _finish(self, action: Action) -> None:
        """Close the row; a crash between row and note finds it closed and goes on."""
        if isinstance(action, actions.Finish):
            row = self.journal.run(action.run)
            if row is not None and row.open:
                self.journal.finish_run(action.run, action.outcome, {"why": action.why})
        if isinstance(action, actions.Close):
            lease = self.journal.lease(self.lease)
            if lease is not None and lease.open:
                self.journal.close_lease(self.lease, action.outcome)

    def _post(self, action: Action, data: dict[str, Any]) -> None:
        if isinstance(action, actions.Create | actions.Adopt | actions.RecordPod):
            self._open(data)
        elif isinstance(action, actions.StartPod | actions.RecordRestart):
            self.ledger.close_all(data["pod"], data["started_at"], "restart")
            self._open(data)
        elif isinstance(action, actions.ConfirmParked):
            self._park(data)
        elif isinstance(action, actions.ReconcileBilling):
            self._missed(data)
        elif isinstance(action, actions.ConfirmGone):
            self.ledger.close_all(data["pod"], data["ended_at"], "terminated")
            if "until" in data:
                self._missed(data)
        elif isinstance(action, actions.StartJob) and not data["interrupted"]:
            self.ledger.attribute(data["pod"], action.run, data["stage"], data["at"])

    def _open(self, data: dict[str, Any]) -> None:
        rates = {  # compute last: by it a pod counts as booked
            "disk": running_disk_rate(data["disk_gb"], data["volume_gb"]),
            "compute": data["usd_per_hour"],
        }
        for kind, rate in rates.items():
            self.ledger.open_interval(
                pod_id=data["pod"],
                lease=self.lease,
                run=data.get("for_run"),
                stage=data["stage"],
                kind=kind,
                usd_per_hour=rate,
                rate_source="provider" if kind == "compute" else "list-price",
                started_at=data["started_at"],
            )

    def _missed(self, data: dict[str, Any]) -> None:
        """A life of the pod that nobody followed, as the bill has it: whole or not at all."""
        if data["until"] > data["since"]:
            life = Interval(
                id=0,
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
            self.ledger.record((life,))

    def _park(self, data: dict[str, Any]) -> None:
        at = data["ended_at"]
        self.ledger.close_all(data["pod"], at, "parked")
        rate = parked_disk_rate(data["volume_gb"])
        if rate > 0:
            self.ledger.open_interval(
                pod_id=data["pod"],
                lease=self.lease,
                run=data.get("for_run"),
                stage=data["stage"],
                kind="parked-disk",
                usd_per_hour=rate,
                rate_source="list-price",
                started_at=at,
            )


def _run(action: Action) -> str | None:
    return getattr(action, "run", None)


def _data(action: Action) -> dict[str, Any]:
    """The action's own words, as the journal keeps them."""
    if isinstance(action, actions.Create):
        offer = action.offer
        return {"offer": offer.id, "count": offer.count, "usd_per_hour": offer.usd_per_hour}
    return {key: value for key, value in vars(action).items() if key != "run"}
