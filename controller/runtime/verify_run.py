"""Judges a run by its downloaded files, and locks a stage that passed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from controller.costs.pricing import spending
from controller.engine.outcomes import JudgedRun, LockedRun
from controller.errors import ArtifactsNotSafe
from controller.incident import Incident, attempt
from controller.locks import artifacts as lock_artifacts
from controller.locks import certificate, statement
from controller.locks.answer_key import answer_key, set_and_version
from controller.locks.certificate import Artifact, Certificate, CriterionMet, Price
from controller.locks.reported_environment import read_environment
from controller.locks.staleness import definitions
from controller.locks.statement import attest
from controller.locks.statistics import certified
from controller.preflight.pins import MODELS
from controller.project.changes import RECORD
from controller.project.install_file import install, keep_aside
from controller.project.output_paths import OutputPaths
from controller.project.run_folder import RunFolder
from controller.reports import publication
from controller.runtime.judgement import JudgeContext, Judgement
from controller.terminal import formatting
from controller.terminal.sanitize import clean_line
from controller.transfer.disk import writing
from controller.transfer.verified_files import VerifiedFacts, verified_facts, verified_files
from jobs import criteria, inspection
from jobs.criteria import Finding, Verdict
from jobs.stage import Stage
from remote.contract import Manifest
from remote.names import encode
from remote.outputs import missing
from state.database import backup
from state.redaction import PROCESS_REDACTOR, hidden


def judge(context: JudgeContext, run: str) -> JudgedRun:
    """Evaluate the stage's criteria on the pulled files."""
    return judge_run(context, run).report(context.tell)


def judge_run(context: JudgeContext, run: str) -> Judgement:
    """Judge a run: its criteria, outputs left on the pod, and warnings about other artifacts."""
    folder = RunFolder(context.project.run_dir(run))
    manifest = folder.manifest()
    every = [entry.path for entry in manifest.files] if manifest else []
    local = [manifest.local(path) for path in every] if manifest else []
    outputs = [*every, *manifest.untouched] if manifest else []
    stage, files = context.stages[run], folder.files
    key = answer_key(stage, context.project.root)
    findings = criteria.evaluate(stage.criteria, files, key)
    if key.computed:
        folder.keep_computed(key.computed)
    weighing = [criterion for criterion in stage.criteria if criterion.kind == "weights"]
    warnings = inspection.warnings(
        files,
        local,
        criteria.named(stage.criteria, files),
        criteria.named(weighing, files),
        stage.unchecked,
    )
    passed = not warnings and all(finding.met for finding in findings)
    opening = (_all_open(local, stage.unchecked),) if passed else ()
    complete = _all_here(manifest, missing(stage.outputs, outputs))
    return Judgement((*findings, *opening, complete), warnings)


def _all_open(paths: Sequence[str], unchecked: Sequence[str]) -> Finding:
    count = len(inspection.inspected(paths, unchecked))
    return Finding(
        "every artifact opens here", Verdict.PASS, count, formatting.count(count, "file")
    )


def _all_here(manifest: Manifest | None, absent: Sequence[str]) -> Finding:
    """A finding that every declared output is in the manifest and none is left on the pod.

    A link or a name that cannot travel is a declared output that is only on the pod.
    """
    title = "every declared output could travel"
    left = [f"{encode(left.path)}: {left.why}" for left in manifest.left] if manifest else []
    left += manifest.unfit if manifest else ["there is no manifest"]
    if manifest and manifest.beyond:
        left.append(f"{formatting.count(manifest.beyond, 'file')} beyond what can be listed")
    problems = [*left, *(f"nothing is at {glob}" for glob in absent)]
    if problems:
        return Finding(title, Verdict.FAIL, len(problems), clean_line("; ".join(problems[:5])))
    return Finding(title, Verdict.PASS, 0, "none was left behind")


def lock(context: JudgeContext, run: str, judgement: Judgement | None = None) -> LockedRun:
    """Put the artifacts into the project, write the certificate, make both read-only.

    May be called again after a crash at any point: each step does nothing when it is done.
    """
    stage = context.stages[run]
    folder = RunFolder(context.project.run_dir(run))
    manifest = folder.manifest()
    if manifest is None or not manifest.final:
        raise ArtifactsNotSafe("the run has no final manifest here", where=str(folder.root))
    issued = certificate.read(context.project.root, stage.name)
    if issued is None or issued.run != run:
        issued = certify(context, run, judgement or judge_run(context, run))
    lock_artifacts.release(
        context.project.root, issued
    )  # an earlier attempt at locking may have got this far
    output_paths = OutputPaths.of(context.project.root)
    with writing(context.project.root):
        for entry in manifest.files:
            path, content = manifest.local(entry.path), (entry.size, entry.sha256)
            install(context.project, run, output_paths, path, content, context.tell)
    lock_artifacts.set_aside(
        context.project.root, issued, context.project.state_dir / "aside" / run
    )
    arrived = partial(
        was_hashed_on_arrival, context.project.root, folder.files, verified_files(folder.files)
    )
    problems = lock_artifacts.verify_artifacts(context.project.root, issued, arrived)
    if problems:
        raise ArtifactsNotSafe(
            f"{problems[0].path}: {problems[0].what}",
            where=str(context.project.root),
            hint="podctl sync",
        )
    certificate.write(context.project.root, issued)
    lock_artifacts.protect(context.project.root, issued, _others(context, stage))
    if context.locks.current(stage.name) is None:
        context.locks.lock(stage.name, run, issued.sha256)
    _render(context, run, issued)
    for plan, names in statement.plans(context.project.stages).items():
        if stage.name in names:
            for line in attest(context.project, plan):
                context.tell(line)
    copied = attempt(
        partial(backup, context.journal.connection, context.project.state_dir / "backups")
    )
    if isinstance(copied, Incident):  # the stage is locked all the same
        context.tell(f"the state was not copied to .podctl/backups: {copied.text}")
    return LockedRun(issued.sha256)


