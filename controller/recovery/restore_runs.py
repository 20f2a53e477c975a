"""What is over and the database does not know: runs, what pods cost that are gone, locks."""

from __future__ import annotations

from controller.engine.outcomes import LeaseOutcome
from controller.locks import artifacts as safekeeping
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


def finish_certified(work: Recovery) -> None:
    """An old copy may have runs open that passed since: they are not judged and locked again."""
    for run in work.journal.runs(open_only=True):
        if run.id in work.remains.certified:
            work.books(run.lease).outcome(actions.Finish(run.id, "passed", WHY), LeaseOutcome())
            work.found.runs[run.id] = "passed"


def restore(work: Recovery) -> None:
    """Runs that only their folder or certificate remembers: their names are not given again.

    Left out are those that may be on a pod which cannot be read yet.
    """
    unread = {one.stage for one in sweep(work.owner.connection, work.remains.pods)
              if one.pod in work.found.unread}  # fmt: skip
    names = [
        run
        for run in sorted({*work.remains.folders, *work.remains.certified})
        if work.journal.run(run) is None and _is_over(work, run, unread)
    ]
    if not names:
        return
    lease = work.journal.open_lease({"imported": True})
    for run in names:
        order = work.remains.orders.get(run)
        at = order.at if order else work.clock.wall()
        work.journal.restore_run(lease, run, order.spec if order else NOWHERE, at)
        outcome = work.found.runs[run] = _outcome(work, run)
        work.journal.finish_run(run, outcome, {"why": "by what it left here; its pod is gone"})
    work.journal.close_lease(lease, "imported")


def _is_over(work: Recovery, run: str, unread: set[str]) -> bool:
    if run in work.remains.certified:
        return True
    order = work.remains.orders.get(run)
    if order is None:
        return stage_of(run) not in unread
    if order.pod in work.remains.gone:
        return True
    if order.pod not in work.remains.living:
        text = f"the provider lists no pod {order.pod} and does not answer for it by its id"
        work.found.remarks.append(f"{run} is left out: {text}: podctl import, once it does")
    return False


def _outcome(work: Recovery, run: str) -> str:
    if run in work.remains.certified:
        return "passed"
    ended = RunFolder(work.project.run_dir(run)).exit()
    return "failed" if ended is not None and ended.rc != 0 else "pod-lost"


def book(work: Recovery) -> None:
    """What pods cost that are gone, where something here says that they were ours."""
    now = work.clock.wall()
    for pod in {one.pod_id for one in work.ledger.intervals(open_only=True)}:
        if pod in work.remains.gone:
            close_terminated(work.ledger, pod, work.remains.bill, now)
    known = {pod: one for pod, one in served(work).items() if pod in work.remains.gone}
    work.found.billed += backfill_terminated(work.ledger, known, work.remains.bill)


def lock(work: Recovery) -> None:
    """The locks as the project's files have them: ended ones first, then those in force."""
    locks = Locks(work.owner.connection, work.owner.epoch)
    for ended in work.remains.archived:
        recorded = locks.current(ended.stage)
        if recorded is not None and recorded.certificate == ended.sha256:
            locks.unlock(ended.stage, ended.reason)
    for one in work.remains.locks.values():
        _lock(work, locks, one)


def _lock(work: Recovery, locks: Locks, one: Certificate) -> None:
    recorded = locks.current(one.stage)
    if recorded is not None and recorded.certificate == one.sha256:
        return
    if recorded is not None:
        text = "the database records another lock than its certificate"
        work.found.remarks.append(f"{one.stage}: {text}")
        return
    if problems := safekeeping.verify_artifacts(work.project.root, one):
        text = f"{one.stage} is not locked again: {problems[0].path}: {problems[0].what}"
        work.found.remarks.append(text)
        return
    locks.lock(one.stage, one.run, one.sha256)
    work.found.locks.append(one.stage)
