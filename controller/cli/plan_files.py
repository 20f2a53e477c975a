"""`podctl plan --files`: lists the files that a run would upload. Makes no request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from controller.errors import NotFound, PodctlError
from controller.preflight.upload_preview import UploadPreview, obstacle, sending
from controller.project.stages import missing_inputs
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal
from controller.transfer.tracked_files import tracked_files_of

if TYPE_CHECKING:
    from controller.project.project import Project
    from jobs.stage import Stage


def show(terminal: Terminal, project: Project, stages: Sequence[Stage]) -> int:
    """Print the list; return the code with which `podctl run` would refuse, else 0."""
    previews = [(stage, sending(project, stage)) for stage in stages]
    errors = {stage.name: obstacle(project, stage, sent) for stage, sent in previews}
    ignored = _ignored(project)
    if terminal.json:
        documents = [_document(sent, errors[stage.name], ignored) for stage, sent in previews]
        terminal.emit_json("podctl/plan-files/1", {"stages": documents})
    else:
        for stage, sent in previews:
            _show(terminal, sent, errors[stage.name], ignored)
    planned = {stage.name for stage in stages}
    absent = [
        missing
        for stage in stages
        for missing in missing_inputs(project, stage)
        if missing.made_by not in planned
    ]
    for missing in absent:
        terminal.warn(f"the input {missing.path} is missing")
    codes = [error.exit_code for error in errors.values() if error]
    return codes[0] if codes else NotFound.exit_code if absent else 0


def _ignored(project: Project) -> dict[str, str]:
    """Path to reason, for all files of the project that are not uploaded."""
    try:
        return dict(tracked_files_of(project.root).left_out())
    except PodctlError:  # the upload preview reports the error
        return {}


def _left_out(sent: UploadPreview, ignored: Mapping[str, str]) -> dict[str, str]:
    """Path to reason; a folder named in podctl.toml is uploaded even if git ignores it."""
    paths = tuple(sent.found.files)
    hidden = {
        path: why
        for path, why in ignored.items()
        if not (path in sent.found.files or any(sent_path.startswith(path) for sent_path in paths))
    }
    return dict(sorted((hidden | {file.path: file.why for file in sent.left_out}).items()))


def _document(
    sent: UploadPreview, error: PodctlError | None, ignored: Mapping[str, str]
) -> dict[str, object]:
    return {
        "stage": sent.stage,
        "files": [{"path": path, "bytes": size} for path, size in sent.files.items()],
        "total_files": len(sent.files),
        "total_bytes": sent.bytes,
        "left_out": [{"path": p, "why": why} for p, why in _left_out(sent, ignored).items()],
        "notes": list(sent.notes()),
        "refused": error.as_dict() if error else None,
    }


def _show(
    terminal: Terminal, sent: UploadPreview, error: PodctlError | None, ignored: Mapping[str, str]
) -> None:
    terminal.data(f"{sent.stage}: {words.count(len(sent.files), 'file')}, {words.size(sent.bytes)}")
    for path, size in sent.files.items():
        terminal.data(f"  {words.size(size):>10}  {_shown(path)}")
    for path, why in _left_out(sent, ignored).items():
        terminal.data(f"  {'not sent':>10}  {_shown(path)}: {why}")
    if sent.found.notice:
        terminal.data(f"  {sent.found.notice}")
    if error:
        terminal.error(error)
    terminal.data("")


def _shown(path: str) -> str:
    """`path` on one line, with other bytes escaped."""
    return path if path.isprintable() else ascii(path)
