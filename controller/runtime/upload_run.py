"""Uploads what a run needs: podctl's package, inputs, parameters and an earlier attempt's files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.resources import files
from typing import Any

from controller.costs import plan_spending as plan_so_far
from controller.engine.outcomes import UploadedRun
from controller.locks.artifacts import made_before
from controller.planner import pod_spec as order
from controller.preflight import program as job_program
from controller.preflight.pins import MODELS
from controller.project.project import Project
from controller.project.run_folder import SAMPLES, Order, RunFolder
from controller.project.stages import declared_inputs
from controller.runtime.resume import leftovers
from controller.runtime.run_context import RunContext
from controller.runtime.stage_predictions import expected_of
from controller.ssh.stream import CommandFailed
from controller.terminal import formatting
from controller.transfer import snapshot
from controller.transfer.manifest_check import STAGING
from controller.transfer.progress import TransferProgress
from controller.transfer.snapshot import Snapshot, SnapshotFile
from controller.transfer.upload import UploadReport, code_digest, upload_code, upload_work
from controller.transfer.upload_batch import FileGone, UploadFailed
from jobs.arguments import filled
from jobs.stage import Stage
from remote.contract import MAX_FILES, FileEntry
from remote.usage import summarise

TRIES = 4  # of an upload whose files disappear meanwhile
EARLIER = snapshot.Caps(files=MAX_FILES, total_bytes=4 * 10**12)


def deliver(context: RunContext, run: str) -> UploadedRun:
    """Upload code and work folder; content that the pod already has is not sent.

    Raises: NotFound for a missing input, LikelySecret, UploadFailed, ConnectionLost.
    """
    stage = context.stages[run]
    session = context.link.session
    layout = session.layout(context.shape.mount)
    code, code_is_certain = code_digest(), False
    if not _code_is_there(context, code):
        code, code_is_certain = upload_code(session, layout.root), True
    folder = RunFolder(context.project.run_dir(run))
    _keep_order(context, run, code, folder)
    row = context.journal.run(run)
    models = row.spec.get(MODELS) if row is not None else None
    written = extras(stage, models or {}) | {plan_so_far.PATH: _so_far(context, run, folder)}
    begun = next(entry.tree for entry in context.lease_state().runs if entry.run == run)
    for tries in range(TRIES, 0, -1):
        inputs = inputs_of(context, stage, partial(context.moved, f"{run}: reading the inputs"))
        sent = _with_earlier(inputs, context, run)
        try:
            report = upload_work(
                session,
                layout,
                run,
                sent,
                written,
                code=code,
                begun=begun,
                progress=partial(_tell_sent, context, run),
            )
            break
        except FileGone as error:
            if tries == 1:
                raise
            context.tell(f"{run}: {error.what}; reading the inputs again")
        except (UploadFailed, CommandFailed):
            if code_is_certain or tries == 1:
                raise
            code_is_certain = bool(upload_code(session, layout.root))  # a job may have removed it
    folder.keep_inputs(_as_sent(inputs, report))
    _tell_changed(context, run, report)
    context.tell(f"{run}: {_in_words(report)}")
    return UploadedRun(code, report.bytes_sent, report.tree)


def _code_is_there(context: RunContext, code: str) -> bool:
    """Whether an earlier run of the lease had this very code sent to the present pod."""
    lease_state = context.lease_state()
    return any(run.code == code and run.uploaded_to == lease_state.pod for run in lease_state.runs)


def _tell_sent(context: RunContext, run: str, progress: TransferProgress) -> None:
    context.heed()
    phase = "the pod puts the files in place" if progress.complete else "uploading"
    context.moved(f"{run}: {phase}", progress)


def _in_words(report: UploadReport) -> str:
    sent = (
        f"sent {report.files_sent} of {formatting.count(report.files_total, 'file')}, "
        f"{report.bytes_sent / 1e6:.2f} MB"
    )
    if report.files_sent == report.files_total:
        return sent
    return f"{sent} ({report.bytes_there / 1e6:.2f} MB were there)"


def _as_sent(inputs: Snapshot, report: UploadReport) -> Iterator[FileEntry]:
    changed = {file.path: file for file in report.changed}
    for file in inputs.files:
        yield changed.get(file.path, FileEntry(file.path, file.size, file.sha256))


def _tell_changed(context: RunContext, run: str, report: UploadReport) -> None:
    """Warn about files that changed during the upload; this does not stop the run."""
    if report.changed:
        names = ", ".join(file.path for file in report.changed[:5])
        context.tell(
            f"{run}: {formatting.count(len(report.changed), 'file')} changed while they were "
            f"sent; the pod has the versions that were read: {names}; list files that the job "
            "does not need in .podctlignore"
        )


def _keep_order(context: RunContext, run: str, code: str, folder: RunFolder) -> None:
    """Before the job can exist: without the database, `podctl import` finds it by this."""
    row, pod = context.journal.run(run), context.lease_state().pod
    assert row is not None
    assert pod is not None
    folder.keep_order(Order(row.lease, pod, code, row.at, row.spec))


def inputs_of(
    context: RunContext, stage: Stage, progress: Callable[[TransferProgress], None] | None = None
) -> Snapshot:
    """A snapshot of the stage's inputs and the user's code, hashed now."""
    return project_inputs(context.project, stage, progress)


def project_inputs(
    project: Project, stage: Stage, progress: Callable[[TransferProgress], None] | None = None
) -> Snapshot:
    """The same without a pod: what an upload would send of `project` now."""
    if (problem := project.problem) is not None:
        raise problem  # which files it names to be sent is not known
    upload = project.config.upload
    root = project.root
    made = made_before(root, stage.name)
    declared = declared_inputs(project, stage)
    taken = snapshot.take(
        root,
        declared,
        upload.include,
        earlier_outputs=made,
        allow=upload.allowed,
        progress=progress,
    )
    return startable(taken, stage)


def startable(taken: Snapshot, stage: Stage) -> Snapshot:
    """The file that the command starts gets its run bit, which many ways of copying lose."""
    programs = job_program.started(filled(stage.command, stage.parameters))
    if all(file.path not in programs or file.mode == 0o755 for file in taken.files):
        return taken
    marked = (
        dataclasses.replace(file, mode=0o755) if file.path in programs else file
        for file in taken.files
    )
    return _with(taken, tuple(marked))


def extras(stage: Stage, models: Mapping[str, str]) -> dict[str, bytes]:
    """Files that podctl writes into the work folder."""
    contents = {order.PARAMETERS: order.parameters_json(stage.parameters)}
    if models:
        contents[order.MODELS] = order.models_json(models)
    if stage.environment.kind == "training":
        contents[order.LOCK] = files("remote").joinpath("requirements.lock").read_bytes()
    return contents


def _so_far(context: RunContext, run: str, folder: RunFolder) -> bytes:
    """The plan's summary for this run, written once, so that a second upload sends the same."""
    document = folder.root / "plan_so_far.json"
    if not document.is_file():
        now = context.clock.wall()
        stages = context.project.stages
        pod = context.lease_state().pod
        rates = context.ledger.by_pod(now, pod) if pod else ()
        content = plan_so_far.document(
            stages,
            context.stages[run].name,
            run,
            context.ledger.by_stage(now),
            {name: _usage(context, name) for name in stages},
            usd_per_hour=sum(total.usd_per_hour_now for total in rates),
            at=now,
            expected=expected_of(context.project, context.journal, stages),
        )
        folder.keep(document.name, content)
    return document.read_bytes()


