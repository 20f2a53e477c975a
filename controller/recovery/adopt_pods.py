"""Adopts this project's pods that no lease of the database owns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from controller.agent.connection import PodConnection
from controller.agent.run_records import RunOnPod, runs_on
from controller.engine.lease_context import pinned
from controller.engine.outcomes import LeaseOutcome, PodBilling, PodParked
from controller.errors import ConnectionLost, NotFound, PodctlError
from controller.locks.artifacts import hash_file
from controller.orphans.backfill import Attribution, backfill_previous, billing_since
from controller.orphans.sweep import OrphanPod, Ownership, claim, open_adopting_lease, sweep
from controller.planner import actions
from controller.planner.journal_fold import lease_state_of
from controller.planner.lease_state import Step
from controller.project.pod_settings import shape_of
from controller.project.provider import base_url
from controller.project.run_folder import Order, RunFolder
from controller.providers.base import Pod, PodStatus
from controller.providers.pod_status import endpoint_of
from controller.recovery.context import Recovery
from controller.recovery.inventory import stage_of
from controller.ssh.host_keys import key_words
from jobs.launch import command_line
from jobs.stage import Stage
from remote import contract
from remote.contract import FileEntry, Manifest
from remote.globs import normal
from state.journal_rows import Run


def adopt_all(recovery: Recovery) -> None:
    """Resume the runs of every pod of this project, or report the pod."""
    pods = {pod.id: pod for pod in recovery.inventory.pods}
    for orphan in sweep(recovery.owner.connection, recovery.inventory.pods):
        if not orphan.lease and orphan.whose is not Ownership.FOREIGN:
            _pod(recovery, pods[orphan.pod], orphan)


def _pod(recovery: Recovery, pod: Pod, orphan: OrphanPod) -> None:
    if orphan.whose is Ownership.OTHER and not _has_our_key(recovery, pod):
        recovery.recovered.others.append(pod.id)
        return
    try:
        orders = _orders_of(recovery, pod, orphan)
    except PodctlError as error:
        recovery.recovered.unread[pod.id] = f"{error.what} {error.cause}".strip()
        return
    rows = {run: recovery.journal.run(run) for run in orders}
    orders = {run: order for run, order in orders.items() if (row := rows[run]) is None or row.open}
    if not orders:
        _nothing_to_do(recovery, pod, [row for row in rows.values() if row])
        return
    lease = next((row.lease for run in orders if (row := rows[run]) is not None), None)
    _take(recovery, pod, lease, orders)


def _nothing_to_do(recovery: Recovery, pod: Pod, over: Iterable[Run]) -> None:
    """Warn that runs written off with a pod that exists after all may have files on it only."""
    lost = [run.id for run in over if run.outcome == "pod-lost"]
    if lost:
        recovery.recovered.returned[pod.id] = lost
    else:
        recovery.recovered.empty.append(pod.id)


def _has_our_key(recovery: Recovery, pod: Pod) -> bool:
    try:
        ours = key_words(recovery.project.public_key.read_text())
    except OSError:
        return False
    return bool(ours) and key_words(pod.env.get("PUBLIC_KEY", "")) == ours


# -- which runs are on it --------------------------------------------------------------------------


def _orders_of(recovery: Recovery, pod: Pod, orphan: OrphanPod) -> dict[str, Order]:
    """The pod's runs by the local run folders, else by its own records. Raises PodctlError."""
    orders = {run: order for run, order in recovery.inventory.orders.items() if order.pod == pod.id}
    return orders or dict(_orders_on_pod(recovery, pod, orphan))


def _orders_on_pod(recovery: Recovery, pod: Pod, orphan: OrphanPod) -> Iterator[tuple[str, Order]]:
    answers = _ask(recovery, pod, orphan)
    if pod.network_volume_id:  # it has what earlier pods left, too
        answers = answers[-1:]
    for record in answers:
        elsewhere = recovery.inventory.orders.get(record.run)
        if elsewhere is not None and elsewhere.pod != pod.id:
            continue
        try:
            stage = recovery.project.stage(record.stage)
        except NotFound:
            recovery.recovered.remarks.append(
                f"{record.run}: podctl.toml has no stage {record.stage}"
            )
            continue
        yield record.run, _order(recovery, pod, record, stage)


