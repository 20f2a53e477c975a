"""Everything that one lease is driven with; observer and executor share it. Has no effects."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.clock import Clock
from controller.engine.process_state import ProcessState
from controller.errors import PodctlError
from controller.planner.journal_fold import fold, resume
from controller.planner.lease_state import LeaseState, Step
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.providers.base import Provider
from controller.transfer.progress import TransferProgress
from jobs.stage import PINNED, Stage
from remote.contract import GuardLimits
from state.journal import Journal
from state.journal_rows import Lease
from state.last_seen import LastSeen
from state.ledger import Ledger


@dataclass
class FoldedJournal:
    """The lease's facts up to the journal record `seq`, so that only newer ones are read."""

    lease_state: LeaseState | None = None
    seq: int = 0


@dataclass(frozen=True, kw_only=True)
class LeaseContext:
    """One lease with its stages as they were pinned when it was opened."""

    lease: str
    stages: Mapping[str, Stage]  # run id → stage, in order
    shape: Shape
    policy: Policy
    provider: Provider
    journal: Journal
    ledger: Ledger
    last_seen: LastSeen
    clock: Clock
    owner: str  # installation id
    public_key: str  # that the pod's sshd accepts
    bootstrap: str  # the pod's start command, with the guard in it
    draw_nonce: Callable[[], str]
    limits: GuardLimits | None = None  # of the pod's guard; None: as the stages need
    cap_usd: float | None = None
    accept_unguarded: Callable[[str], bool] = lambda _: False
    accept_restart: Callable[[str], bool] = lambda _: False
    tell: Callable[[str], None] = lambda _: None
    brought: Callable[[int, int], None] = lambda _files, _bytes: None  # pulled from a running job
    moved: Callable[[str, TransferProgress], None] = lambda _what, _progress: None
    tick: Callable[[], None] = lambda: None  # while a call waits for the pod: the view's clock runs
    process: ProcessState = field(default_factory=ProcessState)
    folded: FoldedJournal = field(default_factory=FoldedJournal)

    def lease_state(self) -> LeaseState:
        """The lease's facts, folded from the journal; reads what was added since the last call."""
        folded = self.folded
        if folded.lease_state is None:
            runs = ((run, stage.name) for run, stage in self.stages.items())
            folded.lease_state = fold(self.lease, runs, ())
        if records := self.journal.ops(self.lease, after=folded.seq):
            folded.lease_state = resume(folded.lease_state, records)
            folded.seq = records[-1].seq
        return folded.lease_state

    @property
    def stage_list(self) -> tuple[Stage, ...]:
        """The stages of the runs that are wanted now; they determine the pod and its cost."""
        return tuple(self.stages[run.run] for run in self.lease_state().wanted)


def pinned(stage: Stage, shape: Shape) -> dict[str, Any]:
    """A run's specification as the journal keeps it, unaffected by later edits of podctl.toml."""
    return {"stage": stage.model_dump(mode="json"), "shape": json.loads(json.dumps(vars(shape)))}


def unpinned(spec: Mapping[str, Any]) -> tuple[Stage, Shape]:
    """The stage and shape of a pinned run.

    Raises PodctlError when another version of podctl wrote what this one cannot read.
    """
    try:
        shape = dict(spec["shape"])
        shape["data_centers"] = tuple(shape["data_centers"])
        return Stage.model_validate(spec["stage"], context=PINNED), Shape(**shape)
    except (KeyError, TypeError, ValueError) as error:
        raise PodctlError(
            "another version of podctl started this run, with settings that this one cannot read",
            cause=str(error).splitlines()[0],
            hint="continue with that version; podctl stop --terminate --abandon REASON ends it",
        ) from error


def terms(journal: Journal, lease: Lease, run: str | None = None) -> dict[str, Any]:
    """The options that the lease was opened or last renewed with; for `run`, those of that run."""
    options = dict(lease.data)
    for record in journal.ops(lease.id):
        if record.step in (Step.RENEW, Step.FETCH, Step.WAIT, Step.VISIT):
            options |= record.data
        renewed = (
            {name for name, _ in record.data.get("runs", ())} if record.step == Step.RENEW else ()
        )
        if run in renewed:
            return options
    return options if run is None else dict(lease.data)
