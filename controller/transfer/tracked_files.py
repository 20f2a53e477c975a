"""What of a project's folders belongs to it: by git where there is a repository, else .gitignore.

What is neither regular file nor link is no file. A folder that is a repository of its own, a
submodule or a clone, is asked itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from controller.errors import UsageError
from controller.transfer.git_listing import (
    GitUnavailable,
    Listing,
    ignored,
    ignored_entries,
    list_files,
    repository_of,
)
from controller.transfer.ignore import GIT, Ignores, check_for_git
from remote.reserved_names import STATE

KEPT = "podctl sends no caches, environments, version control or files of its own"


@dataclass(frozen=True)
class Member:
    """A file or link that belongs; `path` is relative to the project."""

    path: str
    tracked: bool = False  # under version control


class TrackedFiles(Protocol):
    """`told` is what a person should know about how it was found out."""

    told: str

    def below(self, folder: str) -> Iterator[Member]:
        """What belongs at any depth below `folder` ("": the project)."""
        ...

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """Which paths, files or folders, are hidden by themselves or by a folder above."""
        ...

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Paths that are ignored, folders as a whole and with `/`, and why."""
        ...


def belonging(project: Path) -> TrackedFiles:
    """Who says what belongs to the folder `project`. Raises UsageError for a .gitignore that
    cannot be read."""
    if STATE in project.resolve().parts:  # a rehearsal's: what is there was selected
        return TrackedByIgnoreFiles(project, git=False)
    home = repository_of(project)
    if home is None:
        return TrackedByIgnoreFiles(project)
    try:
        found = TrackedByGit(project, list_files(project))
    except GitUnavailable as silent:
        here = project.resolve()
        above = tuple(folder for folder in here.parents if folder.is_relative_to(home))
        if not str(silent):
            return TrackedByIgnoreFiles(project)
        told = f"git was not asked what it ignores: {silent}; the .gitignore files were read"
        return TrackedByIgnoreFiles(here, (here, *above) if here != home else (here,), told)
    found.check_ignore_files(home)
    return found


class TrackedByGit:
    """Git's own word."""

    told = ""

    def __init__(self, project: Path, listing: Listing) -> None:
        self._project = project
        self._listing = listing

    def check_ignore_files(self, home: Path) -> None:
        here = self._project.resolve()
        for folder in (here, *here.parents):
            if not folder.is_relative_to(home):
                break
            check_for_git(folder / GIT)
        for path in self._paths:
            if path.path.endswith(f"/{GIT}"):
                check_for_git(self._project / path.path)

    @cached_property
    def _paths(self) -> list[Member]:
        listing = self._listing
        every = sorted(listing.tracked | listing.untracked)
        return [Member(path, path in listing.tracked) for path in every]

    def below(self, folder: str) -> Iterator[Member]:
        start = f"{folder}/" if folder else ""
        yield from (member for member in self._paths if member.path.startswith(start))
        for path in sorted(self._listing.repositories):
            if f"{path}/".startswith(start):
                yield from self._nested(path, "")
            elif start.startswith(f"{path}/"):
                yield from self._nested(path, folder[len(path) + 1 :])

    def _nested(self, path: str, folder: str) -> Iterator[Member]:
        """Of a repository in this one; a submodule that was not fetched is an empty folder."""
        place = self._project / path
        if place.is_symlink() or not os.path.lexists(place / ".git"):
            return
        for member in belonging(place).below(folder):
            yield Member(f"{path}/{member.path}", member.tracked)

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """A path within a repository of its own is that one's affair."""
        every = {candidate for candidate in paths if candidate}
        found = set()
        for path in self._listing.repositories:
            within = {candidate for candidate in every if candidate.startswith(f"{path}/")}
            if within and os.path.lexists(self._project / path / ".git"):
                asked = belonging(self._project / path)
                rest = asked.ignored(member_path[len(path) + 1 :] for member_path in within)
                found |= {f"{path}/{nested_path}" for nested_path in rest}
            every -= within
        try:
            return found | ignored(self._project, sorted(every))
        except GitUnavailable:  # such as a path behind a link
            return found | {unanswered for unanswered in every if self._alone(unanswered)}

    def _alone(self, path: str) -> bool:
        try:
            return bool(ignored(self._project, [path]))
        except GitUnavailable:
            return False

    def left_out(self) -> Iterator[tuple[str, str]]:
        try:
            yield from ((path, "git ignores it") for path in ignored_entries(self._project))
        except GitUnavailable:
            return


class TrackedByIgnoreFiles:
    """The .gitignore files, read here."""

    def __init__(
        self, project: Path, above: tuple[Path, ...] = (), told: str = "", *, git: bool = True
    ) -> None:
        self.told = told
        self._git = git
        self._project = project
        self._ignores = Ignores(project, above)

    def below(self, folder: str) -> Iterator[Member]:
        for path in walk(self._project, folder, self._pruned):
            yield Member(path)

    def _pruned(self, path: str) -> bool:
        return self._ignores.never(path) or bool(self._ignores.hidden(path, git=self._git))

    def ignored(self, paths: Iterable[str]) -> set[str]:
        return {path for path in paths if path and self._hides(path)}

    def _hides(self, path: str) -> bool:
        folder = (self._project / path).is_dir()
        shown = f"{path.rstrip('/')}/" if folder else path
        return self._git and self._ignores.hidden(shown, git=True) == GIT

    def left_out(self) -> Iterator[tuple[str, str]]:
        found: dict[str, str] = {}

        def note(path: str) -> bool:
            name = self._ignores.hidden(path, git=True)
            why = f"{name} lists it" if name else "" if not self._ignores.never(path) else KEPT
            if why:
                found[path] = why
            return bool(why)

        for _ in walk(self._project, "", note):
            continue
        yield from sorted(found.items())


def walk(project: Path, folder: str, pruned: Callable[[str], bool]) -> Iterator[str]:
    """Files and links below `folder`, sorted; no link is followed. `pruned` says of a path, a
    folder's with `/`, whether it is left out."""
    try:
        with os.scandir(project / folder) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(
            f"{folder or '.'} cannot be read",
            where=str(project / folder),
            cause=error.strerror or str(error),
            hint="list it in .podctlignore if no job needs it",
        ) from error
    for child in children:
        path = f"{folder}/{child.name}" if folder else child.name
        if child.is_dir(follow_symlinks=False):
            if not pruned(f"{path}/"):
                yield from walk(project, path, pruned)
        elif not pruned(path):
            yield path
