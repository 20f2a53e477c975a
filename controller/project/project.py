"""A project on disk: where it is and where its files are. Light: no pydantic until it is needed."""

from __future__ import annotations

import difflib
import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import NotFound, PodctlError, UsageError
from controller.project.changes import NO_CHANGES, Changes
from remote.reserved_names import STATE

if TYPE_CHECKING:
    from controller.project.config import Config
    from jobs.stage import Stage

FILE = "podctl.toml"
SCHEMA_FILE = "podctl.schema.json"  # in .podctl, for editors
NO_STAGES = "add a [stages.NAME] table; podctl init --print shows one"
_NO_SUM = 1e12  # dollars; no budget is as large


@dataclass(frozen=True)
class Budgets:
    """The money limits of podctl.toml, in US dollars; None: no limit."""

    project_usd: float | None = None
    run_usd: float | None = None


@dataclass(frozen=True)
class Project:
    """The folder that holds podctl.toml, and the names of everything podctl keeps in it."""

    root: Path
    changes: Changes = NO_CHANGES  # of the command line, over podctl.toml
    # Told once of an error in podctl.toml, which is then no obstacle; None: it is raised.
    tolerate: Callable[[PodctlError], None] | None = field(default=None, compare=False)

    @property
    def file(self) -> Path:
        return self.root / FILE

    @property
    def state_dir(self) -> Path:
        return self.root / STATE

    @property
    def database(self) -> Path:
        return self.state_dir / "state.db"

    @property
    def known_hosts(self) -> Path:
        return self.state_dir / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.state_dir / "ssh_config"

    @property
    def private_key(self) -> Path:
        return self.state_dir / "id_ed25519"

    @property
    def public_key(self) -> Path:
        return self.state_dir / "id_ed25519.pub"

    @property
    def logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def runs(self) -> Path:
        return self.state_dir / "runs"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def status_page(self) -> Path:
        return self.root / "STATUS.md"

    def run_dir(self, run: str) -> Path:
        """Where a run's received files and documents are."""
        return self.runs / run

    def job_log(self, run: str) -> Path:
        """The local copy of a run's log: offsets are the pod's. job.log.1 is of an earlier disk."""
        return self.run_dir(run) / "job.log"

    @cached_property
    def config(self) -> Config:
        """podctl.toml, checked. Raises UsageError, NotFound."""
        from controller.project.config import read

        try:
            return read(self.file)
        except PodctlError as error:
            if self.tolerate is None:
                raise
            from controller.project.recovered_config import recovered_config

            if (recovered := recovered_config(self)) is None:
                raise
            self._note(error)
            return recovered

    @cached_property
    def stages(self) -> Mapping[str, Stage]:
        """Every stage by name: podctl's own with the user's overrides, then the user's."""
        try:
            stages = stages_of(self)
        except UsageError as error:
            if self.tolerate is None:
                raise
            self._note(error)
            stages = {}
        if not self._problems:
            return stages
        from controller.project.recovered_config import recorded_stages

        return {**recorded_stages(self), **stages}

    @property
    def problem(self) -> PodctlError | None:
        """What is wrong with podctl.toml, where that is tolerated."""
        if self.tolerate is not None and self.stages is not None:
            return next(iter(self._problems), None)
        return None

    @cached_property
    def _problems(self) -> list[PodctlError]:
        return []

    def _note(self, error: PodctlError) -> None:
        if not self._problems and self.tolerate is not None:
            self.tolerate(error)
        self._problems.append(error)

    def stage(self, name: str) -> Stage:
        """One stage. Raises NotFound with the nearest names."""
        return stage_of(self, name)

    def budgets(self) -> Budgets:
        """The budget section alone, read without pydantic; checked in full by `config`."""
        import tomllib

        try:
            document = tomllib.loads(self.file.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            return self._checked_budgets()
        section = document.get("budget", {})
        limits: list[float | None] = []
        for key in ("project_usd", "run_usd"):
            value = section.get(key) if isinstance(section, dict) else 0
            if value is not None and not (type(value) in (int, float) and 0 < value < _NO_SUM):
                return self._checked_budgets()
            limits.append(None if value is None else float(value))
        return Budgets(*limits)

    def _checked_budgets(self) -> Budgets:
        """The slow way, which explains what is wrong."""
        budget = self.config.budget
        return Budgets(budget.project_usd, budget.run_usd)

    def prepare(self, *, reading: bool = False) -> None:
        """Make `.podctl` with its folders, readable by this user only.

        Who is only `reading` does without them where nothing can be written. Raises: UsageError
        when it is a link, another user's, or cannot be made.
        """
        try:
            self.state_dir.mkdir(mode=0o700, exist_ok=True)
            found = os.lstat(self.state_dir)
            if not stat.S_ISDIR(found.st_mode):
                raise UsageError(f"{STATE} is not a folder", where=str(self.state_dir))
            if found.st_uid != os.geteuid():
                raise UsageError(
                    f"{STATE} belongs to another user",
                    where=str(self.state_dir),
                    hint="run podctl as the user who owns the project",
                )
            if stat.S_IMODE(found.st_mode) != 0o700:
                self.state_dir.chmod(0o700)
            for folder in (self.logs, self.runs):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if reading and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                return
            raise UsageError(
                f"{STATE} cannot be made", where=str(self.state_dir), cause=str(error)
            ) from error


def find(
    start: Path | None = None, tolerate: Callable[[PodctlError], None] | None = None
) -> Project:
    """The project of `start` (default: here): the nearest folder upwards with a podctl.toml.

    With `tolerate` also one without it that has podctl's state. Raises: NotFound.
    """
    try:
        here = (start or Path.cwd()).resolve()
    except OSError as error:
        raise NotFound("the current folder is gone", hint="cd into the project's folder") from error
    for folder in (here, *here.parents):
        if (folder / FILE).is_file():
            return Project(folder, tolerate=tolerate)
    if tolerate is not None:
        for folder in (here, *here.parents):
            if (folder / STATE / "state.db").is_file():
                return Project(folder, tolerate=tolerate)
    raise NotFound(
        "this is no podctl project",
        where=str(here),
        cause=f"no {FILE} here or in any folder above",
        hint="podctl init",
    )


def stages_of(project: Project) -> Mapping[str, Stage]:
    """podctl's stages with the user's overrides, then the user's own. Raises UsageError."""
    from controller.planner.precision import with_one_precision
    from controller.project.config import line_of
    from controller.project.plan import has_plan
    from jobs.catalog import CatalogError, load_stages

    config = project.config
    try:
        plan = has_plan(project)
        stages = load_stages(config.stages, config.project.model, plan=plan)
    except CatalogError as error:
        line = line_of(error.path.split("."), project.file.read_text(encoding="utf-8-sig"))
        raise UsageError(
            "a stage is not well defined",
            where=f"{project.file}, line {line}" if line else str(project.file),
            cause=str(error),
            hint=f"edit {FILE}; podctl init --print shows an example",
        ) from error
    if project.changes:
        from controller.project.changed_stages import changed

        return with_one_precision(changed(stages, config, project.changes, plan=plan))
    return with_one_precision(stages)


def stage_of(project: Project, name: str) -> Stage:
    """One stage by name. Raises NotFound with the nearest names."""
    stages = project.stages
    if name in stages:
        return stages[name]
    from jobs.catalog import built_in

    near = difflib.get_close_matches(name, list(stages), n=1)
    hint = f"podctl plan {near[0]}" if near else "podctl plan"
    if name in built_in():
        hint = f'[project] plan = "stage1" in {FILE} adds the stages that come with podctl'
    raise NotFound(
        f"no stage named {name!r}",
        where=str(project.file),
        cause=f"there are: {', '.join(stages)}" if stages else f"{FILE} defines none",
        hint=hint if stages or name in built_in() else NO_STAGES,
    )
