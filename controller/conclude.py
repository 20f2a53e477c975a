"""Judge a run on the files that are here, and lock the stage that passed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from controller import certificate, safekeeping, statement
from controller.answer_key import answer_key
from controller.attestation import attest
from controller.certificate import Artifact, Certificate, CriterionMet, Price
from controller.cleaning import clean_line
from controller.cost import spending
from controller.errors import ArtifactsNotSafe
from controller.pins import MODELS
from controller.run_folder import RunFolder
from controller.surroundings import surroundings
from controller.workshop import Workshop
from jobs import criteria
from jobs.criteria import Finding, Verdict
from jobs.opening import opens
from jobs.stage import Stage, definitions
from remote.contract import FileEntry, Manifest
from remote.outputs import missing
from state.database import backup
from state.durable import sync_folder
from state.scrub import PROCESS, hidden

OPENABLE = (".safetensors", ".json", ".jsonl")


def judge(shop: Workshop, run: str) -> dict[str, Any]:
    """Evaluate the stage's criteria on the pulled files."""
    findings = _findings(shop, run)
    verdict = "PASS" if criteria.passed(findings) else "FAIL"
    if verdict == "FAIL" and not any(str(one.status) == "FAIL" for one in findings):
        verdict = "INCONCLUSIVE"
    for one in findings:
        shop.tell(f"  {one.status}  {one.criterion}: {one.detail}")
    return {"verdict": verdict, "findings": [one.as_dict() for one in findings]}


def _findings(shop: Workshop, run: str) -> tuple[Finding, ...]:
    """The stage's own criteria, and that every artifact opens here."""
    folder = RunFolder(shop.project.run_dir(run))
    manifest = folder.manifest()
    every = [entry.path for entry in manifest.files] if manifest else []
    paths = [path for path in every if path.lower().endswith(OPENABLE)]
    stage = shop.stages[run]
    return (
        *criteria.evaluate(stage.criteria, folder.files, answer_key(stage, shop.project.root)),
        _all_open(folder, paths),
        _all_here(manifest, missing(stage.outputs, every)),
    )


def _all_here(manifest: Manifest | None, absent: Sequence[str]) -> Finding:
    """Whatever exit.json says: each declared output is in the manifest, and nothing stayed there.

    A link or a name that cannot travel is a declared output that is only on the pod.
    """
    title = "every declared output could travel"
    unfit = manifest.unfit if manifest else ("there is no manifest",)
    lacks = [*unfit, *(f"nothing is at {glob}" for glob in absent)]
    if lacks:
        return Finding(title, Verdict.FAIL, len(lacks), clean_line("; ".join(lacks[:5])))
    return Finding(title, Verdict.PASS, 0, "none was left behind")


def _all_open(folder: RunFolder, paths: list[str]) -> Finding:
    title = "every artifact opens here"
    for path in paths:
        if reason := opens(folder.files / path):
            return Finding(title, Verdict.FAIL, None, f"{path}: {reason}")
    return Finding(title, Verdict.PASS, len(paths), f"{len(paths)} files")


def lock(shop: Workshop, run: str) -> dict[str, Any]:
    """Put the artifacts into the project, write the certificate, make both read-only.

    May be called again after a crash at any point: each step does nothing when it is done.
    """
    stage = shop.stages[run]
    folder = RunFolder(shop.project.run_dir(run))
    manifest = folder.manifest()
    if manifest is None or not manifest.final:
        raise ArtifactsNotSafe("the run has no final manifest here", where=str(folder.root))
    found = certificate.read(shop.project.root, stage.name)
    if found is None or found.run != run:
        found = _certificate(shop, run, stage, manifest)
    safekeeping.release(shop.project.root, found)  # an earlier try may have come as far as that
    for entry in manifest.files:
        _keep_aside(shop, run, entry)
        _install(folder.files / entry.path, shop.project.root / entry.path)
    safekeeping.set_aside(shop.project.root, found, shop.project.state_dir / "aside" / run)
    problems = safekeeping.verify_artifacts(shop.project.root, found)
    if problems:
        raise ArtifactsNotSafe(
            f"{problems[0].path}: {problems[0].what}",
            where=str(shop.project.root),
            hint="podctl sync",
        )
    certificate.write(shop.project.root, found)
    safekeeping.protect(shop.project.root, found, _others(shop, stage))
    if shop.locks.current(stage.name) is None:
        shop.locks.lock(stage.name, run, found.sha256)
    for plan, names in statement.plans(shop.project.stages).items():
        if stage.name in names:
            for line in attest(shop.project, plan):
                shop.tell(line)
    backup(shop.journal.connection, shop.project.state_dir / "backups")
    return {"certificate_sha256": found.sha256}


