"""Which files an upload takes: the declared inputs and the user's code, without what stays here.

What is declared by name is sent although git ignores it (data usually is ignored), and so is what
a glob of an input names; below a folder, and for `*` and `**`, git's rules hold. .podctlignore
holds for everything that is not named itself. Each list is read in its order: a later exclusion
takes from what came before it. Links are followed as far as they stay in the project.
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
from controller.transfer.tracked_files import KEPT, Member, TrackedFiles, belonging, walk
from remote.globs import NOT, excluded, literal, normal
from remote.reserved_names import reserved

MAX_LINKS = 1000  # links to folders that one upload may follow
REMEDY = "list it in .podctlignore if no job needs it"


@dataclass(frozen=True)
class Omitted:
    """A file that stays here although it is where the upload looks, and why."""

    path: str
    why: str
    notable: bool = False  # nothing that a person wrote down keeps it here


@dataclass
class Selection:
    """Path to file of everything that is sent, and what is not."""

    files: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, Omitted] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)  # declared, and nothing is there
    problems: list[PodctlError] = field(default_factory=list)
    told: str = ""  # what a person should know of how it was found out

    def check(self) -> None:
        """Raises the first thing that stands in the way: NotFound, UsageError."""
        if self.problems:
            raise self.problems[0]


def select(
    project: Path,
    inputs: Sequence[str],
    include: Sequence[str] = (),
    made: Collection[str] = (),
    who: TrackedFiles | None = None,
) -> Selection:
    """Look at the folder; nothing is read. What stands in the way is in the answer.

    `made` are files that the stage itself wrote before: they go with no folder of the user's code.
    `who` says what belongs to the project, where that was asked already.
    """
    found = Selection()
    try:
        who = who or belonging(project)
    except UsageError as error:
        found.problems.append(error)
        return found
    found.told = who.told
    _List(project, who, found, by_glob=True).take(inputs)
    _List(project, who, found, by_glob=False, made=made).take(include)
    return found


class _List:
    """One list of paths, globs and exclusions. `by_glob`: a glob names what it matches."""

    def __init__(
        self,
        project: Path,
        who: TrackedFiles,
        whole: Selection,
        *,
        by_glob: bool,
        made: Collection[str] = (),
    ) -> None:
        self._made = made
        self._project = project
        self._who = who
        self._whole = whole
        self._by_glob = by_glob
        self._ignores = Ignores(project)
        self._links = 0
        self._files: dict[str, Path] = {}
        self._wrong: dict[str, PodctlError] = {}

    def take(self, declared: Sequence[str]) -> None:
        try:
            for pattern in declared:
                if pattern.startswith(NOT):
                    self._without(pattern)
                else:
                    self._with(pattern)
        except PodctlError as error:
            self._whole.problems.append(error)
        self._whole.problems += [self._wrong[path] for path in sorted(self._wrong)]
        self._whole.files.update(self._files)
        for path in self._files:
            self._whole.left_out.pop(path, None)

    def _without(self, pattern: str) -> None:
        rule = excluded(pattern[1:])
        for path in [taken for taken in (*self._files, *self._wrong) if rule.fullmatch(taken)]:
            self._files.pop(path, None)
            self._wrong.pop(path, None)
            self._leave(path, f"{pattern} excludes it")

    def _with(self, pattern: str) -> None:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise UsageError(f"the input {pattern!r} is not inside the project")
        names = list(expand(self._project, pattern))
        before = len(self._files) + len(self._wrong)
        if not names:
            self._whole.absent.append(pattern)
            self._wrong[pattern] = NotFound(
                f"the input {pattern!r} is not there", where=str(self._project / pattern)
            )
            return
        self._take_names(pattern, names)
        if len(self._files) + len(self._wrong) == before and not any(
            f"{taken}/".startswith(f"{literal(pattern)}/") or not literal(pattern)
            for taken in self._files
        ):
            self._wrong[pattern] = NotFound(
                f"nothing of the input {pattern!r} would be sent",
                where=str(self._project / pattern),
                cause=self._why_nothing(pattern),
                hint="podctl plan --files shows what is sent, and what stays here",
            )

    def _why_nothing(self, pattern: str) -> str:
        start = literal(pattern)
        reasons = {
            omitted.why
            for omitted in self._whole.left_out.values()
            if not start or f"{omitted.path}/".startswith(f"{start}/")
        }
        return "; ".join(sorted(reasons)[:3]) or f"it is empty, or {GIT} or {OURS} hides all of it"

    def _take_names(self, pattern: str, names: list[str]) -> None:
        """By a plain path, or by a glob that says more than `*`, files and folders are named."""
        if names == [normal(pattern)] and is_plain(self._project, pattern):
            self._take_named(names[0])
            return
        start = literal(pattern)
        named = self._by_glob and normal(pattern).rstrip("/").split("/")[-1].strip("*") != ""
        whole = bool(start) and bool(self._who.ignored([start]))
        if not (named or whole):
            hidden = self._who.ignored(names)
            names = [name for name in names if name not in hidden]
        elif "**" in pattern and not whole:  # which goes into no folder that git ignores
            above = {name: name.rpartition("/")[0] for name in names}
            hidden = self._who.ignored(set(above.values()) - {start, ""})
            names = [name for name in names if above[name] not in hidden]
        for name in names:
            if not self._hidden(name):
                self._take_named(name)

    def _hidden(self, path: str) -> bool:
        """What no glob reaches: podctl's own, environments and caches, and .podctlignore's."""
        folder = "/" if (self._project / path).is_dir() else ""
        if _kept_here(path) or self._ignores.never(path + folder):
            return True
        return bool(self._ignores.hidden(path + folder))

    def _take_named(self, name: str) -> None:
        if name and self._ignores.never(name, tracked=True):
            self._wrong[name] = UsageError(f"{name} is podctl's or git's own and is never sent")
            return
        target = follow(self._project, name)
        if target.kind == FILE:
            self._files[name] = target.source
        elif target.kind == FOLDER and (self._project / name).is_symlink():
            self._take_linked(name, target.path, (target.source,), named=True)
        elif target.kind == FOLDER:
            self._take_folder(name)
        else:
            self._wrong[name] = _unusable(name, target.kind, target.source)

    def _take_folder(self, folder: str) -> None:
        for member in self._below(folder):
            self._take_member(member, member.path, ())

    def _below(self, folder: str) -> Iterator[Member]:
        """What belongs there; of a folder that git ignores, and that was named, everything."""
        if folder and self._who.ignored([folder]):
            yield from (Member(path) for path in walk(self._project, folder, self._pruned))
        else:
            yield from self._who.below(folder)

    def _pruned(self, path: str) -> bool:
        return self._ignores.never(path)

    def _take_member(self, member: Member, path: str, chain: tuple[Path, ...]) -> None:
        """A file below a folder; under `path`, which is another one behind a link."""
        if _kept_here(member.path):
            return
        if self._ignores.never(member.path, tracked=member.tracked):
            self._leave(path, KEPT)
        elif path in self._made:
            self._leave(path, "an earlier run of the stage made it")
        elif name := self._ignores.hidden(path) or self._ignores.hidden(member.path):
            self._leave(path, f"{name} lists it")
        else:
            self._take_file(member.path, path, chain)

    def _take_file(self, inside: str, path: str, chain: tuple[Path, ...]) -> None:
        place = self._project / inside
        try:
            mode = place.lstat().st_mode
        except OSError:
            return  # tracked and deleted, or gone this moment
        if stat.S_ISREG(mode):
            self._files[path] = place
            return
        if not stat.S_ISLNK(mode):
            self._leave(path, REASONS[ODD], notable=True)
            return
        target = follow(self._project, inside)
        end = f"{target.path}/" if target.kind == FOLDER else target.path
        if target.path and self._ignores.never(end, tracked=True):
            self._leave(path, "a link to what is podctl's or git's own", notable=True)
        elif target.kind == FILE:
            self._files[path] = target.source
        elif target.kind == FOLDER and target.source not in chain:
            self._take_linked(path, target.path, (*chain, target.source))
        elif target.kind == OUTSIDE:
            self._wrong[path] = _unusable(path, OUTSIDE, target.source)
        else:
            why = REASONS[LOOP if target.kind == FOLDER else target.kind]
            self._leave(path, why, notable=True)

    def _take_linked(
        self, path: str, folder: str, chain: tuple[Path, ...], *, named: bool = False
    ) -> None:
        """What belongs to a folder of the project, under the path of a link to it."""
        self._links += 1
        if self._links > MAX_LINKS:
            raise UsageError(
                f"more than {MAX_LINKS} links to folders, each of which is sent as a copy",
                where=path,
                hint="list them in .podctlignore",
            )
        some = False
        for member in self._below(folder) if named else self._who.below(folder):
            some = True
            self._take_member(member, path + member.path[len(folder) :], chain)
        if not some:
            why = "a link to a folder that is empty, or that git ignores"
            self._leave(path, why, notable=True)

    def _leave(self, path: str, why: str, *, notable: bool = False) -> None:
        self._whole.left_out[path] = Omitted(path, why, notable)


def _kept_here(path: str) -> bool:
    """podctl.toml, locks and the like change with every run, and say nothing to a job."""
    return reserved(path) and path not in (GIT, OURS, ".gitattributes")


def _unusable(path: str, kind: str, source: Path) -> PodctlError:
    """A named path, or a link on the way, that cannot be sent."""
    if kind == NOTHING and not os.path.islink(source):
        return NotFound(f"{path} is {REASONS[NOTHING]}", where=str(source))
    hint = "copy the file, or list the link in .podctlignore" if kind == OUTSIDE else REMEDY
    return UsageError(f"{path} is {REASONS[kind]}", where=str(source), hint=hint)
