"""What a run would take from elsewhere, and by which name: models of the hub, locks of the user's.

A model's `main` may be another one tomorrow. So it is resolved once: the commit goes into the run
before anything is rented, into the certificate, and from there into the plan's later stages.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath

from controller.credentials.job_secrets import secrets_of
from controller.errors import PodctlError
from controller.locks.certificate import Certificate
from controller.planner.outcomes import COMPLETE
from controller.preflight.hub_commit import COMMIT, ID, HubUnavailable, commit_of
from controller.preflight.stage_inputs import hub_model
from controller.project.environment_files import text_of
from controller.project.installed_project import depends
from controller.project.project import Project
from jobs.stage import EnvironmentNeed, Stage
from remote.lock_file import PYPROJECT, UV_LOCK
from state.journal import Journal

MODELS = "models"  # in a run's specification, and in a certificate's environment
TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable


def _pinnable(project: Project, stage: Stage) -> str:
    """The OWNER/NAME at the hub of the model that the stage loads; empty for any other model."""
    model = hub_model(stage, project.root)
    return model if ID.fullmatch(model) else ""


def known(
    project: Project, stage: Stage, locks: Mapping[str, Certificate], journal: Journal | None
) -> dict[str, str]:
    """The commits that this plan is pinned to already: by a lock, or by a run that goes on."""
    model = _pinnable(project, stage)
    found = [lock.environment.get(MODELS) for lock in locks.values()]
    last = journal.newest_run(stage.name) if journal is not None else None
    if last is not None and last.outcome not in COMPLETE:
        found.append(last.spec.get(MODELS))
    commits = (one.get(model) for one in found if isinstance(one, dict))
    commit = next((one for one in commits if isinstance(one, str) and COMMIT.fullmatch(one)), "")
    return {model: commit} if model and commit else {}


def pinned_models(
    project: Project,
    stages: Sequence[Stage],
    locks: Mapping[str, Certificate],
    journal: Journal | None = None,
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Model → commit for what `stages` load, and what is to be said where it is not known."""
    pins: dict[str, str] = {}
    remarks: list[str] = []
    for stage in stages:
        model = _pinnable(project, stage)
        if not model or model in pins:
            continue
        try:
            pins |= known(project, stage, locks, journal) or {model: _ask(stage, model)}
        except HubUnavailable as error:
            remarks.append(f"{model} is not pinned to a commit: {error.cause}")
    return pins, tuple(dict.fromkeys(remarks))


def _ask(stage: Stage, model: str) -> str:
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        raise HubUnavailable(f"the commit of {model} is not known", cause="HF_HUB_OFFLINE is set")
    try:
        token = secrets_of(stage).get(TOKEN) if TOKEN in stage.secrets else None
    except PodctlError:
        token = None  # that it is missing is told elsewhere
    return commit_of(model, token.reveal() if token is not None else "")


def unhashed(project: Project, stages: Sequence[Stage]) -> tuple[str, ...]:
    """What is to be said of the user's own requirements files, and of what is installed alone."""
    found: list[str] = []
    for stage in stages:
        need = stage.environment
        if need.kind == "lock" and need.lock is not None and (project.root / need.lock).is_file():
            found += _unhashed(project.root, need, need.lock, stage.name)
        if need.kind == "none" and need.install is not None and depends(project.root, need.install):
            found.append(
                f"{stage.name} installs the project in {need.install} without what it depends on: "
                'kind = "lock" with lock = "uv.lock" or "pyproject.toml" installs that too'
            )
    return tuple(dict.fromkeys(found))


def _unhashed(root: Path, need: EnvironmentNeed, lock: str, stage: str) -> Iterator[str]:
    name = PurePath(lock).name
    if name == UV_LOCK or (name != PYPROJECT and "--hash=" in text_of(root, need)):
        return
    remedy = "uv lock" if name == PYPROJECT else "uv pip compile --generate-hashes"
    yield (
        f"{lock} has no hashes: what {stage} installs is whatever the index has under "
        f"these names then ({remedy})"
    )
