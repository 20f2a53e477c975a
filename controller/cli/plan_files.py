"""`podctl plan --files`: what a run would send from here, file by file. Nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from controller.errors import NotFound, PodctlError
from controller.preflight.upload_preview import UploadPreview, obstacle, sending
from controller.project.stages import missing_inputs
from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal
from controller.transfer.tracked_files import belonging

if TYPE_CHECKING:
    from controller.project.project import Project
    from jobs.stage import Stage


def show(terminal: Terminal, project: Project, stages: Sequence[Stage]) -> int:
    """Print it; returns the exit code that `podctl run` would refuse with, else 0."""
    found = [(stage, sending(project, stage)) for stage in stages]
    errors = {stage.name: obstacle(project, stage, sent) for stage, sent in found}
    ignored = _ignored(project)
    if terminal.json:
        documents = [_document(sent, errors[stage.name], ignored) for stage, sent in found]
        terminal.emit_json("podctl/plan-files/1", {"stages": documents})
    else:
        for stage, sent in found:
            _show(terminal, sent, errors[stage.name], ignored)
    coming = {stage.name for stage in stages}
    lacks = [
        lack
        for stage in stages
        for lack in missing_inputs(project, stage)
        if lack.made_by not in coming
    ]
    for lack in lacks:
        terminal.warn(f"the input {lack.path} is missing")
    codes = [error.exit_code for error in errors.values() if error]
    return codes[0] if codes else NotFound.exit_code if lacks else 0


def _ignored(project: Project) -> dict[str, str]:
    """Path to reason, of the whole project."""
    try:
        return dict(belonging(project.root).left_out())
    except PodctlError:  # the selection says so
        return {}


def _left_out(sent: UploadPreview, ignored: Mapping[str, str]) -> dict[str, str]:
    """Path to reason; a folder that was named is sent although git ignores it."""
    paths = tuple(sent.found.files)
    hidden = {
        path: why
        for path, why in ignored.items()
        if not (path in sent.found.files or any(one.startswith(path) for one in paths))
    }
    return dict(sorted((hidden | {one.path: one.why for one in sent.left_out}).items()))


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
    terminal.data(f"{sent.stage}: {len(sent.files)} files, {words.size(sent.bytes)}")
    for path, size in sent.files.items():
        terminal.data(f"  {words.size(size):>10}  {_shown(path)}")
    for path, why in _left_out(sent, ignored).items():
        terminal.data(f"  {'stays here':>10}  {_shown(path)}: {why}")
    if sent.found.told:
        terminal.data(f"  {sent.found.told}")
    if error:
        terminal.error(error)
    terminal.data("")


def _shown(path: str) -> str:
    """A name in one line, whatever bytes it has."""
    return path if path.isprintable() else ascii(path)
