"""What `podctl run --json` and `podctl sync --json` print when nothing failed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from controller.costs.pricing import spending
from controller.locks import certificate
from controller.planner.journal_fold import lease_state_of
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from state.database import open_database
from state.journal import Journal
from state.journal_rows import Run
from state.ledger import Ledger

RUNNING = "running"
WAITING = "waiting"  # for a pod


@dataclass(frozen=True)
class RunResult:
    """One run; `state` is its outcome, or `running` or `waiting` while it has none."""

    run: str
    stage: str
    state: str
    cost: dict[str, Any]
    pod: str | None  # the newest pod that it used
    pod_bills: bool  # whether that pod, or its disk, bills now
    lock: str | None  # the certificate, relative to the project
    files: dict[str, Any]  # what was downloaded


def unfinished_runs(project: Project) -> tuple[str, ...]:
    """The runs without an outcome, oldest first; none without a database."""
    if not project.database.exists():
        return ()
    with closing(open_database(project.database, readonly=True)) as connection:
        return tuple(run.id for run in Journal(connection).runs(open_only=True))


def runs_on(project: Project, volume: str) -> tuple[str, ...]:
    """The unfinished runs whose pods have this network volume, oldest first."""
    orders = {run: RunFolder(project.run_dir(run)).order() for run in unfinished_runs(project)}
    return tuple(
        run
        for run, order in orders.items()
        if order is not None and order.spec.get("shape", {}).get("network_volume_id") == volume
    )


def newest_runs(project: Project, stages: Sequence[str]) -> tuple[str, ...]:
    """The newest run of each of `stages` that has one."""
    with closing(open_database(project.database, readonly=True)) as connection:
        journal = Journal(connection)
        return tuple(runs[-1].id for stage in stages if (runs := journal.runs(stage)))


def results_of(project: Project, runs: Sequence[str]) -> tuple[RunResult, ...]:
    """The results of `runs`, by the journal, the ledger and the local files."""
    with closing(open_database(project.database, readonly=True)) as connection:
        journal, ledger = Journal(connection), Ledger(connection)
        rows = [row for run in runs if (row := journal.run(run)) is not None]
        return tuple(_result(project, journal, ledger, row) for row in rows)


def _result(project: Project, journal: Journal, ledger: Ledger, row: Run) -> RunResult:
    lease_state = lease_state_of(journal, row.lease)
    spent = spending(ledger.by_run(time.time(), row.id))
    used = [interval.pod_id for interval in ledger.intervals(run=row.id)]
    pod = used[-1] if used else lease_state.pod
    lock = certificate.read(project.root, row.stage)
    locked = lock is not None and lock.run == row.id
    manifest = RunFolder(project.run_dir(row.id)).manifest()
    sizes = [entry.size for entry in manifest.files] if manifest is not None else []
    if lock is not None and locked:
        sizes = [artifact.size for artifact in lock.artifacts]
    folder = project.root if locked else RunFolder(project.run_dir(row.id)).files
    return RunResult(
        run=row.id,
        stage=row.stage,
        state=row.outcome or (RUNNING if lease_state.pod else WAITING),
        cost={
            "usd": spent.usd,
            "hours": spent.hours,
            "usd_per_hour_now": spent.usd_per_hour_now,
        },
        pod=pod,
        pod_bills=pod is not None and bool(ledger.intervals(pod_id=pod, open_only=True)),
        lock=str(certificate.lock_path(project.root, row.stage).relative_to(project.root))
        if locked
        else None,
        files={"folder": str(folder), "count": len(sizes), "bytes": sum(sizes)},
    )
