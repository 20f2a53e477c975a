"""The project of a rehearsal: the user's own files under the same paths, and a smaller config."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.project.plan import has_plan
from controller.project.project import Project
from controller.rehearsal import overrides, toml_text
from controller.transfer import snapshot
from controller.transfer.progress import TransferProgress
from controller.transfer.snapshot import SnapshotFile
from jobs.stage import Stage
from remote.globs import Globs
from state.atomic_files import write_atomically

FOLDER = "rehearsal"  # in .podctl
LINKED = 64 * 1024 * 1024  # bytes from which a file is linked, not copied


@dataclass(frozen=True)
class Scratch:
    """`.podctl/rehearsal`: the scratch project, its emulator, and podctl's log."""

    folder: Path

    @classmethod
    def of(cls, project: Project) -> Scratch:
        return cls(project.state_dir / FOLDER)

    @property
    def project(self) -> Project:
        return Project(self.folder / "project")

    @property
    def cloud(self) -> Path:
        return self.folder / "cloud"

    @property
    def lock(self) -> Path:
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """The log of the scratch project's podctl."""
        return self.folder / "podctl.log"

    @property
    def answer(self) -> Path:
        """Its stdout: one JSON document when it failed."""
        return self.folder / "answer.json"

    @property
    def parameters(self) -> Path:
        """Of a program that stands in for an earlier stage."""
        return self.folder / "parameters.json"

    def clear(self) -> None:
        """Remove an earlier rehearsal; its cloud must have ended."""
        for path in (self.project.root, self.cloud):
            _remove(path)
        for path in (self.log, self.answer, self.parameters):
            path.unlink(missing_ok=True)

    def bring(self, files: Iterable[SnapshotFile], stage: Stage) -> None:
        """Copy or link the user's files, as they would be sent; outputs of the stage are copied."""
        self.project.root.mkdir(parents=True, exist_ok=True)
        written = Globs(stage.outputs)
        for file in files:
            target = self.project.root / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.size < LINKED or written.match(file.path) or not _link(file.source, target):
                shutil.copyfile(file.source, target)
                target.chmod(file.mode)

    def write_config(self, project: Project, stage: Stage, minutes: float) -> None:
        """podctl.toml with this one stage, on the emulator."""
        tables = config(project, stage, minutes)
        write_atomically(self.project.file, toml_text.document(tables).encode())


def config(project: Project, stage: Stage, minutes: float) -> dict[str, dict[str, object]]:
    """The tables of the scratch project's podctl.toml."""
    chosen = project.config
    return {
        "project": {
            "name": "rehearsal",
            "provider": "emulator",
            "plan": "stage1" if has_plan(project) else "none",
        },
        "pod": {
            "image": chosen.pod.image,
            "on_success": "terminate",
            "on_failure": "terminate",
            "keep_warm_minutes": 0,
            "settle_seconds": 2,
            "boot_minutes": 2,
        },
        "upload": {"include": list(chosen.upload.include), "allow_secrets": True},
        "stages": {stage.name: _stage(stage, minutes)},
    }


def _stage(stage: Stage, minutes: float) -> Mapping[str, object]:
    table = stage.model_dump(mode="json", exclude_none=True, exclude={"name", "needs", "hardware"})
    need = stage.hardware
    kind: dict[str, object] = {"cpu": need.cpu, "vcpu_count": need.vcpu_count}
    gpu: dict[str, object] = {"gpus": [], "min_cuda": "any"}
    return {
        **table,
        "hardware": {
            **(kind if need.cpu else gpu),
            "disk_gb": 10,
            "volume_gb": 10,
        },
        "needs": [],  # what earlier stages leave is put there
        "hours": minutes / 60 / 2,
        "max_hours": minutes / 60,
        "stall_minutes": minutes,
        "parameters": dict(overrides.parameters(stage)),
    }


def files_of(
    project: Project,
    inputs: Iterable[str],
    progress: Callable[[TransferProgress], None] | None = None,
) -> tuple[SnapshotFile, ...]:
    """The user's files that would be sent, likely secrets included: they stay on this machine."""
    include = project.config.upload.include
    return snapshot.take(
        project.root, tuple(inputs), include, allow=("**",), progress=progress
    ).files


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    """Also what a lock made read-only."""
    for folder, _, _ in os.walk(path, followlinks=False):
        os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(path, ignore_errors=True)
