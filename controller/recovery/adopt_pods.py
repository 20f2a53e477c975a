"""Pods of ours that no lease of the database owns: which runs are theirs, and a lease for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.agent.connection import PodConnection
from controller.agent.run_records import RunOnPod, runs_on
from controller.engine.lease_context import lease_state_of, pinned
from controller.engine.observer import endpoint_of
from controller.engine.outcomes import LeaseOutcome, PodBilling, PodParked
from controller.errors import ConnectionLost, NotFound, PodctlError
from controller.locks.artifacts import hash_file
from controller.orphans.backfill import Attribution, backfill_previous, billing_since
from controller.orphans.sweep import OrphanPod, Ownership, claim, found_lease, sweep
from controller.planner import actions
from controller.planner.lease_state import Step
from controller.project.pod_settings import shape_of
from controller.project.provider import base_url
from controller.project.run_folder import Order, RunFolder
from controller.providers.base import Pod, PodStatus
from controller.recovery.context import Recovery
from controller.recovery.inventory import stage_of
from controller.ssh.host_keys import key_words
from jobs.stage import Stage
from remote import contract
from remote.contract import FileEntry, Manifest
from remote.globs import normal
from state.journal import Run


def carry_on(work: Recovery) -> None:
    """Every pod of ours gets its runs back, or is named as what it is."""
    pods = {pod.id: pod for pod in work.remains.pods}
    for stray in sweep(work.owner.connection, work.remains.pods):
        if not stray.lease and stray.whose is not Ownership.FOREIGN:
            _pod(work, pods[stray.pod], stray)


def _pod(work: Recovery, pod: Pod, stray: OrphanPod) -> None:
    if stray.whose is Ownership.OTHER and not _has_our_key(work, pod):
        work.found.others.append(pod.id)
        return
    try:
        orders = _orders_of(work, pod, stray)
    except PodctlError as error:
        work.found.unread[pod.id] = f"{error.what} {error.cause}".strip()
        return
    rows = {run: work.journal.run(run) for run in orders}
    orders = {run: one for run, one in orders.items() if (row := rows[run]) is None or row.open}
    if not orders:
        _nothing_to_do(work, pod, [row for row in rows.values() if row])
        return
    lease = next((row.lease for run in orders if (row := rows[run]) is not None), None)
    _take(work, pod, lease, orders)


def _nothing_to_do(work: Recovery, pod: Pod, over: Iterable[Run]) -> None:
    """What was written off together with a pod that is there again may be only on it."""
    lost = [run.id for run in over if run.outcome == "pod-lost"]
    if lost:
        work.found.returned[pod.id] = lost
    else:
        work.found.empty.append(pod.id)


def _has_our_key(work: Recovery, pod: Pod) -> bool:
    try:
        ours = key_words(work.project.public_key.read_text())
    except OSError:
        return False
    return bool(ours) and key_words(pod.env.get("PUBLIC_KEY", "")) == ours


# -- which runs are on it --------------------------------------------------------------------------


def _orders_of(work: Recovery, pod: Pod, stray: OrphanPod) -> dict[str, Order]:
    """By the folders here, else by the pod itself. Raises PodctlError."""
    here = {run: one for run, one in work.remains.orders.items() if one.pod == pod.id}
    return here or dict(_told_by(work, pod, stray))


def _told_by(work: Recovery, pod: Pod, stray: OrphanPod) -> Iterator[tuple[str, Order]]:
    told = _ask(work, pod, stray)
    if pod.network_volume_id:  # it has what earlier pods left, too
        told = told[-1:]
    for one in told:
        elsewhere = work.remains.orders.get(one.run)
        if elsewhere is not None and elsewhere.pod != pod.id:
            continue
        try:
            stage = work.project.stage(one.stage)
        except NotFound:
            work.found.remarks.append(f"{one.run}: podctl.toml has no stage {one.stage}")
            continue
        yield one.run, _order(work, pod, one, stage)


def _ask(work: Recovery, pod: Pod, stray: OrphanPod) -> tuple[RunOnPod, ...]:
    endpoint = endpoint_of(pod)
    if endpoint is None:
        raise ConnectionLost(f"it is {pod.status} and cannot be asked")
    link = PodConnection(work.project, work.provider, stray.stage or "import")
    try:
        session = link.reach(pod.id, endpoint)
        layout = session.layout(pod.env.get(contract.ENV_MOUNT) or "/workspace")
        return runs_on(session, layout)
    finally:
        link.drop()


def _order(work: Recovery, pod: Pod, one: RunOnPod, stage: Stage) -> Order:
    """The stage as podctl.toml has it: a pod is not trusted to say what may be written here."""
    globs = tuple(normal(glob) for glob in one.outputs)
    if (one.argv, globs) != (stage.command, stage.outputs):
        work.found.remarks.append(
            f"{one.run} was begun with another command or other outputs than podctl.toml has now"
        )
    spec = pinned(stage, shape_of(work.project, base_url(work.project)))
    now = work.clock.wall()
    return Order("", pod.id, one.code, min(one.started_at or now, now), spec)


# -- a lease for them ------------------------------------------------------------------------------


def _take(work: Recovery, pod: Pod, lease: str | None, orders: Mapping[str, Order]) -> None:
    if lease is None:
        config = work.project.config.pod
        lease = found_lease(work.journal, work.project, config.on_success, config.on_failure)
    for run, order in orders.items():
        if work.journal.run(run) is None:
            work.journal.restore_run(lease, run, order.spec, order.at)
    claim(work.journal, lease, lease_state_of(work.journal, lease).generation + 1, pod)
    _book(work, lease, pod, orders)
    for run, order in orders.items():
        _replay(work, lease, pod, run, order)
    work.found.pods[pod.id] = list(orders)


def _book(work: Recovery, lease: str, pod: Pod, orders: Mapping[str, Order]) -> None:
    """The pod is the lease's, and bills: from its creation on, for one run after the other."""
    now = work.clock.wall()
    first, *others = orders
    backfill_previous(
        work.ledger, pod, Attribution(stage_of(first), first, lease), work.remains.bill, now
    )
    billing = PodBilling(
        pod=pod.id,
        usd_per_hour=pod.usd_per_hour,
        disk_gb=pod.disk_gb,
        volume_gb=pod.volume_gb,
        network_volume=pod.network_volume_id,
        started_at=billing_since(pod, now),
        for_run=first,
        stage=stage_of(first),
    )
    work.books(lease).outcome(actions.Adopt(pod.id), billing)
    for run in others:
        work.ledger.attribute(pod.id, run, stage_of(run), min(orders[run].at, now))
    if pod.status is PodStatus.EXITED:
        parked = PodParked(now, first, stage_of(first), pod.volume_gb)
        work.books(lease).outcome(actions.ConfirmParked(pod.id), parked)


