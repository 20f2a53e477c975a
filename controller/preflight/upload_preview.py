"""What a stage would send from here, and whether it may: looked at before anything is rented."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from controller.errors import NotFound, PodctlError
from controller.locks.answer_key import folder_of
from controller.locks.artifacts import made_before
from controller.project.project import Project
from controller.project.stages import inputs_here
from controller.transfer import snapshot
from controller.transfer.file_selection import Omitted, Selection, select
from jobs.stage import Stage


@dataclass(frozen=True)
class UploadPreview:
    """The files of one stage: inputs and the user's code, as far as they are here."""

    stage: str
    found: Selection

    @cached_property
    def files(self) -> dict[str, int]:
        """Path to size in bytes, in order."""
        return {path: _size(self.found.files[path]) for path in sorted(self.found.files)}

    @property
    def bytes(self) -> int:
        return sum(self.files.values())

    @property
    def left_out(self) -> tuple[Omitted, ...]:
        return tuple(self.found.left_out[path] for path in sorted(self.found.left_out))

    def notes(self) -> Iterator[str]:
        """What one may not expect, a line each."""
        if self.found.notice:
            yield self.found.notice
        odd = [one for one in self.left_out if one.notable]
        for one in odd[:5]:
            yield f"{one.path!r} stays here: it is {one.why}"
        if odd[5:]:
            yield f"and {len(odd) - 5} more: podctl plan {self.stage} --files"


def sending(project: Project, stage: Stage) -> UploadPreview:
    """What would be sent now; whether it may be is another question."""
    upload = project.config.upload
    made = made_before(project.root, stage.name)
    here = inputs_here(project, stage)
    return UploadPreview(stage.name, select(project.root, here, upload.include, made))


def check(project: Project, stage: Stage, sent: UploadPreview) -> None:
    """That all of it may be sent. Raises LikelySecret, UsageError, NotFound."""
    sent.found.check()
    snapshot.check(sent.found, project.config.upload.allowed)
    folder = folder_of(stage, project.root)
    if folder and not any(Path(path).is_relative_to(folder) for path in sent.found.files):
        raise NotFound(
            f"{stage.name}: the instructions in {folder} would not be sent to the pod",
            where=str(project.file),
            cause="they are neither among the stage's inputs nor in [upload] include",
            hint=f'include = ["{folder}"] below [upload] in podctl.toml',
        )


def obstacle(project: Project, stage: Stage, sent: UploadPreview) -> PodctlError | None:
    """Why a run would be refused for what it would send; None: it would not."""
    try:
        check(project, stage, sent)
    except PodctlError as error:
        return error
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
