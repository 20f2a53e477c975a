"""Restores finished runs, the cost of terminated pods, and locks."""

from __future__ import annotations

from controller.engine.outcomes import LeaseOutcome
from controller.locks import artifacts
from controller.locks.certificate import Certificate
from controller.orphans.backfill import backfill_terminated, close_terminated
from controller.orphans.sweep import sweep
from controller.planner import actions
from controller.project.run_folder import RunFolder
from controller.recovery.context import Recovery
from controller.recovery.inventory import stage_of
from controller.recovery.lookup_pods import served
from state.locks import Locks

NOWHERE: dict[str, object] = {"stage": {}, "shape": {}}  # the pin of a run that left none
WHY = "by its certificate"


def finish_certified(recovery: Recovery) -> None:
    """Finish runs that are open in an old backup but have a certificate."""
    for run in recovery.journal.runs(open_only=True):
        if run.id in recovery.inventory.certified:
            passed = actions.Finish(run.id, "passed", WHY)
            recovery.recorder(run.lease).outcome(passed, LeaseOutcome())
            recovery.recovered.runs[run.id] = "passed"


def restore(recovery: Recovery) -> None:
    """Record runs known by their folder or certificate only, so that their ids are not reused.

    Left out are those that may be on a pod which cannot be read yet.
    """
    orphans = sweep(recovery.owner.connection, recovery.inventory.pods)
    unread = {orphan.stage for orphan in orphans if orphan.pod in recovery.recovered.unread}
    names = [
        run
        for run in sorted({*recovery.inventory.folders, *recovery.inventory.certified})
        if recovery.journal.run(run) is None and _is_over(recovery, run, unread)
    ]
    if not names:
        return
    lease = recovery.journal.open_lease({"imported": True})
    for run in names:
        order = recovery.inventory.orders.get(run)
        at = order.at if order else recovery.clock.wall()
        recovery.journal.restore_run(lease, run, order.spec if order else NOWHERE, at)
        outcome = recovery.recovered.runs[run] = _outcome(recovery, run)
        recovery.journal.finish_run(run, outcome, {"why": "by what it left here; its pod is gone"})
    recovery.journal.close_lease(lease, "imported")


def _is_over(recovery: Recovery, run: str, unread: set[str]) -> bool:
    if run in recovery.inventory.certified:
        return True
    order = recovery.inventory.orders.get(run)
    if order is None:
        return stage_of(run) not in unread
    if order.pod in recovery.inventory.absent:
        return True
    if order.pod not in recovery.inventory.living:
        text = f"the provider does not list pod {order.pod} and did not respond when asked for it"
        recovery.recovered.remarks.append(
            f"{run} is left out: {text}: repeat podctl import once it does"
        )
    return False


def _outcome(recovery: Recovery, run: str) -> str:
    if run in recovery.inventory.certified:
        return "passed"
    ended = RunFolder(recovery.project.run_dir(run)).exit()
    return "failed" if ended is not None and ended.rc != 0 else "pod-lost"


def book(recovery: Recovery) -> None:
    """Book the cost of terminated pods that local records attribute to this project."""
    now = recovery.clock.wall()
    for pod in {interval.pod_id for interval in recovery.ledger.intervals(open_only=True)}:
        if pod in recovery.inventory.absent:
            close_terminated(recovery.ledger, pod, recovery.inventory.bill, now)
    known = {
        pod: attribution
        for pod, attribution in served(recovery).items()
        if pod in recovery.inventory.absent
    }
    recovery.recovered.billed += backfill_terminated(
        recovery.ledger, known, recovery.inventory.bill
    )


def lock(recovery: Recovery) -> None:
    """Record the locks by the project's files: ended ones first, then those in force."""
    locks = Locks(recovery.owner.connection, recovery.owner.epoch)
    for ended in recovery.inventory.archived:
        recorded = locks.current(ended.stage)
        if recorded is not None and recorded.certificate == ended.sha256:
            locks.unlock(ended.stage, ended.reason)
    for entry in recovery.inventory.locks.values():
        _lock(recovery, locks, entry)


def _lock(recovery: Recovery, locks: Locks, entry: Certificate) -> None:
    recorded = locks.current(entry.stage)
    if recorded is not None and recorded.certificate == entry.sha256:
        return
    if recorded is not None:
        text = "the database records a lock that differs from the certificate"
        recovery.recovered.remarks.append(f"{entry.stage}: {text}")
        return
    if problems := artifacts.verify_artifacts(recovery.project.root, entry):
        text = f"{entry.stage} is not locked again: {problems[0].path}: {problems[0].what}"
        recovery.recovered.remarks.append(text)
        return
    locks.lock(entry.stage, entry.run, entry.sha256)
    recovery.recovered.locks.append(entry.stage)