def _ask(recovery: Recovery, pod: Pod, orphan: OrphanPod) -> tuple[RunOnPod, ...]:
    endpoint = endpoint_of(pod)
    if endpoint is None:
        raise ConnectionLost(f"it is {pod.status} and cannot be reached")
    link = PodConnection(recovery.project, recovery.provider, orphan.stage or "import")
    try:
        session = link.connect(pod.id, endpoint)
        layout = session.layout(pod.env.get(contract.ENV_MOUNT) or "/workspace")
        return runs_on(session, layout)
    finally:
        link.drop()


def _order(recovery: Recovery, pod: Pod, record: RunOnPod, stage: Stage) -> Order:
    """The stage by podctl.toml: a pod does not decide what may be written locally."""
    globs = tuple(normal(glob) for glob in record.outputs)
    if (record.argv, globs) != (command_line(stage), stage.outputs):
        recovery.recovered.remarks.append(
            f"{record.run} was started with another command or other outputs than podctl.toml now "
            "has"
        )
    spec = pinned(stage, shape_of(recovery.project, base_url(recovery.project)))
    now = recovery.clock.wall()
    return Order("", pod.id, record.code, min(record.started_at or now, now), spec)


# -- a lease for them ------------------------------------------------------------------------------


def _take(recovery: Recovery, pod: Pod, lease: str | None, orders: Mapping[str, Order]) -> None:
    if lease is None:
        config = recovery.project.config.pod
        lease = open_adopting_lease(recovery.journal, recovery.project, config.on_success, "park")
    for run, order in orders.items():
        if recovery.journal.run(run) is None:
            recovery.journal.restore_run(lease, run, order.spec, order.at)
    number = lease_state_of(recovery.journal, lease).generation + 1
    claim(recovery.journal, lease, number, pod, recovery.clock.wall())
    _book(recovery, lease, pod, orders)
    for run, order in orders.items():
        _replay(recovery, lease, pod, run, order)
    recovery.recovered.pods[pod.id] = list(orders)


def _book(recovery: Recovery, lease: str, pod: Pod, orders: Mapping[str, Order]) -> None:
    """Record the pod in the lease and the ledger, from its creation on, run by run."""
    now = recovery.clock.wall()
    first, *others = orders
    backfill_previous(
        recovery.ledger,
        pod,
        Attribution(stage_of(first), first, lease),
        recovery.inventory.bill,
        now,
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
    recovery.recorder(lease).outcome(actions.Adopt(pod.id), billing)
    for run in others:
        recovery.ledger.attribute(pod.id, run, stage_of(run), min(orders[run].at, now))
    if pod.status is PodStatus.EXITED:
        parked = PodParked(now, first, stage_of(first), pod.volume_gb)
        recovery.recorder(lease).outcome(actions.ConfirmParked(pod.id), parked)


def _replay(recovery: Recovery, lease: str, pod: Pod, run: str, order: Order) -> None:
    """Record the steps that certainly happened, and that a job may have been started: nothing on
    the pod is given up before its agent has responded."""
    if run in recovery.inventory.certified:
        recovery.recorder(lease).outcome(
            actions.Finish(run, "passed", "by its certificate"), LeaseOutcome()
        )
        return
    journal = recovery.journal
    facts = next(entry for entry in lease_state_of(journal, lease).runs if entry.run == run)
    if facts.uploaded_to != pod.id:
        sent = {"pod": pod.id, "code": order.code, "bytes": 0}
        journal.done(journal.intent(lease, Step.UPLOAD, run=run), sent)
    if not facts.started:
        journal.intent(lease, Step.START_JOB, run=run)
    if not facts.pulled and (ended := _pulled(RunFolder(recovery.project.run_dir(run)))):
        journal.done(journal.intent(lease, Step.PULL, run=run), ended)


def _pulled(folder: RunFolder) -> dict[str, object] | None:
    """The run's outcome, if its records and every file of its manifest are in its folder."""
    manifest, ended = folder.manifest(), folder.exit()
    if manifest is None or ended is None or not manifest.final:
        return None
    if manifest.left or manifest.unfit or manifest.beyond:
        return None
    if not all(_is_intact(folder, manifest, entry) for entry in manifest.files):
        return None
    return {"rc": ended.rc, "reason": ended.reason, "manifest_sha256": ended.manifest_sha256}


def _is_intact(folder: RunFolder, manifest: Manifest, entry: FileEntry) -> bool:
    try:
        return hash_file(folder.files / manifest.local(entry.path)) == (entry.size, entry.sha256)
    except OSError:
        return False
