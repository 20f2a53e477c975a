"""Everything one lease is driven with: what eyes and hands share. Touches nothing itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.clock import Clock
from controller.errors import PodctlError
from controller.planner.boot_log import BootFault
from controller.planner.journal_fold import fold, resume
from controller.planner.lease_state import LeaseState, Step
from controller.planner.observation import Failure
from controller.planner.pod_spec import Shape
from controller.planner.policy import Policy
from controller.planner.unpulled_files import UnpulledFiles
from controller.providers.base import Provider
from controller.transfer.progress import TransferProgress
from jobs.stage import PINNED, Stage
from remote.contract import GuardLimits
from state.journal import Journal, Lease
from state.last_seen import LastSeen
from state.ledger import Ledger


@dataclass
class ProcessState:
    """What this process saw and did; losing it costs time, never truth."""

    asked: dict[str, float] = field(default_factory=dict)  # pod → last terminate, stop or start
    ended: dict[str, float] = field(default_factory=dict)  # pod → Unix time of its accepted end
    listed: set[str] = field(default_factory=set)
    since: dict[str, float] = field(default_factory=dict)  # condition → when it began
    throttled_until: float = 0.0
    throttled_since: float | None = None  # no create was taken since
    start_failures: dict[str, int] = field(default_factory=dict)  # pod → in a row
    failures: dict[str, Failure] = field(default_factory=dict)  # upload, start → in a row
    pull_failures: int = 0
    held: UnpulledFiles | None = None
    told: set[str] = field(default_factory=set)  # what is said once
    retry_at: float = 0.0
    ready_pulled: str | None = None
    refused: str | None = None
    order_refused: str | None = None
    resumed: set[str] = field(default_factory=set)  # pods that were told to start, not seen yet
    stopped_elsewhere: set[str] = field(default_factory=set)  # pods that somebody else stopped
    ran: set[str] = field(default_factory=set)  # pods that this process saw running
    alive: dict[str, float] = field(default_factory=dict)  # pod → Unix time last seen to bill
    alive_before: dict[str, float] = field(default_factory=dict)  # pod → the last time it was
    stopped_at: dict[str, float] = field(default_factory=dict)  # pod → Unix time when noticed
    boot_log_at: float = 0.0  # when the system log of a booting pod was read last
    boot_faults: dict[str, BootFault] = field(default_factory=dict)  # pod → why it does not start
    image_digests: dict[str, str] = field(default_factory=dict)  # pod → its image's
    create_trouble: str = ""  # why the last create was not taken
    bill_silences: int = 0  # times in a row that the bill did not come
    bill_retry_at: float = 0.0
    alive_at: float | None = None  # Unix time at which a job was last seen running
    lease_state: LeaseState | None = None  # the journal up to `folded`
    folded: int = 0

    def fail(self, what: str, why: str, retry_at: float) -> None:
        """Once more in a row; not tried again before `retry_at`."""
        times = self.failures[what].times if what in self.failures else 0
        self.failures[what] = Failure(times + 1, why)
        self.retry_at = retry_at

    def hold(self, condition: str, holds: bool, now: float) -> float | None:
        """Since when `condition` holds without a break; None while it does not."""
        if not holds:
            self.since.pop(condition, None)
            return None
        return self.since.setdefault(condition, now)


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
    sightings: LastSeen
    clock: Clock
    owner: str  # installation id
    public_key: str  # that the pod is to let in
    bootstrap: str  # the pod's start command, with the guard in it
    draw_nonce: Callable[[], str]
    limits: GuardLimits | None = None  # of the pod's guard; None: as the stages need
    cap_usd: float | None = None
    accept_unguarded: Callable[[str], bool] = lambda _: False
    accept_rework: Callable[[str], bool] = lambda _: False
    tell: Callable[[str], None] = lambda _: None
    brought: Callable[[int, int], None] = lambda _files, _bytes: None  # while the job goes on
    moved: Callable[[str, TransferProgress], None] = lambda _what, _progress: None
    memory: ProcessState = field(default_factory=ProcessState)

    def lease_state(self) -> LeaseState:
        """The lease's facts, folded from the journal."""
        memory = self.memory
        if memory.lease_state is None:
            runs = ((run, stage.name) for run, stage in self.stages.items())
            memory.lease_state = fold(self.lease, runs, ())
        if found := self.journal.ops(self.lease, after=memory.folded):
            memory.lease_state = resume(memory.lease_state, found)
            memory.folded = found[-1].seq
        return memory.lease_state

    @property
    def stage_list(self) -> tuple[Stage, ...]:
        """Of the runs that are wanted now: what a pod for them needs, and may cost."""
        return tuple(self.stages[run.run] for run in self.lease_state().wanted)


def pinned(stage: Stage, shape: Shape) -> dict[str, Any]:
    """A run's specification as the journal keeps it: what was asked for, for good."""
    return {"stage": stage.model_dump(mode="json"), "shape": json.loads(json.dumps(vars(shape)))}


def unpinned(spec: Mapping[str, Any]) -> tuple[Stage, Shape]:
    """Back from the journal. Raises PodctlError for what another version of podctl pinned."""
    try:
        shape = dict(spec["shape"])
        shape["data_centers"] = tuple(shape["data_centers"])
        return Stage.model_validate(spec["stage"], context=PINNED), Shape(**shape)
    except (KeyError, TypeError, ValueError) as error:
        raise PodctlError(
            "the run was begun by another version of podctl, which asked for what this one lacks",
            cause=str(error).splitlines()[0],
            hint="carry it on with that version; podctl stop --terminate --abandon REASON ends it",
        ) from error


def lease_state_of(journal: Journal, lease: str) -> LeaseState:
    """The lease's facts, folded from the journal."""
    from controller.planner.journal_fold import fold

    runs = [(run.id, run.stage) for run in journal.runs(lease=lease)]
    return fold(lease, runs, journal.ops(lease))


def terms(journal: Journal, lease: Lease, run: str | None = None) -> dict[str, Any]:
    """What the lease was opened with, or renewed last; for `run`, what counts for that one."""
    found = dict(lease.data)
    for op in journal.ops(lease.id):
        if op.step in (Step.RENEW, Step.FETCH):
            found |= op.data
        if op.step == Step.RENEW and run in {name for name, _ in op.data.get("runs", ())}:
            return found
    return found if run is None else dict(lease.data)
