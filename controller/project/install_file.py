"""Put a file of a run into the project, under its name there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from controller.project import move_file as relocate
from controller.project.move_file import Destination
from controller.project.output_paths import Aside, OutputPaths
from controller.project.project import Project
from controller.project.run_folder import RunFolder
from remote.names import encode

Content = tuple[int, str]  # size in bytes, sha256


def install(
    project: Project,
    run: str,
    ways: OutputPaths,
    path: str,
    content: Content,
    tell: Callable[[str], None],
    put: Callable[[Path, Destination], None] = relocate.place,
) -> bool:
    """The run's file `path` in the project; returns whether anything had to be done.

    What stands there, or on the way, and is something else moves aside, never away; no link is
    followed that leads out and was not allowed.
    """

    aside, source = _aside(project, run, tell), RunFolder(project.run_dir(run)).files / path
    with ways.opened(path, aside) as (fd, name):
        target = Destination(fd, name)
        about = target.about()
        if about is not None and os.path.samestat(about, os.stat(source)):
            return False
        same = about is not None and _is_it(target, about, content)
        if same and put is not relocate.place:
            return False
        if about is not None and not same:
            aside(fd, name, path)
        put(source, target)
    return True


def keep_aside(
    project: Project, run: str, path: str, content: Content, tell: Callable[[str], None]
) -> None:
    """What stands under a name that is to be written and is something else moves aside."""
    aside = _aside(project, run, tell)
    with OutputPaths.of(project.root).opened(path, aside) as (fd, name):
        target = Destination(fd, name)
        about = target.about()
        if about is not None and not _is_it(target, about, content):
            aside(fd, name, path)


def _aside(project: Project, run: str, tell: Callable[[str], None]) -> Aside:
    def aside(fd: int, name: str, there: str) -> None:
        kept = relocate.free_name(project.state_dir / "aside" / run / there)
        relocate.move(Destination(fd, name), kept)
        shown = encode(str(kept.relative_to(project.root)))
        tell(f"{encode(there)} was something else: it is in {shown}")

    return aside


def _is_it(target: Destination, about: os.stat_result, content: Content) -> bool:
    return stat.S_ISREG(about.st_mode) and target.measure() == content
