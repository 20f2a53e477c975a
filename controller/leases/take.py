"""Copies of a run's files, put into the project: what a failed job left, on the user's word."""

from __future__ import annotations

import hashlib

from controller.errors import Locked, NotFound
from controller.locks import artifacts, certificate
from controller.project import move_file as relocate
from controller.project.install_file import install, keep_aside
from controller.project.output_paths import OutputPaths
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from controller.reports import publication
from controller.runtime.resume import received
from controller.terminal.terminal import Terminal
from remote.names import encode
from state.database import open_database
from state.journal import Journal
from state.journal_rows import Run


def take(project: Project, name: str, terminal: Terminal) -> tuple[str, list[str]]:
    """Copy everything that came here of a run, or of a stage's newest run with files.

    Nothing is overwritten: what stands there and is another file moves aside. Raises NotFound,
    Locked for what a lock certifies, UsageError where a link leads elsewhere.
    """
    row = _row(project, name)
    run = row.id
    files = RunFolder(project.run_dir(run)).files
    paths = [
        path.relative_to(files).as_posix()
        for top in received(files)
        for path in (files / top, *sorted((files / top).rglob("*")))
        if path.is_file() and not path.is_symlink()
    ]
    ways = OutputPaths.of(project.root)
    _check_free(project, ways, paths)
    taken = [path for path in paths if _copy(project, run, ways, path, terminal)]
    _render(project, row, paths, terminal)
    return run, taken


def _render(project: Project, row: Run, paths: list[str], terminal: Terminal) -> None:
    run, command = row.id, row.spec.get("stage", {}).get("command", ())

    def aside(path: str, page: bytes) -> None:
        content = (len(page), hashlib.sha256(page).hexdigest())
        keep_aside(project, run, path, content, terminal.say)

    sources = publication.unlocked(run, command, paths, RunFolder(project.run_dir(run)).computed())
    for line in publication.publish(project.root, sources, paths, aside):
        terminal.say(line)
    if line := publication.rendered_line(publication.rendered_by_pod(paths)):
        terminal.say(line)


def _row(project: Project, name: str) -> Run:
    if not project.database.exists():
        raise NotFound("this project has no runs yet", hint="podctl plan")
    connection = open_database(project.database, readonly=True)
    try:
        journal = Journal(connection)
        one = journal.run(name)
        rows = [one] if one else list(reversed(journal.runs(project.stage(name).name)))
    finally:
        connection.close()
    for row in rows:
        if received(RunFolder(project.run_dir(row.id)).files):
            return row
    raise NotFound(
        f"no file of {name} was downloaded", where=str(project.runs), hint="podctl status"
    )


def _check_free(project: Project, ways: OutputPaths, paths: list[str]) -> None:
    for lock in certificate.read_all(project.root).values():
        known = {artifact.path for artifact in lock.artifacts}
        own = tuple(f"{folder}/" for folder in artifacts.own_folders(lock))
        for path in paths:
            if path in known or path.startswith(own):
                raise Locked(
                    f"{encode(path)} belongs to {lock.stage}, which is locked",
                    where=f"locks/{lock.stage}.json",
                    hint=f"podctl unlock {lock.stage} --reason …",
                )
    ways.check(paths)


def _copy(project: Project, run: str, ways: OutputPaths, path: str, terminal: Terminal) -> bool:
    """A copy, not a link: what is done to it does not change what came from the pod."""
    content = artifacts.hash_file(RunFolder(project.run_dir(run)).files / path)
    return install(project, run, ways, path, content, terminal.say, relocate.copy)
