"""The facts about one run, folded from its journal records. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from controller.planner.steps import Step

Handler = Callable[[Any, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class RunFacts:
    """The progress of one run according to the journal."""

    run: str
    stage: str
    broken: str | None = None  # why it cannot even be started
    disk_full: bool = False  # that is because the pod's disk is full
    uploaded_to: str | None = None  # pod id that holds code and work
    code: str = ""  # sha256 of the remote package there
    tree: str = ""  # digest of the work folder there, as it was sent
    started: bool = False  # a start was asked for; the job may exist
    starts: int = 0
    started_at: float = 0.0  # Unix seconds of the newest order to start, or of its answer
    reworks: int = 0  # restarts after it lost its disk
    given_up: str = ""  # why it does not start again
    unfit_host: str | None = None  # the pod whose preflight refused it last
    stopping: str | None = None  # reason, once a stop was asked for
    stopping_at: float = 0.0  # Unix seconds at which it was asked for first
    fetching: bool = False  # it has ended; its pod is started only for its files
    pulled: bool = False  # every artifact of the final manifest was pulled
    rc: int | None = None
    reason: str = ""
    verdict: str | None = None  # PASS | FAIL | INCONCLUSIVE
    shortfall: str = ""  # the criteria that are not met, with what was measured
    locked: bool = False
    outcome: str | None = None  # passed | failed | criteria | stopped | …
    why: str = ""


def apply_run(run: RunFacts, step: str, phase: str, data: Mapping[str, Any]) -> RunFacts:
    handler = _RUN_STEPS.get((step, phase))
    return dataclasses.replace(run, **handler(run, data)) if handler else run


def _reworked(run: RunFacts, data: Mapping[str, Any]) -> dict[str, Any]:
    if not data["accepted"]:
        return {"given_up": data["why"]}
    reset = {"started": False, "uploaded_to": None, "stopping": None, "stopping_at": 0.0}
    return reset | {"reworks": run.reworks + 1}


def _judged(_: RunFacts, data: Mapping[str, Any]) -> dict[str, Any]:
    missed = [finding for finding in data["findings"] if finding["status"] != "PASS"]
    shortfall = "; ".join(
        f"{finding['status']} {finding['criterion']}: {finding['detail']}" for finding in missed
    )
    return {"verdict": data["verdict"], "shortfall": shortfall}


def set_to(**changes: Any) -> Handler:
    """A handler that makes the same changes for every record."""
    return lambda *_: changes


_RUN_STEPS: dict[tuple[str, str], Handler] = {
    (Step.UPLOAD, "done"): lambda _, data: {
        "uploaded_to": data["pod"],
        "code": data["code"],
        "tree": data.get("tree", ""),
    },
    (Step.UPLOAD, "fail"): lambda _, data: {
        "broken": data["why"] if data["fatal"] else None,
        "disk_full": bool(data.get("disk_full")),
    },
    (Step.START_JOB, "intent"): lambda run, data: {
        "started": True,
        "starts": run.starts + 1,
        "started_at": data.get("at") or run.started_at,
        "stopping_at": 0.0,
    },
    (Step.START_JOB, "done"): lambda run, data: {"started_at": data.get("at", run.started_at)},
    (Step.REWORK, "note"): _reworked,
    # The host was refused before the job could write anything: as if it never started.
    (Step.DISQUALIFY, "note"): lambda run, _: {"started": False, "unfit_host": run.uploaded_to},
    (Step.STOP_JOB, "intent"): lambda _, data: {
        "stopping": data["reason"],
        "stopping_at": data.get("at") or 0.0,
    },
    (Step.STOP_JOB, "fail"): set_to(stopping=None),  # the stop is sent again
    (Step.PULL, "done"): lambda _, data: {k: data[k] for k in ("rc", "reason")} | {"pulled": True},
    (Step.JUDGE, "note"): _judged,
    (Step.LOCK, "done"): set_to(locked=True),
    # Older versions ended the run here; an unexpected exception is tried again.
    (Step.LOCK, "fail"): lambda _, data: {} if data.get("unforeseen") else {"broken": data["why"]},
    (Step.FINISH, "note"): lambda _, data: {
        "outcome": data["outcome"],
        "why": data.get("why", ""),
    },
}
