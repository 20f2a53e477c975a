"""A finished run whose files are all downloaded: judged again by the present criteria, and locked.

The lock records the command, parameters, inputs and cost of that run, and the present criteria.
No pod is rented, and no request goes to the provider.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from controller.clock import Clock, SystemClock
from controller.engine.lease_context import unpinned
from controller.engine.outcomes import journal_data
from controller.errors import NotFound, PodctlError, VerificationFailed
from controller.locks import artifacts, certificate
from controller.locks.certificate import Certificate
from controller.locks.staleness import differences, input_hashes
from controller.planner.journal_fold import fold
from controller.planner.lease_state import LeaseState, RunFacts, Step
from controller.planner.pod_spec import Shape
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from controller.runtime import verify_run
from controller.runtime.judgement import Judgement
from controller.transfer.upload import code_digest
from jobs.criteria import Finding, Verdict
from jobs.stage import Stage
from remote.contract import Manifest
from remote.names import encode
from state.journal import Journal
from state.journal_rows import Run
from state.ledger import Ledger
from state.locks import Locks
from state.project_lock import ProjectLock

ENDED = "the job came to its end"
STATISTICAL = ("decreases", "increases")


@dataclass(frozen=True)
class FinishedRun:
    """Implements `JudgeContext`, which `verify_run` needs to judge and lock the run."""

    project: Project
    row: Run
    stage: Stage  # as the run was begun, with the criteria as they are now
    shape: Shape
    owner: ProjectLock
    tell: Callable[[str], None]
    clock: Clock = field(default_factory=SystemClock)

    @property
    def run(self) -> str:
        return self.row.id

    @property
    def stages(self) -> Mapping[str, Stage]:
        return {self.row.id: self.stage}

    @property
    def journal(self) -> Journal:
        return Journal(self.owner.connection, self.owner.epoch)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.owner.connection, self.owner.epoch)

    @property
    def locks(self) -> Locks:
        return Locks(self.owner.connection, self.owner.epoch)

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.project.run_dir(self.row.id))

    @property
    def facts(self) -> RunFacts:
        return next(run for run in self.lease_state().runs if run.run == self.row.id)

    def lease_state(self) -> LeaseState:
        runs = [(run.id, run.stage) for run in self.journal.runs(lease=self.row.lease)]
        return fold(self.row.lease, runs, self.journal.ops(self.row.lease))

    def look(self, accept: str = "") -> Judgement:
        """Judge the run. `accept` is the reason for accepting what an operator may accept."""
        found = verify_run.judge_run(self, self.row.id)
        ended = self.folder.exit()
        if ended is None or ended.rc != 0 or self.facts.stopping:
            what = self.facts.stopping or (f"it ended with {ended.rc}" if ended else "unknown")
            found = dataclasses.replace(
                found, findings=(*found.findings, Finding(ENDED, Verdict.INCONCLUSIVE, None, what))
            )
        return _accepted(found, self.stage, accept) if accept else found

    def lock(self, judgement: Judgement) -> None:
        """Record the judgement and lock the stage. Raises VerificationFailed unless it is PASS."""
        journal, lease, run = self.journal, self.row.lease, self.row.id
        journal.note(lease, Step.JUDGE, journal_data(judgement.report(self.tell)), run)
        if judgement.verdict != "PASS":
            raise VerificationFailed(
                f"{run}: its files do not meet the criteria",
                where=str(self.folder.files),
                cause=judgement.shortfall,
                hint=_remedy(judgement, self.row),
            )
        intent = journal.intent(lease, Step.LOCK, {}, run)
        try:
            done = verify_run.lock(self, run, judgement)
        except PodctlError as error:
            journal.fail(intent, {"why": error.what})
            raise
        journal.done(intent, journal_data(done))
        why = "its files were judged again"
        journal.note(lease, Step.FINISH, {"outcome": "passed", "why": why}, run)

    def differs(self, now: Stage) -> list[str]:
        """In words, what a run of the stage now would be given otherwise; criteria aside."""
        would = verify_run.certify(self, self.row.id, Judgement(()))
        inputs = input_hashes(self.project, now, would)
        locks = certificate.read_all(self.project.root)
        found = differences(now, would, inputs, locks, code_digest())
        texts = [one.text for one in found if one.kind != "criterion"]
        if now.environment != self.stage.environment:
            texts.append("the environment has changed")
        if (now.image or self.project.config.pod.image) != self.shape.image:
            texts.append(f"the image was {self.shape.image}")
        return texts


def _accepted(found: Judgement, stage: Stage, reason: str) -> Judgement:
    """Statistical criteria that had too little, and a job that did not end well."""
    statistical = [criterion.kind in STATISTICAL for criterion in stage.criteria]
    findings = [
        dataclasses.replace(one, accepted=reason)
        if one.status is Verdict.INCONCLUSIVE
        and (one.criterion == ENDED or (place < len(statistical) and statistical[place]))
        else one
        for place, one in enumerate(found.findings)
    ]
    return dataclasses.replace(found, findings=tuple(findings))


def _remedy(judgement: Judgement, row: Run) -> str:
    if judgement.verdict == "INCONCLUSIVE":
        return f"podctl judge {row.id} --accept REASON locks it anyway and records the reason"
    return (
        f"correct the criteria, then podctl judge {row.stage}; "
        f"podctl take {row.id} copies its files"
    )


def newest(
    project: Project, owner: ProjectLock, name: str, tell: Callable[[str], None]
) -> FinishedRun:
    """The run called `name`, or the newest of that stage, whose files are all here.

    Raises: NotFound, naming what is missing; VerificationFailed when the run used other files than
    those that a lock certifies.
    """
    why = []
    for row in _rows(Journal(owner.connection), name):
        try:
            return _finished(project, owner, row, tell)
        except NotFound as error:
            why.append(error.what)
    cause = "; ".join(why[:3]) or "no run of it is finished"
    raise NotFound(
        f"{name} has no finished run that can be judged", cause=cause, hint="podctl status"
    )


def _rows(journal: Journal, name: str) -> Iterator[Run]:
    every = journal.runs(name)
    one = journal.run(name)
    yield from (row for row in reversed((*every, one) if one else every) if not row.open)


def _finished(
    project: Project, owner: ProjectLock, row: Run, tell: Callable[[str], None]
) -> FinishedRun:
    now = project.stages.get(row.stage)
    if now is None:
        raise NotFound(f"podctl.toml has no stage {row.stage} now")
    try:
        pinned, shape = unpinned(row.spec)
    except PodctlError as error:
        raise NotFound(f"{row.id}: its recorded stage cannot be read") from error
    folder = RunFolder(project.run_dir(row.id))
    _check_files(row.id, folder)
    began = row.at
    fewer = set(now.outputs) <= set(pinned.outputs)
    changed = {
        "title": now.title,
        "criteria": now.criteria,
        "unchecked": now.unchecked,
        "outputs": now.outputs if fewer else pinned.outputs,
        "needs": _standing(project, pinned, folder, began),
    }
    return FinishedRun(project, row, pinned.model_copy(update=changed), shape, owner, tell)


def _check_files(run: str, folder: RunFolder) -> Manifest:
    """Everything that the job left is here as it was. Raises NotFound."""
    manifest = folder.manifest()
    if manifest is None or not manifest.final:
        raise NotFound(f"{run}: not all its outputs are downloaded")
    for file in manifest.files:
        try:
            same = artifacts.hash_file(folder.files / manifest.local(file.path)) == (
                file.size,
                file.sha256,
            )
        except OSError:
            same = False
        if not same:
            raise NotFound(
                f"{run}: {encode(file.path)} is missing or was changed since the download"
            )
    return manifest


def _standing(project: Project, pinned: Stage, folder: RunFolder, began: float) -> tuple[str, ...]:
    """The needs whose present locks certify the run's inputs. Raises VerificationFailed.

    A lock that is younger than the run counts when the run took its very files.
    """
    locks = certificate.read_all(project.root)
    taken = {str(entry.get("path")): entry.get("sha256") for entry in folder.inputs()}
    kept = []
    for need in pinned.needs:
        lock = locks.get(need)
        if lock is None:
            continue
        if other := _other_file(lock, taken):
            raise VerificationFailed(
                f"the run's {encode(other)} differs from the one that {need} is locked with",
                where=str(folder.root),
                hint=f"podctl run {pinned.name} --fresh",
            )
        if lock.locked_at <= began or any(artifact.path in taken for artifact in lock.artifacts):
            kept.append(need)
    return tuple(kept)


def _other_file(lock: Certificate, taken: Mapping[str, object]) -> str | None:
    return next(
        (
            artifact.path
            for artifact in lock.artifacts
            if taken.get(artifact.path, artifact.sha256) != artifact.sha256
        ),
        None,
    )