def _keep_aside(shop: Workshop, run: str, entry: FileEntry) -> None:
    """What stands under the artifact's name and is something else moves aside, never away."""
    target = shop.project.root / entry.path
    if not target.exists() or safekeeping.hash_file(target) == (entry.size, entry.sha256):
        return
    aside = shop.project.state_dir / "aside" / run / entry.path
    aside.parent.mkdir(parents=True, exist_ok=True)
    while aside.exists():
        aside = aside.with_name(aside.name + "~")
    target.rename(aside)
    shop.tell(f"{entry.path} was another file: it is in {aside.relative_to(shop.project.root)}")


def _install(source: Path, target: Path) -> None:
    """The same file under its name in the project; what stood there is replaced whole."""
    if target.exists() and target.samefile(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.podctl")
    beside.unlink(missing_ok=True)
    try:
        os.link(source, beside)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, beside, follow_symlinks=False)
    os.replace(beside, target)
    sync_folder(target.parent)


def _others(shop: Workshop, stage: Stage) -> tuple[str, ...]:
    """Output globs of the other stages: folders that must stay writable for them."""
    return tuple(
        glob
        for other in shop.project.stages.values()
        if other.name != stage.name
        for glob in other.outputs
    )


def _certificate(shop: Workshop, run: str, stage: Stage, manifest: Manifest) -> Certificate:
    rental = shop.rental()
    facts = next(one for one in rental.runs if one.run == run)
    row = shop.journal.run(run)
    assert row is not None
    folder = RunFolder(shop.project.run_dir(run))
    locks = certificate.read_all(shop.project.root)
    findings = [hidden(one.as_dict(), PROCESS) for one in _findings(shop, run)]
    return Certificate(
        stage=stage.name,
        title=stage.title,
        run=run,
        criteria=tuple(CriterionMet.model_validate(one) for one in findings),
        asked=definitions(stage),
        artifacts=tuple(
            Artifact(path=one.path, size=one.size, sha256=one.sha256) for one in manifest.files
        ),
        outputs=stage.outputs,
        inputs=tuple(Artifact(**one) for one in folder.inputs()),
        needs={need: locks[need].sha256 for need in stage.needs if need in locks},
        command=stage.command,
        parameters=stage.parameters,
        code=facts.code,
        environment=hidden(surroundings(folder.files, manifest.files), PROCESS)
        | _image(shop.shape.image, rental.image_digest)
        | _models(row.spec),
        cost=_price(shop, run, rental.offer or "", rental.pods),
        started_at=row.at,
        ended_at=shop.clock.wall(),
        locked_at=shop.clock.wall(),
    )


def _image(image: str, digest: str) -> dict[str, Any]:
    """The image by the name that was asked for, and by its digest where one is known."""
    known = image.partition("@")[2] or digest
    return {"image": image} | ({"image_digest": known} if known else {})


def _models(spec: Mapping[str, Any]) -> dict[str, Any]:
    models = spec.get(MODELS)
    return {MODELS: models} if isinstance(models, dict) and models else {}


def _price(shop: Workshop, run: str, offer: str, pods: tuple[str, ...]) -> Price:
    spent = spending(shop.ledger.by_run(shop.clock.wall(), run), run)
    return Price(
        usd=spent.usd,
        hours=spent.hours,
        usd_per_hour=spent.usd_per_hour_now,
        hardware=offer,
        pods=pods,
    )
