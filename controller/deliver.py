"""What a run gets before it starts: our package, its inputs, its parameters, what it had before."""

from __future__ import annotations

import dataclasses
from importlib.resources import files
from typing import Any

from controller import job_program, order, plan_so_far, snapshot
from controller.leftovers import leftovers, received
from controller.run_folder import SAMPLES, Order, RunFolder
from controller.snapshot import Snapshot, SnapshotFile
from controller.upload import upload_code, upload_work
from controller.workshop import Workshop
from jobs.stage import Stage
from remote.contract import FileEntry
from remote.usage import summarise


def deliver(shop: Workshop, run: str) -> dict[str, Any]:
    """Bring code and work folder to the pod; what is there already does not travel.

    Raises: NotFound for a missing input, LikelySecret, UploadFailed, ConnectionLost.
    """
    stage = shop.stages[run]
    session = shop.link.session
    layout = session.layout(shop.shape.mount)
    inputs = inputs_of(shop, stage)
    sent = _with_earlier(inputs, shop, run)
    code = upload_code(session, layout.root)
    folder = RunFolder(shop.project.run_dir(run))
    _keep_order(shop, run, code, folder)
    written = extras(stage) | {plan_so_far.PATH: _so_far(shop, run, folder)}
    begun = next(one.tree for one in shop.rental().runs if one.run == run)
    report = upload_work(session, layout, run, sent, written, code=code, begun=begun)
    folder.keep_inputs(FileEntry(one.path, one.size, one.sha256) for one in inputs.files)
    shop.tell(
        f"{run}: sent {report.files_sent} of {report.files_total} files, "
        f"{report.bytes_sent / 1e6:.2f} MB"
    )
    return {"code": code, "bytes": report.bytes_sent, "tree": report.tree}


def _keep_order(shop: Workshop, run: str, code: str, folder: RunFolder) -> None:
    """Before the job can exist: without the database, `podctl import` finds it by this."""
    row, pod = shop.journal.run(run), shop.rental().pod
    assert row is not None
    assert pod is not None
    folder.keep_order(Order(row.lease, pod, code, row.at, row.spec))


def inputs_of(shop: Workshop, stage: Stage) -> Snapshot:
    """The stage's inputs and the user's own code, read and hashed now."""
    upload = shop.project.config.upload
    allow = ("**",) if upload.allow_secrets else ()
    taken = snapshot.take(shop.project.root, (*stage.inputs, *upload.include), allow=allow)
    return startable(taken, stage)


def startable(taken: Snapshot, stage: Stage) -> Snapshot:
    """The file that the command starts gets its run bit, which many ways of copying lose."""
    programs = job_program.started(stage.command)
    if all(one.path not in programs or one.mode == 0o755 for one in taken.files):
        return taken
    marked = (
        dataclasses.replace(one, mode=0o755) if one.path in programs else one for one in taken.files
    )
    return _of(tuple(marked))


def extras(stage: Stage) -> dict[str, bytes]:
    """Files that podctl writes into the work folder."""
    found = {order.PARAMETERS: order.parameters_json(stage.parameters)}
    if stage.environment.kind == "training":
        found[order.LOCK] = files("remote").joinpath("requirements.lock").read_bytes()
    return found


def _so_far(shop: Workshop, run: str, folder: RunFolder) -> bytes:
    """The plan's summary for this run: written once, so that a second upload sends the same."""
    kept = folder.root / "plan_so_far.json"
    if not kept.is_file():
        now = shop.clock.wall()
        stages = shop.project.stages
        pod = shop.rental().pod
        rates = shop.ledger.by_pod(now, pod) if pod else ()
        content = plan_so_far.document(
            stages,
            shop.stages[run].name,
            run,
            shop.ledger.by_stage(now),
            {name: _usage(shop, name) for name in stages},
            usd_per_hour=sum(total.usd_per_hour_now for total in rates),
            at=now,
        )
        folder.keep(kept.name, content)
    return kept.read_bytes()


def _usage(shop: Workshop, stage: str) -> dict[str, Any] | None:
    """What the stage's newest run with samples used of its machine."""
    for row in reversed(shop.journal.runs(stage)):
        path = shop.project.run_dir(row.id) / SAMPLES
        if path.is_file():
            return summarise(path.read_bytes())
    return None


def _with_earlier(inputs: Snapshot, shop: Workshop, run: str) -> Snapshot:
    """Add what an interrupted attempt left here, so that a new pod goes on from its checkpoint."""
    source = leftovers(shop.project, shop.journal, run, inputs, shop.tell)
    if source is None:
        return inputs
    known = {one.path for one in inputs.files}
    found: list[SnapshotFile] = []
    for name in received(source):
        found += [one for one in snapshot.take(source, [name]).files if one.path not in known]
    if found:
        shop.tell(f"{run}: going on from {len(found)} files that an earlier attempt left here")
    return _of(tuple(sorted((*inputs.files, *found), key=lambda one: one.path)))


def _of(files: tuple[SnapshotFile, ...]) -> Snapshot:
    tree = snapshot.tree_digest((one.path, one.size, one.sha256, one.mode) for one in files)
    return Snapshot(files, tree)
