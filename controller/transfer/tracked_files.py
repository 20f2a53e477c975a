"""Lists the files that belong to a project: by git in a repository, else by .gitignore files.

Only regular files and links count. A nested repository (a submodule or a clone) is listed by its
own rules.
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

NEVER_SENT = "podctl sends no caches, environments, version control or files of its own"


@dataclass(frozen=True)
class Member:
    """A file or link of the project; `path` is relative to it."""

    path: str
    tracked: bool = False  # under version control


class TrackedFiles(Protocol):
    """Lists files; `notice` is what the user should know about the method, empty for nothing."""

    notice: str

    def below(self, folder: str) -> Iterator[Member]:
        """The files at any depth below `folder` ("": the project)."""
        ...

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """The files and folders of `paths` that are ignored, directly or by a parent folder."""
        ...

    def left_out(self) -> Iterator[tuple[str, str]]:
        """Ignored paths and the reason for each; a folder ends in `/` and stands for its
        content."""
        ...


def tracked_files_of(project: Path) -> TrackedFiles:
    """Chooses how the files of the folder `project` are listed. Raises UsageError for a .gitignore
    that cannot be read."""
    if STATE in project.resolve().parts:  # a rehearsal's folder holds selected files only
        return TrackedByIgnoreFiles(project, git=False)
    repository = repository_of(project)
    if repository is None:
        return TrackedByIgnoreFiles(project)
    try:
        listed_by_git = TrackedByGit(project, list_files(project))
    except GitUnavailable as reason:
        root = project.resolve()
        parents = tuple(folder for folder in root.parents if folder.is_relative_to(repository))
        if not str(reason):
            return TrackedByIgnoreFiles(project)
        notice = f"git could not list the ignored files: {reason}; the .gitignore files were read"
        return TrackedByIgnoreFiles(
            root, (root, *parents) if root != repository else (root,), notice
        )
    listed_by_git.check_ignore_files(repository)
    return listed_by_git


class TrackedByGit:
    """Files as git lists them."""

    notice = ""

    def __init__(self, project: Path, listing: Listing) -> None:
        self._project = project
        self._listing = listing

    def check_ignore_files(self, repository: Path) -> None:
        root = self._project.resolve()
        for folder in (root, *root.parents):
            if not folder.is_relative_to(repository):
                break
            check_for_git(folder / GIT)
        for member in self._members:
            if member.path.endswith(f"/{GIT}"):
                check_for_git(self._project / member.path)

    @cached_property
    def _members(self) -> list[Member]:
        listing = self._listing
        paths = sorted(listing.tracked | listing.untracked)
        return [Member(path, path in listing.tracked) for path in paths]

    def below(self, folder: str) -> Iterator[Member]:
        prefix = f"{folder}/" if folder else ""
        yield from (member for member in self._members if member.path.startswith(prefix))
        for path in sorted(self._listing.repositories):
            if f"{path}/".startswith(prefix):
                yield from self._nested(path, "")
            elif prefix.startswith(f"{path}/"):
                yield from self._nested(path, folder[len(path) + 1 :])

    def _nested(self, path: str, folder: str) -> Iterator[Member]:
        """The files of a nested repository; a submodule that was not fetched is an empty folder."""
        nested = self._project / path
        if nested.is_symlink() or not os.path.lexists(nested / ".git"):
            return
        for member in tracked_files_of(nested).below(folder):
            yield Member(f"{path}/{member.path}", member.tracked)

    def ignored(self, paths: Iterable[str]) -> set[str]:
        """As in the protocol; a nested repository decides about its own paths."""
        remaining = {candidate for candidate in paths if candidate}
        result = set()
        for path in self._listing.repositories:
            nested = {candidate for candidate in remaining if candidate.startswith(f"{path}/")}
            if nested and os.path.lexists(self._project / path / ".git"):
                repository = tracked_files_of(self._project / path)
                nested_ignored = repository.ignored(
                    member_path[len(path) + 1 :] for member_path in nested
                )
                result |= {f"{path}/{nested_path}" for nested_path in nested_ignored}
            remaining -= nested
        try:
            return result | ignored(self._project, sorted(remaining))
        except GitUnavailable:  # for example, a path behind a link
            return result | {path for path in remaining if self._ignored_alone(path)}

    def _ignored_alone(self, path: str) -> bool:
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
    """Files as podctl lists them by reading .gitignore files."""

    def __init__(
        self, project: Path, parents: tuple[Path, ...] = (), notice: str = "", *, git: bool = True
    ) -> None:
        self.notice = notice
        self._git = git
        self._project = project
        self._ignores = Ignores(project, parents)

    def below(self, folder: str) -> Iterator[Member]:
        for path in walk(self._project, folder, self._pruned):
            yield Member(path)

    def _pruned(self, path: str) -> bool:
        return self._ignores.never(path) or bool(self._ignores.hidden(path, git=self._git))

    def ignored(self, paths: Iterable[str]) -> set[str]:
        return {path for path in paths if path and self._hides(path)}

    def _hides(self, path: str) -> bool:
        folder = (self._project / path).is_dir()
        rule_path = f"{path.rstrip('/')}/" if folder else path
        return self._git and self._ignores.hidden(rule_path, git=True) == GIT

    def left_out(self) -> Iterator[tuple[str, str]]:
        reasons: dict[str, str] = {}

        def skip(path: str) -> bool:
            name = self._ignores.hidden(path, git=True)
            reason = (
                f"{name} lists it" if name else "" if not self._ignores.never(path) else NEVER_SENT
            )
            if reason:
                reasons[path] = reason
            return bool(reason)

        for _ in walk(self._project, "", skip):
            continue
        yield from sorted(reasons.items())


def walk(project: Path, folder: str, pruned: Callable[[str], bool]) -> Iterator[str]:
    """Files and links below `folder`, sorted; links are not followed. `pruned` decides whether a
    path (a folder's with a trailing `/`) is left out."""
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