def _replay(work: Recovery, lease: str, pod: Pod, run: str, order: Order) -> None:
    """What certainly was done, and that a job may have been started: until the pod was asked,
    nothing on it is given up."""
    if run in work.remains.certified:
        work.books(lease).outcome(
            actions.Finish(run, "passed", "by its certificate"), LeaseOutcome()
        )
        return
    journal = work.journal
    facts = next(one for one in lease_state_of(journal, lease).runs if one.run == run)
    if facts.uploaded_to != pod.id:
        sent = {"pod": pod.id, "code": order.code, "bytes": 0}
        journal.done(journal.intent(lease, Step.UPLOAD, run=run), sent)
    if not facts.started:
        journal.intent(lease, Step.START_JOB, run=run)
    if not facts.pulled and (ended := _pulled(RunFolder(work.project.run_dir(run)))):
        journal.done(journal.intent(lease, Step.PULL, run=run), ended)


def _pulled(folder: RunFolder) -> dict[str, object] | None:
    """How the run ended, when its records and every file of its manifest are here."""
    manifest, ended = folder.manifest(), folder.exit()
    if manifest is None or ended is None or not manifest.final:
        return None
    if manifest.left or manifest.unfit or manifest.beyond:
        return None
    if not all(_whole(folder, manifest, entry) for entry in manifest.files):
        return None
    return {"rc": ended.rc, "reason": ended.reason, "manifest_sha256": ended.manifest_sha256}


def _whole(folder: RunFolder, manifest: Manifest, entry: FileEntry) -> bool:
    try:
        return hash_file(folder.files / manifest.local(entry.path)) == (entry.size, entry.sha256)
    except OSError:
        return False
