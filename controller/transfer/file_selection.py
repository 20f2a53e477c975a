"""Selects the files of an upload: the declared inputs and the user's code, without ignored files.

A path that is declared by name is sent although git ignores it (data usually is ignored), and so
is one that a glob of an input names; below a folder, and for `*` and `**`, git's rules apply.
.podctlignore applies to everything that is not named itself. Each list is read in order: an
exclusion removes earlier matches. Links are followed as long as they stay in the project.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.errors import NotFound, PodctlError, UsageError
from controller.transfer.declared_paths import expand, is_plain
from controller.transfer.ignore import GIT, OURS, Ignores
from controller.transfer.symlinks import FILE, FOLDER, LOOP, NOTHING, ODD, OUTSIDE, REASONS, follow
from controller.transfer.tracked_files import (
    NEVER_SENT,
    Member,
    TrackedFiles,
    tracked_files_of,
    walk,
)
from remote.globs import NOT, excluded, literal, normal
from remote.reserved_names import reserved

MAX_LINKS = 1000  # links to folders that one upload may follow
REMEDY = "list it in .podctlignore if no job needs it"


@dataclass(frozen=True)
class Omitted:
    """A file in an uploaded folder that is not sent, and the reason."""

    path: str
    why: str
    notable: bool = False  # no rule of the user excludes it


@dataclass
class Selection:
    """The files that are sent, by path, and those that are not."""

    files: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, Omitted] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)  # declared paths that do not exist
    problems: list[PodctlError] = field(default_factory=list)
    notice: str = ""  # about how the files were listed; empty for nothing to report

    def check(self) -> None:
        """Raises the first problem: NotFound or UsageError."""
        if self.problems:
            raise self.problems[0]


def select(
    project: Path,
    inputs: Sequence[str],
    include: Sequence[str] = (),
    earlier_outputs: Collection[str] = (),
    tracked_files: TrackedFiles | None = None,
) -> Selection:
    """Select files without reading them; problems are in the returned `Selection`.

    `earlier_outputs` are files that an earlier run of the stage wrote: they are not sent with the
    user's code. `tracked_files` lists the project's files, if the caller has that already.
    """
    selection = Selection()
    try:
        tracked_files = tracked_files or tracked_files_of(project)
    except UsageError as error:
        selection.problems.append(error)
        return selection
    selection.notice = tracked_files.notice
    _Selector(project, tracked_files, selection, by_glob=True).take(inputs)
    _Selector(
        project, tracked_files, selection, by_glob=False, earlier_outputs=earlier_outputs
    ).take(include)
    return selection


class _Selector:
    """Applies one list of paths, globs and exclusions. `by_glob`: a glob counts as naming its
    matches."""

    def __init__(
        self,
        project: Path,
        tracked_files: TrackedFiles,
        selection: Selection,
        *,
        by_glob: bool,
        earlier_outputs: Collection[str] = (),
    ) -> None:
        self._earlier_outputs = earlier_outputs
        self._project = project
        self._tracked_files = tracked_files
        self._selection = selection
        self._by_glob = by_glob
        self._ignores = Ignores(project)
        self._links = 0
        self._files: dict[str, Path] = {}
        self._problems: dict[str, PodctlError] = {}

    def take(self, declared: Sequence[str]) -> None:
        try:
            for pattern in declared:
                if pattern.startswith(NOT):
                    self._exclude(pattern)
                else:
                    self._include(pattern)
        except PodctlError as error:
            self._selection.problems.append(error)
        self._selection.problems += [self._problems[path] for path in sorted(self._problems)]
        self._selection.files.update(self._files)
        for path in self._files:
            self._selection.left_out.pop(path, None)

    def _exclude(self, pattern: str) -> None:
        rule = excluded(pattern[1:])
        for path in [taken for taken in (*self._files, *self._problems) if rule.fullmatch(taken)]:
            self._files.pop(path, None)
            self._problems.pop(path, None)
            self._leave_out(path, f"{pattern} excludes it")

    def _include(self, pattern: str) -> None:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise UsageError(f"the input {pattern!r} is not inside the project")
        names = list(expand(self._project, pattern))
        before = len(self._files) + len(self._problems)
        if not names:
            self._selection.absent.append(pattern)
            self._problems[pattern] = NotFound(
                f"the input {pattern!r} is not there", where=str(self._project / pattern)
            )
            return
        self._take_names(pattern, names)
        if len(self._files) + len(self._problems) == before and not any(
            f"{taken}/".startswith(f"{literal(pattern)}/") or not literal(pattern)
            for taken in self._files
        ):
            self._problems[pattern] = NotFound(
                f"nothing of the input {pattern!r} would be sent",
                where=str(self._project / pattern),
                cause=self._why_nothing(pattern),
                hint="podctl plan --files shows what is sent, and what stays here",
            )

    def _why_nothing(self, pattern: str) -> str:
        prefix = literal(pattern)
        reasons = {
            omitted.why
            for omitted in self._selection.left_out.values()
            if not prefix or f"{omitted.path}/".startswith(f"{prefix}/")
        }
        return (
            "; ".join(sorted(reasons)[:3]) or f"it is empty, or {GIT} or {OURS} excludes all of it"
        )

    def _take_names(self, pattern: str, names: list[str]) -> None:
        """A plain path, or a glob more specific than `*`, counts as naming its files and
        folders."""
        if names == [normal(pattern)] and is_plain(self._project, pattern):
            self._take_named(names[0])
            return
        prefix = literal(pattern)
        is_named = self._by_glob and normal(pattern).rstrip("/").split("/")[-1].strip("*") != ""
        prefix_ignored = bool(prefix) and bool(self._tracked_files.ignored([prefix]))
        if not (is_named or prefix_ignored):
            hidden = self._tracked_files.ignored(names)
            names = [name for name in names if name not in hidden]
        elif "**" in pattern and not prefix_ignored:  # `**` does not enter folders that git ignores
            parents = {name: name.rpartition("/")[0] for name in names}
            hidden = self._tracked_files.ignored(set(parents.values()) - {prefix, ""})
            names = [name for name in names if parents[name] not in hidden]
        for name in names:
            if not self._hidden(name):
                self._take_named(name)

    def _hidden(self, path: str) -> bool:
        """Whether globs skip the path: podctl's files, environments, caches, and
        .podctlignore's."""
        folder = "/" if (self._project / path).is_dir() else ""
        if _never_uploaded(path) or self._ignores.never(path + folder):
            return True
        return bool(self._ignores.hidden(path + folder))

    def _take_named(self, name: str) -> None:
        if name and self._ignores.never(name, tracked=True):
            self._problems[name] = UsageError(f"{name} belongs to podctl or git and is never sent")
            return
        target = follow(self._project, name)
        if target.kind == FILE:
            self._files[name] = target.source
        elif target.kind == FOLDER and (self._project / name).is_symlink():
            self._take_linked(name, target.path, (target.source,), named=True)
        elif target.kind == FOLDER:
            self._take_folder(name)
        else:
            self._problems[name] = _unusable(name, target.kind, target.source)

    def _take_folder(self, folder: str) -> None:
        for member in self._below(folder):
            self._take_member(member, member.path, ())

    def _below(self, folder: str) -> Iterator[Member]:
        """The project's files below `folder`; all files if git ignores the folder but it was
        named."""
        if folder and self._tracked_files.ignored([folder]):
            yield from (Member(path) for path in walk(self._project, folder, self._pruned))
        else:
            yield from self._tracked_files.below(folder)

    def _pruned(self, path: str) -> bool:
        return self._ignores.never(path)

    def _take_member(self, member: Member, path: str, chain: tuple[Path, ...]) -> None:
        """Take a file below a folder under `path`, which differs from its own path behind a
        link."""
        if _never_uploaded(member.path):
            return
        if self._ignores.never(member.path, tracked=member.tracked):
            self._leave_out(path, NEVER_SENT)
        elif path in self._earlier_outputs:
            self._leave_out(path, "an earlier run of the stage wrote it")
        elif name := self._ignores.hidden(path) or self._ignores.hidden(member.path):
            self._leave_out(path, f"{name} lists it")
        else:
            self._take_file(member.path, path, chain)

    def _take_file(self, inside: str, path: str, chain: tuple[Path, ...]) -> None:
        file = self._project / inside
        try:
            mode = file.lstat().st_mode
        except OSError:
            return  # tracked but deleted
        if stat.S_ISREG(mode):
            self._files[path] = file
            return
        if not stat.S_ISLNK(mode):
            self._leave_out(path, REASONS[ODD], notable=True)
            return
        target = follow(self._project, inside)
        target_path = f"{target.path}/" if target.kind == FOLDER else target.path
        if target.path and self._ignores.never(target_path, tracked=True):
            self._leave_out(path, "a link to a file of podctl or git", notable=True)
        elif target.kind == FILE:
            self._files[path] = target.source
        elif target.kind == FOLDER and target.source not in chain:
            self._take_linked(path, target.path, (*chain, target.source))
        elif target.kind == OUTSIDE:
            self._problems[path] = _unusable(path, OUTSIDE, target.source)
        else:
            reason = REASONS[LOOP if target.kind == FOLDER else target.kind]
            self._leave_out(path, reason, notable=True)

    def _take_linked(
        self, path: str, folder: str, chain: tuple[Path, ...], *, named: bool = False
    ) -> None:
        """Take the files of a folder of the project under the path of a link to it."""
        self._links += 1
        if self._links > MAX_LINKS:
            raise UsageError(
                f"more than {MAX_LINKS} links to folders, each of which is sent as a copy",
                where=path,
                hint="list them in .podctlignore",
            )
        empty = True
        for member in self._below(folder) if named else self._tracked_files.below(folder):
            empty = False
            self._take_member(member, path + member.path[len(folder) :], chain)
        if empty:
            reason = "a link to a folder that is empty, or that git ignores"
            self._leave_out(path, reason, notable=True)

    def _leave_out(self, path: str, reason: str, *, notable: bool = False) -> None:
        self._selection.left_out[path] = Omitted(path, reason, notable)


def _never_uploaded(path: str) -> bool:
    """podctl.toml, locks and similar files change with every run and do not concern a job."""
    return reserved(path) and path not in (GIT, OURS, ".gitattributes")


def _unusable(path: str, kind: str, source: Path) -> PodctlError:
    """The error for a named path, or a link in it, that cannot be sent."""
    if kind == NOTHING and not os.path.islink(source):
        return NotFound(f"{path} is {REASONS[NOTHING]}", where=str(source))
    hint = "copy the file, or list the link in .podctlignore" if kind == OUTSIDE else REMEDY
    return UsageError(f"{path} is {REASONS[kind]}", where=str(source), hint=hint)
