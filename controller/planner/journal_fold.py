"""Folds the journal's records of one lease into its LeaseState. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Protocol

from controller.incident import Incident, attempt
from controller.planner.lease_state import LeaseState, PendingTermination, WarmPod
from controller.planner.run_facts import Handler, RunFacts, apply_run, set_to
from controller.planner.steps import Step
from state.journal import Journal

OWN_START = 120.0  # seconds after podctl's start order within which a start counts as its own
_RUNNING = {"parked": False, "reached": False, "life": None, "start_unclear": None}


class Record(Protocol):
    """One row of the journal, as `state.journal` returns it."""

    @property
    def step(self) -> str: ...
    @property
    def phase(self) -> str: ...
    @property
    def run(self) -> str | None: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


def fold(lease: str, runs: Iterable[tuple[str, str]], records: Iterable[Record]) -> LeaseState:
    """Replay the journal. `runs` are (run id, stage) in their order of execution."""
    return resume(LeaseState(lease, tuple(RunFacts(run, stage) for run, stage in runs)), records)


def resume(lease_state: LeaseState, records: Iterable[Record]) -> LeaseState:
    """Apply more records to the result of an earlier fold."""
    for record in records:
        applied = attempt(partial(_apply, lease_state, record))
        if isinstance(applied, Incident):
            reason = f"{record.step} {record.phase}: {applied.text}"
            applied = dataclasses.replace(lease_state, unreadable=lease_state.unreadable or reason)
        lease_state = applied
    return lease_state


def _apply(lease_state: LeaseState, record: Record) -> LeaseState:
    step, phase, data = record.step, record.phase, record.data
    if record.run is not None:
        changed = tuple(
            apply_run(run, step, phase, data) if run.run == record.run else run
            for run in lease_state.runs
        )
        return dataclasses.replace(lease_state, runs=changed)
    handler = _LEASE_STEPS.get((step, phase))
    return (
        dataclasses.replace(lease_state, **handler(lease_state, data)) if handler else lease_state
    )


def _generation(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "runs": tuple(
            dataclasses.replace(run, broken=None, disk_full=False) if run.disk_full else run
            for run in lease_state.runs
        ),
        "generation": data["number"],
        "nonces": (*lease_state.nonces, data["nonce"]),
        "tried": (),
        "unsettled": False,
        "pod": None,
        "had_pod": False,
        "reached": False,
        "parked": False,
        "pod_starts": 0,
        "start_unclear": None,
        "meddled": False,
    }


def _renewed(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    """The user wants more runs; earlier stops and refusals no longer count."""
    known = {run.run for run in lease_state.runs}
    begun = [RunFacts(str(run), str(stage)) for run, stage in data["runs"]]
    runs = (*lease_state.runs, *(run for run in begun if run.run not in known))
    places = [place for place, run in enumerate(runs) if run.run == begun[0].run]
    return {
        "runs": runs,
        "first": places[0],
        "past_generations": max(0, lease_state.generation - 1),
        "pod_starts": 0,
        "stop": None,
        "refused": None,
        "unguarded": False,
        "visiting": False,
    }


def _fetched(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    """Finished runs are opened again, for a pull only."""
    names = {str(run) for run in data["runs"]}
    runs = (
        dataclasses.replace(run, outcome=None, why="", fetching=True) if run.run in names else run
        for run in lease_state.runs
    )
    return {"runs": tuple(runs), "pod_starts": 0, "visiting": False}


def _create_intent(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    # A second create while the first was never answered: the first may still commit late.
    return {
        "unsettled": True,
        "offer": data["offer"],
        "offer_count": data.get("count", 0),
        "quoted_usd_per_hour": data["usd_per_hour"],
        "claimed_at": data.get("claimed_at"),
        "ambiguous": lease_state.ambiguous or lease_state.unsettled,
    }


def _create_fail(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    kind, why = data["kind"], data["why"]
    # Without a definite refusal the create stays unsettled until a clean listing.
    if kind == "ambiguous":
        return {"ambiguous": True}
    settled: dict[str, Any] = {"unsettled": lease_state.ambiguous and lease_state.unsettled}
    if kind == "capacity":
        settled["tried"] = (*lease_state.tried, (data["offer"], why))
    if kind == "refused":
        settled["refused"] = why
    return settled


def _have_pod(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    pod = data["pod"]
    pods = lease_state.pods if pod in lease_state.pods else (*lease_state.pods, pod)
    network = bool(data.get("network_volume"))
    keeps = data.get("volume_gb", 1) > 0 or network
    found = {"pod": pod, "pods": pods, "had_pod": True, "unsettled": False}
    return found | {
        "keeps_disk": keeps,
        "shared_disk": network,
        "hard_cap": float(data.get("hard_cap") or 0.0),
    }


def _warm(_: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"warm": WarmPod(data["pod"], data["after"], data["until"])}


def _adopted(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    return _have_pod(lease_state, data) | {"ambiguous": True}


def _terminate(lease_state: LeaseState, data: Mapping[str, Any], *, clean: bool) -> dict[str, Any]:
    others = tuple(debt for debt in lease_state.pending_terminations if debt.pod != data["pod"])
    previous = next(
        (debt for debt in lease_state.pending_terminations if debt.pod == data["pod"]),
        PendingTermination(data["pod"]),
    )
    if data.get("still_there"):  # otherwise an earlier order ended it
        previous = dataclasses.replace(previous, ended_at=None, sure=False)
    debt = _ordered(previous, data if clean else None)
    pods = lease_state.pods if data["pod"] in lease_state.pods else (*lease_state.pods, data["pod"])
    changed: dict[str, Any] = {"pending_terminations": (*others, debt), "pods": pods}
    if lease_state.pod == data["pod"]:
        changed |= {"pod": None, "reached": False, "parked": False, "visiting": False}
    return changed


def _ordered(debt: PendingTermination, accepted: Mapping[str, Any] | None) -> PendingTermination:
    """Count one more termination order, or note that it was `accepted`."""
    if debt.ended_at is not None:
        return debt
    if accepted is None:
        return dataclasses.replace(debt, clean=False, orders=debt.orders + 1)
    known = not accepted.get("unknown")  # a 404 proves nothing: a provider may hide a pod
    sure = bool(accepted.get("seen_alive")) and debt.orders == 1 and known
    return dataclasses.replace(
        debt,
        clean=known,
        ended_at=accepted.get("at"),
        sure=sure,
        interrupted=bool(accepted.get("interrupted")),
    )


def _gone(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {
        "pending_terminations": tuple(
            debt for debt in lease_state.pending_terminations if debt.pod != data["pod"]
        )
    }
    if lease_state.pod == data["pod"]:
        changed |= {"pod": None, "reached": False, "parked": False, "visiting": False}
    return changed


def _started_pod(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    meddled = lease_state.meddled or bool(data.get("late"))
    return _RUNNING | {"pod_starts": lease_state.pod_starts + 1, "meddled": meddled}


def _start_failed(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    settled = {} if data.get("kind") == "transient" else {"start_unclear": None}
    return settled | {"meddled": lease_state.meddled or bool(data.get("late"))}


def _resumed(lease_state: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    asked = lease_state.start_unclear  # otherwise it is podctl's own start, whose answer was lost
    ours = asked is not None and data["started_at"] - asked < OWN_START
    return _RUNNING | {"meddled": lease_state.meddled or not ours}


def _reached(_: LeaseState, data: Mapping[str, Any]) -> dict[str, Any]:
    began = data.get("started_at")
    life = (data["pod"], began) if began else None
    return {"reached": True, "life": life, "image_digest": data.get("image_digest", "")}


_LEASE_STEPS: dict[tuple[str, str], Handler] = {
    (Step.GENERATION, "note"): _generation,
    (Step.CREATE, "intent"): _create_intent,
    (Step.CREATE, "done"): _have_pod,
    (Step.CREATE, "fail"): _create_fail,
    (Step.ASK_AGAIN, "note"): set_to(tried=()),
    (Step.ADOPT, "note"): _adopted,
    (Step.SURPLUS, "note"): lambda lease_state, data: {
        "pods": lease_state.pods
        if data["pod"] in lease_state.pods
        else (*lease_state.pods, data["pod"])
    },
    (Step.REACHED, "note"): _reached,
    (Step.TERMINATE, "intent"): lambda lease_state, data: {
        **_terminate(lease_state, data, clean=False),
        "given_back": str(data.get("reason", "")),
    },
    (Step.TERMINATE, "done"): lambda lease_state, data: _terminate(lease_state, data, clean=True),
    (Step.GONE, "note"): _gone,
    (Step.START_POD, "done"): _started_pod,
    (Step.START_POD, "intent"): lambda lease_state, data: {
        "start_unclear": lease_state.start_unclear or data.get("at"),
        "meddled": lease_state.meddled or bool(data.get("late")),
    },
    (Step.START_POD, "fail"): _start_failed,
    (Step.RESUMED, "note"): _resumed,
    (Step.RECONCILE, "note"): lambda _, data: {"start_unclear": None, "reckoned": data["since"]},
    (Step.PARKED, "note"): set_to(parked=True, reached=False),
    (Step.WARM, "done"): _warm,
    (Step.WARM, "fail"): lambda _, data: {"not_warm": data["after"]},
    (Step.UNGUARDED, "note"): lambda _, data: (
        {"unguarded": True} if data["accepted"] else {"refused": data["why"]}
    ),
    (Step.STOP, "note"): lambda lease_state, data: {
        "visiting": False,
        "stop": data["disposal"],
        "abandon": data.get("abandon") or lease_state.abandon,
    },
    (Step.RENEW, "note"): _renewed,
    (Step.FETCH, "note"): _fetched,
    # An earlier stop and warm time are over; what follows the visit is noted at its end.
    (Step.VISIT, "note"): set_to(visiting=True, stop=None, warm=None, pod_starts=0),
    (Step.CLOSE, "note"): lambda _, data: {"closed": data["outcome"]},
}


def lease_state_of(journal: Journal, lease: str) -> LeaseState:
    """The lease's facts, folded from the whole journal."""
    runs = [(run.id, run.stage) for run in journal.runs(lease=lease)]
    return fold(lease, runs, journal.ops(lease))
