"""What must hold before anything is rented: no lock in the way, every need and input at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from controller import certificate, snapshot
from controller.answer_key import folder_of
from controller.errors import Locked, NotFound, VerificationFailed
from controller.job_secrets import secrets_of
from controller.plan_page import moment
from controller.project import Project
from controller.stages import missing_inputs, stood_in
from controller.ways import Ways
from jobs.stage import Stage
from state.locks import StageLock


def unlocked(
    project: Project, stages: Sequence[Stage], recorded: Mapping[str, StageLock], *, every: bool
) -> tuple[Stage, ...]:
    """The stages that may run. A locked one is refused; `all` passes over it.

    Raises: Locked; VerificationFailed when the record says locked and the certificate is gone.
    """
    locks = certificate.read_all(project.root)
    for stage in stages:
        if stage.name in recorded and stage.name not in locks:
            raise VerificationFailed(
                f"{stage.name} is locked and its certificate is gone",
                where=f"locks/{stage.name}.json",
                cause=f"it was locked by {recorded[stage.name].run}; a file does not unlock it",
                hint=f"restore the file, or podctl unlock {stage.name} --reason …",
            )
    done = [stage for stage in stages if stage.name in locks]
    if done and (not every or len(done) == len(stages)):
        raise _locked(locks[done[0].name], done[0])
    return tuple(stage for stage in stages if stage.name not in locks)


def _locked(lock: certificate.Certificate, stage: Stage) -> Locked:
    rate = lock.cost.usd / lock.cost.hours if lock.cost.hours else lock.cost.usd_per_hour
    return Locked(
        f"{stage.name} passed and is locked since {moment(lock.locked_at)}",
        where=f"locks/{stage.name}.json",
        cause=f"it cost ${lock.cost.usd:.2f} in {lock.cost.hours:.2f} h; "
        f"a re-run would cost about ${stage.hours * rate:.2f}",
        hint=f"podctl unlock {stage.name} --reason …, if it must be run again",
    )


def check_ready(project: Project, stages: Sequence[Stage]) -> None:
    """Every need is locked or comes earlier in this run; every input is here or will be."""
    locks = certificate.read_all(project.root)
    coming: set[str] = set()
    for stage in stages:
        for need in stage.needs:
            if need not in locks and need not in coming and not stood_in(project, stage, need):
                raise NotFound(
                    f"{stage.name} needs {need}, which is not locked",
                    where=str(project.file),
                    hint=f"podctl run {need} {stage.name}",
                )
        secrets_of(stage)
        Ways.of(project.root).check(stage.outputs)
        _check_sendable(project, stage)
        for missing in missing_inputs(project, stage):
            if missing.made_by not in coming:
                maker = f"{missing.made_by} makes it" if missing.made_by else "no stage makes it"
                first = f"podctl run {missing.made_by}" if missing.made_by else "put it there"
                raise NotFound(
                    f"{stage.name}: the input {missing.path} is missing",
                    where=str(project.root),
                    cause=maker,
                    hint=first,
                )
        coming.add(stage.name)


def _check_sendable(project: Project, stage: Stage) -> None:
    """What is here of the inputs may be sent. Raises LikelySecret, UsageError, NotFound."""
    upload = project.config.upload
    here = [path for path in stage.inputs if (project.root / path).exists()]
    sent = snapshot.take(
        project.root, (*here, *upload.include), allow=("**",) if upload.allow_secrets else ()
    )
    folder = folder_of(stage, project.root)
    if folder and not any(Path(one.path).is_relative_to(folder) for one in sent.files):
        raise NotFound(
            f"{stage.name}: the instructions in {folder} would not be sent to the pod",
            where=str(project.file),
            cause="they are neither among the stage's inputs nor in [upload] include",
            hint=f'include = ["{folder}"] below [upload] in podctl.toml',
        )