def _usage(context: RunContext, stage: str) -> dict[str, Any] | None:
    """Resource use of the stage's newest run that has samples."""
    for row in reversed(context.journal.runs(stage)):
        path = context.project.run_dir(row.id) / SAMPLES
        if path.is_file():
            return summarise(path.read_bytes())
    return None


def _with_earlier(inputs: Snapshot, context: RunContext, run: str) -> Snapshot:
    """Add the downloaded files of an interrupted attempt, so that a new pod resumes from them."""
    source = leftovers(context.project, context.journal, run, inputs, context.tell)
    if source is None:
        return inputs
    known = {file.path for file in inputs.files}
    own = RunFolder(source.parent).own_names()
    reading = partial(context.moved, f"{run}: reading what was done before")
    # It is the pod's own work: whatever its names and number, it goes back to a pod.
    earlier = (
        dataclasses.replace(file, path=own.get(file.path, file.path))
        for file in snapshot.take_all(source, EARLIER, reading).files
        if file.path.split("/")[0] != STAGING
    )
    files: list[SnapshotFile] = [file for file in earlier if file.path not in known]
    every = tuple(sorted((*inputs.files, *files), key=lambda file: file.path))
    return _with(inputs, every)


def _with(snapshot_of: Snapshot, files: tuple[SnapshotFile, ...]) -> Snapshot:
    """The same with other files."""
    tree = snapshot.tree_digest((file.path, file.size, file.sha256, file.mode) for file in files)
    return dataclasses.replace(snapshot_of, files=files, tree=tree)
