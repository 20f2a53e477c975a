"""Downloads a run's files: finished ones while the job runs, and the rest at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from controller.agent.client import AgentClient
from controller.agent.job_log import append_rest
from controller.credentials.secret import Secret
from controller.engine.outcomes import PulledRun
from controller.errors import ArtifactsNotSafe, Paused
from controller.planner.observation import Contact
from controller.planner.unpulled_files import LeftOnPod
from controller.project.output_paths import OutputPaths
from controller.project.run_folder import READY, SAMPLES, RunFolder
from controller.runtime.background_call import BackgroundCall
from controller.runtime.left_on_pod import unpulled_files, with_fetched
from controller.runtime.run_context import RunContext
from controller.terminal.sanitize import clean_line
from controller.transfer.disk import writing
from controller.transfer.download import PullReport, pull
from controller.transfer.local_names import common_file_system, local_names
from controller.transfer.manifest_check import check_declared
from controller.transfer.progress import TransferProgress
from controller.transfer.skipped_files import without_programs
from remote import contract
from remote.contract import ContractError, Exit, Manifest, Status
from remote.names import encode
from state.redaction import PROCESS_REDACTOR, masked

MANIFEST = "manifest.json"
NOTES = 20  # names shown of files that were left out
SLICE = 600.0  # seconds of one pull
LOST_RC = -1  # of a job that left no exit record


def bring_ready(context: RunContext, agent: AgentClient, run: str) -> None:
    """Pull finished outputs; a file that changed meanwhile is left for a later pull.

    Raises: ConnectionLost; ArtifactsNotSafe for an invalid manifest.
    """
    raw = agent.document(run, READY)
    if raw:
        manifest = _manifest(context, raw, run, final=False)
        _warn_of_many(context, run, manifest.seen)
        report = _pull(context, run, manifest)
        RunFolder(context.project.run_dir(run)).keep(READY, contract.dump(manifest))
        if report.files:
            context.brought(report.files, report.bytes)


def bring(context: RunContext, agent: AgentClient, run: str, contact: Contact) -> PulledRun:
    """Pull everything that the ended run declared, and its documents.

    Returns what the journal keeps. Raises ConnectionLost, and ArtifactsNotSafe when not every
    file of the manifest is here with its hash.
    """
    with writing(context.project.run_dir(run)):
        return _bring(context, agent, run, contact)


def _bring(context: RunContext, agent: AgentClient, run: str, contact: Contact) -> PulledRun:
    status = contact.status
    assert status is not None
    folder = RunFolder(context.project.run_dir(run))
    folder.keep("status.json", _without_secrets(status))
    log, secrets = context.project.job_log(run), context.secrets(run)
    with BackgroundCall(partial(_keep_records, agent, run, log, secrets, folder)):
        if status.exit is None:
            return _bring_lost(context, agent, run)
        return _bring_final(context, agent, run, status.exit)


def _bring_final(context: RunContext, agent: AgentClient, run: str, end: Exit) -> PulledRun:
    folder = RunFolder(context.project.run_dir(run))
    raw = agent.document(run, MANIFEST)
    if contract.digest(raw) != end.manifest_sha256:
        raise ArtifactsNotSafe(
            f"the manifest of {run} is not the one that its exit record names",
            where=MANIFEST,
            cause="it was changed after the job ended, or the volume lost a write",
            hint="podctl sync",
        )
    manifest = _with_fetched(context, run, _manifest(context, raw, run, final=True))
    report = _pull(context, run, manifest)
    folder.keep(MANIFEST, contract.dump(manifest))
    folder.keep("exit.json", _without_secrets(end))
    for note in manifest.notes[:NOTES]:
        context.tell(f"{run}: left out: {clean_line(f'{encode(note.path)}: {note.why}')}")
    if (more := len(manifest.notes) - NOTES) > 0:
        context.tell(f"{run}: left out: {more} more, which the manifest names")
    if manifest.left or manifest.unfit or manifest.beyond:
        stage = context.stages[run]
        raise LeftOnPod(unpulled_files(manifest, stage.name, folder.files, stage.outputs))
    return _summary(end, report, contract.digest(raw), len(manifest.files))


def _keep_records(
    agent: AgentClient, run: str, log: Path, secrets: Sequence[Secret], folder: RunFolder
) -> None:
    """The rest of the log, and the samples."""
    append_rest(agent, run, log, secrets)
    if samples := agent.document(run, SAMPLES):
        folder.keep(SAMPLES, PROCESS_REDACTOR.redact(samples))


def _without_secrets(document: Exit | Status) -> bytes:
    """The exit record with secrets masked: a job may write anything into it."""
    return masked(asdict(document)).encode() + b"\n"


def _bring_lost(context: RunContext, agent: AgentClient, run: str) -> PulledRun:
    """Pull the published files of a job that left no exit record and has no attempts left."""
    bring_ready(context, agent, run)
    return PulledRun(LOST_RC, "lost", "", files=0, bytes=0)


def _summary(ended: Exit, report: PullReport, sha256: str, files: int) -> PulledRun:
    return PulledRun(
        rc=ended.rc,
        reason=ended.reason if not ended.detail else f"{ended.reason}: {ended.detail[:500]}",
        manifest_sha256=sha256,
        files=files,
        pulled=report.files,
        bytes=report.bytes,
        seconds=round(report.seconds, 3),
    )


def _manifest(context: RunContext, raw: bytes, run: str, *, final: bool) -> Manifest:
    try:
        manifest = contract.load(Manifest, raw)
    except ContractError as error:
        raise ArtifactsNotSafe(
            f"the manifest of {run} cannot be read", where=MANIFEST, cause=str(error)
        ) from error
    if manifest.run != run or manifest.final is not final:
        raise ArtifactsNotSafe(f"the manifest is not that of {run}", where=MANIFEST)
    return _placed(context, run, RunFolder(context.project.run_dir(run)).own(manifest))


def _pull(context: RunContext, run: str, manifest: Manifest) -> PullReport:
    """Pull the manifest's files, with progress, for at most SLICE seconds."""
    folder = RunFolder(context.project.run_dir(run))
    with writing(folder.files):
        folder.make()
    session = context.link.session
    layout, code = session.layout(context.shape.mount), _code(context, run)
    subject = "the artifacts" if manifest.final else "what is finished"
    over = _slice(context, f"{run}: pulling {subject}")
    return pull(session, layout, run, manifest, folder.files, code=code, progress=over)


