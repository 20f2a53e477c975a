"""The report of `podctl stop`: how the runs of each lease ended, and what keeps billing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controller.errors import ArtifactsNotSafe
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import LeaseState
from state.journal import Journal
from state.ledger import Ledger


@dataclass(frozen=True)
class StoppedRun:
    run: str
    stage: str
    outcome: str
    why: str


@dataclass(frozen=True)
class StoppedLease:
    """`pod` is the pod that is left: None, a parked one, or a running one."""

    lease: str
    outcome: str  # "parked", or what it was closed with
    runs: tuple[StoppedRun, ...]
    pod: str | None
    usd_per_hour: float  # of what is left
    carried_out_by: str
    only_there: tuple[str, ...] = ()  # runs of which something is on that pod alone

    @property
    def line(self) -> str:
        """In words, with the next command where something bills on."""
        runs = ", ".join(f"{run.run} {run.outcome}" for run in self.runs)
        if self.pod is None:
            return f"{self.lease}: {runs}; nothing bills"
        run = self.runs[-1].run if self.runs else self.lease
        end = f"podctl stop {run} --terminate ends it"
        if self.only_there:
            end = f"podctl sync {self.only_there[0]} -y downloads the outputs that are only on it"
        price = f"${24 * self.usd_per_hour:.2f} a day"
        return f"{self.lease}: {runs}; pod {self.pod} is {self.outcome}, at {price}; {end}"


def report(
    journal: Journal, ledger: Ledger, leases: Sequence[str], by: str
) -> tuple[StoppedLease, ...]:
    """Of each lease, as it is by the journal now."""
    return tuple(_lease(journal, ledger, lease, by) for lease in leases)


def _lease(journal: Journal, ledger: Ledger, name: str, by: str) -> StoppedLease:
    lease, lease_state = journal.lease(name), lease_state_of(journal, name)
    held = lease_state.pod if lease is not None and lease.open else None
    rates = ledger.intervals(pod_id=held, open_only=True) if held else ()
    waits = "parked" if lease_state.parked else "kept"
    return StoppedLease(
        name,
        (lease.outcome if lease is not None else None) or waits,
        tuple(
            StoppedRun(run.run, run.stage, run.outcome or "open", run.why)
            for run in lease_state.runs
        ),
        held,
        sum(rate.usd_per_hour for rate in rates),
        by,
        lease_state.unpulled if held else (),
    )


def check_ended(lease_state: LeaseState, disposal: str) -> None:
    """Raise ArtifactsNotSafe when a pod that was to be terminated is kept after all."""
    if disposal != "terminate" or lease_state.pod is None or lease_state.closed:
        return
    raise ArtifactsNotSafe(
        f"pod {lease_state.pod} is kept: "
        f"outputs of {', '.join(lease_state.unpulled)} are only on it",
        where=f"lease {lease_state.lease}",
        cause="not every artifact could be downloaded and verified",
        hint="podctl sync tries again; podctl stop --terminate --abandon REASON discards them",
    )