def was_hashed_on_arrival(
    root: Path, files: Path, verified: Mapping[str, VerifiedFacts], artifact: Artifact
) -> bool:
    """Whether the artifact is the very file that was hashed on arrival, and as it was then."""
    try:
        here = os.lstat(root / artifact.path)
        return (
            os.path.samestat(here, os.lstat(files / artifact.path))
            and verified.get(artifact.path) == verified_facts(here, artifact.sha256)
            and here.st_size == artifact.size
        )
    except OSError:
        return False


def _render(context: JudgeContext, run: str, lock: Certificate) -> None:
    """Render the stage's pages, and name artifacts that are pages made by the pod."""
    project = context.project

    def aside(path: str, page: bytes) -> None:
        content = (len(page), hashlib.sha256(page).hexdigest())
        keep_aside(project, run, path, content, context.tell)

    names = [artifact.path for artifact in lock.artifacts]
    sources = publication.locked(lock, RunFolder(project.run_dir(run)).computed())
    for line in publication.publish(project.root, sources, names, aside):
        context.tell(line)
    if line := publication.rendered_line(lock.rendered):
        context.tell(line)


def _others(context: JudgeContext, stage: Stage) -> tuple[str, ...]:
    """Output globs of the other stages: folders that must stay writable for them."""
    return tuple(
        glob
        for other in context.project.stages.values()
        if other.name != stage.name
        for glob in other.outputs
    )


def certify(context: JudgeContext, run: str, judgement: Judgement) -> Certificate:
    """The certificate for the run, which must have a final manifest."""
    stage, lease_state = context.stages[run], context.lease_state()
    facts = next(item for item in lease_state.runs if item.run == run)
    row = context.journal.run(run)
    assert row is not None
    folder = RunFolder(context.project.run_dir(run))
    locks = certificate.read_all(context.project.root)
    manifest = folder.manifest()
    assert manifest is not None
    findings = [hidden(finding.as_dict(), PROCESS_REDACTOR) for finding in judgement.findings]
    return Certificate(
        stage=stage.name,
        title=stage.title,
        run=run,
        criteria=tuple(CriterionMet.model_validate(finding) for finding in findings),
        warnings=tuple(PROCESS_REDACTOR(warning) for warning in judgement.warnings),
        rendered=publication.rendered_by_pod(file.path for file in manifest.files),
        figures={path: certified(of) for path, of in folder.computed().items()},
        asked=definitions(stage),
        artifacts=tuple(
            Artifact.of(manifest.local(file.path), file.size, file.sha256, file.path)
            for file in manifest.files
        ),
        outputs=stage.outputs,
        inputs=tuple(Artifact.of(**entry) for entry in folder.inputs()),
        needs={need: locks[need].sha256 for need in stage.needs if need in locks},
        command=stage.command,
        env=stage.env,
        parameters=stage.parameters,
        overrides=tuple(map(str, row.spec.get(RECORD, ()))),
        instruction_set=set_and_version(stage),
        code=facts.code,
        environment=hidden(read_environment(folder.files, manifest), PROCESS_REDACTOR)
        | _image(context.shape.image, lease_state.image_digest)
        | _models(row.spec),
        cost=_price(context, run, lease_state.offer or "", lease_state.pods),
        started_at=row.at,
        ended_at=row.finished_at or context.clock.wall(),
        locked_at=context.clock.wall(),
    )


def _image(image: str, digest: str) -> dict[str, Any]:
    """The image's configured name, and its digest if known."""
    known = image.partition("@")[2] or digest
    return {"image": image} | ({"image_digest": known} if known else {})


def _models(spec: Mapping[str, Any]) -> dict[str, Any]:
    models = spec.get(MODELS)
    return {MODELS: models} if isinstance(models, dict) and models else {}


def _price(context: JudgeContext, run: str, offer: str, pods: tuple[str, ...]) -> Price:
    spent = spending(context.ledger.by_run(context.clock.wall(), run), run)
    return Price(
        usd=spent.usd,
        hours=spent.hours,
        usd_per_hour=spent.usd_per_hour_now,
        hardware=offer,
        pods=pods,
    )