def _code(context: RunContext, run: str) -> str:
    return next(entry.code for entry in context.lease_state().runs if entry.run == run)


def _with_fetched(context: RunContext, run: str, manifest: Manifest) -> Manifest:
    """Add files that the user fetched by hand to the manifest."""
    session, files = context.link.session, RunFolder(context.project.run_dir(run)).files
    layout = session.layout(context.shape.mount)
    entries = with_fetched(session, layout, _code(context, run), manifest, files)
    return _placed(context, run, entries)


def _placed(context: RunContext, run: str, manifest: Manifest) -> Manifest:
    """The files that may be pulled, with local names chosen here, not by the pod.

    Raises ArtifactsNotSafe for a file that the stage does not declare.
    """
    root, folder = context.project.root, RunFolder(context.project.run_dir(run))
    outputs = context.stages[run].outputs
    manifest = without_programs(manifest, outputs, (folder.files, root))
    check_declared((entry.path for entry in manifest.files), outputs)
    fixed, output_paths = (
        (glob.split("*")[0].rpartition("/")[0] for glob in outputs),
        OutputPaths.of(root),
    )
    starts = [root / start for start in fixed if not output_paths.leads_out(start)]
    below = (folder.files, root, context.project.state_dir / "aside" / run)
    names = local_names((entry.path for entry in manifest.files), common_file_system(below, starts))
    return replace(manifest, here=names)


def _warn_of_many(context: RunContext, run: str, count: int) -> None:
    if not count or run in context.process.warned_runs:
        return
    context.process.warned_runs.add(run)
    context.tell(
        f"{run}: {count:,} outputs so far; files beyond {contract.MAX_FILES:,} cannot be "
        "downloaded and keep the pod. Pack small files (tar, zip, one JSON Lines file) while the "
        "job runs."
    )


def _slice(context: RunContext, subject: str) -> Callable[[TransferProgress], None]:
    """Interrupt a pull after `SLICE` seconds: a pod that never stops sending must not block the
    loop. Downloaded data is kept, and the next pull resumes there."""
    until = context.clock.now() + SLICE

    def over(progress: TransferProgress) -> None:
        context.moved(subject, progress)
        if progress.bytes_done < progress.bytes_total and context.clock.now() > until:
            raise Paused(f"{progress.bytes_done / 1e6:.0f} of {progress.bytes_total / 1e6:.0f} MB")
        context.heed()

    return over
