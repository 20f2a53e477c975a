"""Judge a run on the files that are here, and lock the stage that passed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from controller import certificate, safekeeping, statement
from controller.certificate import Artifact, Certificate, CriterionMet, Price
from controller.cleaning import clean_line
from controller.cost import spending
from controller.errors import ArtifactsNotSafe
from controller.lineage import in_order
from controller.run_folder import RunFolder
from controller.scene import Scene
from jobs import criteria
from jobs.criteria import Finding, Verdict
from jobs.opening import opens
from jobs.stage import Stage
from remote.contract import FileEntry, Manifest
from state.database import backup
from state.durable import sync_folder

OPENABLE = (".safetensors", ".json", ".jsonl")
MAX_ENVIRONMENT = 1024 * 1024  # bytes of an environment.json that a job wrote


def judge(scene: Scene, run: str) -> dict[str, Any]:
    """Evaluate the stage's criteria on the pulled files."""
    findings = _findings(scene, run)
    verdict = "PASS" if criteria.passed(findings) else "FAIL"
    if verdict == "FAIL" and not any(str(one.status) == "FAIL" for one in findings):
        verdict = "INCONCLUSIVE"
    for one in findings:
        scene.tell(f"  {one.status}  {one.criterion}: {one.detail}")
    return {"verdict": verdict, "findings": [one.as_dict() for one in findings]}


def _findings(scene: Scene, run: str) -> tuple[Finding, ...]:
    """The stage's own criteria, and that every artifact opens here."""
    folder = RunFolder(scene.project.run_dir(run))
    manifest = folder.manifest()
    every = [entry.path for entry in manifest.files] if manifest else []
    paths = [path for path in every if path.lower().endswith(OPENABLE)]
    return (
        *criteria.evaluate(scene.stages[run].criteria, folder.files),
        _all_open(folder, paths),
        _all_here(manifest),
    )


def _all_here(manifest: Manifest | None) -> Finding:
    """A link or a name that cannot travel is a declared output that is only on the pod."""
    title = "every declared output could travel"
    unfit = manifest.unfit if manifest else ("there is no manifest",)
    if unfit:
        return Finding(title, Verdict.FAIL, len(unfit), clean_line("; ".join(unfit[:5])))
    return Finding(title, Verdict.PASS, 0, "none was left behind")


def _all_open(folder: RunFolder, paths: list[str]) -> Finding:
    title = "every artifact opens here"
    for path in paths:
        if reason := opens(folder.files / path):
            return Finding(title, Verdict.FAIL, None, f"{path}: {reason}")
    return Finding(title, Verdict.PASS, len(paths), f"{len(paths)} files")


def lock(scene: Scene, run: str) -> dict[str, Any]:
    """Put the artifacts into the project, write the certificate, make both read-only.

    May be called again after a crash at any point: each step does nothing when it is done.
    """
    stage = scene.stages[run]
    folder = RunFolder(scene.project.run_dir(run))
    manifest = folder.manifest()
    if manifest is None or not manifest.final:
        raise ArtifactsNotSafe("the run has no final manifest here", where=str(folder.root))
    found = certificate.read(scene.project.root, stage.name)
    if found is None or found.run != run:
        found = _certificate(scene, run, stage, manifest)
    safekeeping.release(scene.project.root, found)  # an earlier try may have come as far as that
    for entry in manifest.files:
        _keep_aside(scene, run, entry)
        _install(folder.files / entry.path, scene.project.root / entry.path)
    safekeeping.set_aside(scene.project.root, found, scene.project.state_dir / "aside" / run)
    problems = safekeeping.verify_artifacts(scene.project.root, found)
    if problems:
        raise ArtifactsNotSafe(
            f"{problems[0].path}: {problems[0].what}",
            where=str(scene.project.root),
            hint="podctl sync",
        )
    certificate.write(scene.project.root, found)
    safekeeping.protect(scene.project.root, found, _others(scene, stage))
    if scene.locks.current(stage.name) is None:
        scene.locks.lock(stage.name, run, found.sha256)
    _state_plan(scene, stage.name)
    backup(scene.journal.connection, scene.project.state_dir / "backups")
    return {"certificate_sha256": found.sha256}


def _state_plan(scene: Scene, name: str) -> None:
    """Once every stage of its plan is locked, the statement over all of them."""
    locks = certificate.read_all(scene.project.root)
    for plan, names in statement.plans(in_order(scene.project.stages)).items():
        if name in names and all(one in locks for one in names):
            path = statement.write(scene.project.root, plan, {one: locks[one] for one in names})
            scene.tell(f"{plan} is whole: {path.relative_to(scene.project.root)}")


def _keep_aside(scene: Scene, run: str, entry: FileEntry) -> None:
    """What stands under the artifact's name and is something else moves aside, never away."""
    target = scene.project.root / entry.path
    if not target.exists() or safekeeping.hash_file(target) == (entry.size, entry.sha256):
        return
    aside = scene.project.state_dir / "aside" / run / entry.path
    aside.parent.mkdir(parents=True, exist_ok=True)
    while aside.exists():
        aside = aside.with_name(aside.name + "~")
    target.rename(aside)
    scene.tell(f"{entry.path} was another file: it is in {aside.relative_to(scene.project.root)}")


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


def _others(scene: Scene, stage: Stage) -> tuple[str, ...]:
    """Output globs of the other stages: folders that must stay writable for them."""
    return tuple(
        glob
        for other in scene.project.stages.values()
        if other.name != stage.name
        for glob in other.outputs
    )


def _certificate(scene: Scene, run: str, stage: Stage, manifest: Manifest) -> Certificate:
    rental = scene.rental()
    facts = next(one for one in rental.runs if one.run == run)
    row = scene.journal.run(run)
    assert row is not None
    folder = RunFolder(scene.project.run_dir(run))
    locks = certificate.read_all(scene.project.root)
    findings = _findings(scene, run)
    return Certificate(
        stage=stage.name,
        title=stage.title,
        run=run,
        criteria=tuple(CriterionMet.model_validate(one.as_dict()) for one in findings),
        artifacts=tuple(
            Artifact(path=one.path, size=one.size, sha256=one.sha256) for one in manifest.files
        ),
        outputs=stage.outputs,
        inputs=tuple(Artifact(**one) for one in folder.inputs()),
        needs={need: locks[need].sha256 for need in stage.needs if need in locks},
        command=stage.command,
        parameters=stage.parameters,
        code=facts.code,
        environment=_environment(folder, manifest) | {"image": scene.shape.image},
        cost=_price(scene, run, rental.offer or "", rental.pods),
        started_at=row.at,
        ended_at=scene.clock.wall(),
        locked_at=scene.clock.wall(),
    )


def _price(scene: Scene, run: str, offer: str, pods: tuple[str, ...]) -> Price:
    spent = spending(scene.ledger.by_run(scene.clock.wall(), run), run)
    return Price(
        usd=spent.usd,
        hours=spent.hours,
        usd_per_hour=spent.usd_per_hour_now,
        hardware=offer,
        pods=pods,
    )


def _environment(folder: RunFolder, manifest: Manifest) -> dict[str, Any]:
    """What the job says that it ran with, if it says so; its words, kept as such."""
    for entry in manifest.files:
        if Path(entry.path).name == "environment.json" and entry.size <= MAX_ENVIRONMENT:
            try:
                found = json.loads((folder.files / entry.path).read_bytes())
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}
