"""podctl for notebooks and scripts: `from controller.api import Project`.

Every method does what the command of its name does, returns plain data, and raises the errors of
`controller.errors`. None asks a question, and nothing is printed unless `show` is set.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from controller import api_arguments
from controller.errors import Detached, PodctlError
from controller.project import project as folders
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.costs.spending import Account
    from controller.leases.stop_report import StoppedLease
    from controller.status.overview import Overview
    from state.journal import Journal
    from state.journal_rows import Run

Disposal = Literal["terminate", "park", "keep"]
PATIENCE_SECONDS = 5.0  # of `status` with the provider

__all__ = ["Disposal", "Project", "RunResult"]


@dataclass(frozen=True)
class RunResult:
    """One run, as the local records have it."""

    run: str  # "sft-0003"
    stage: str
    outcome: str  # "passed", "failed", "criteria", …; "unfinished" after a detach
    why: str  # in words; empty where there is nothing to say
    files: Path  # the outputs: in the project once it passed, else in the run's own folder
    lock: Path | None  # the certificate, if this run made it
    usd: float  # by the local ledger, so far
    hours: float  # of compute

    @property
    def passed(self) -> bool:
        """Whether the stage is locked by this run."""
        return self.lock is not None


class Project:
    """A folder with a podctl.toml.

    `folder`: it or one below it; None: the current one. With `show`, messages go to stderr.
    Raises: NotFound.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, show: bool = False) -> None:
        self._folder = folders.find(None if folder is None else Path(folder))
        self._show = show

    @property
    def root(self) -> Path:
        """The folder that has the podctl.toml."""
        return self._folder.root

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of the project's stages, in an order in which needs come first."""
        return tuple(folders.Project(self.root).stages)

    def run(
        self,
        *stages: str,
        set: Mapping[str, object] | None = None,
        gpus: Sequence[str] | str = (),
        max_usd_per_hour: float | None = None,
        budget_usd: float | None = None,
        disposal: Disposal | None = None,
        detach: bool = False,
        fresh: bool = False,
        resume: str | None = None,
        give_secrets: bool = False,
    ) -> tuple[RunResult, ...]:
        """Rent a pod, run the stages, download, verify, lock, shut down: `podctl run … -y`.

        Returns when every stage passed; with `detach`, once the job is running. `set` has keys of
        the stages for this run: {"parameters.learning_rate": 1e-4}. Raises: what `podctl run` ends
        with, e.g. Locked, BudgetRefused, VerificationFailed, NoCapacity.
        """
        from controller.leases.commands import run_stages
        from controller.leases.options import RunOptions

        api_arguments.checked_stages(stages)
        api_arguments.checked_options(budget_usd, disposal, fresh=fresh, resume=resume)
        changes = api_arguments.changes(stages, set, gpus, max_usd_per_hour)
        project = replace(folders.Project(self.root), changes=changes)
        with self._working() as terminal:
            options = RunOptions(
                terminal=terminal,
                yes=True,
                budget_usd=budget_usd,
                disposal=disposal,
                detach=detach,
                follow=False,
                fresh=fresh,
                resume=resume,
                give_secrets=give_secrets,
            )
            try:
                run_stages(project, stages, options)
            except Detached:
                if not detach:
                    raise
            return self._results(project.stages if "all" in stages else stages)

    def sync(self, *names: str, give_secrets: bool = False) -> tuple[RunResult, ...]:
        """Resume every unfinished run, or those of the stages or runs `names`: `podctl sync -y`.

        Returns the runs that were unfinished. Raises: what `podctl sync` ends with.
        """
        from controller.leases.commands import sync
        from controller.leases.options import RunOptions

        with self._working() as terminal:
            with self._journal() as journal:
                begun = [run.id for run in journal.newest_runs() if run.open]
            options = RunOptions(
                terminal=terminal, yes=True, follow=False, give_secrets=give_secrets, stages=names
            )
            sync(folders.Project(self.root), options)
            return self._results(begun)

    def stop(
        self,
        name: str | None = None,
        *,
        terminate: bool = False,
        abandon: str | None = None,
        wait_minutes: float = 30.0,
    ) -> tuple[StoppedLease, ...]:
        """End a run early, downloading first: `podctl stop -y`. Raises: NotFound, Busy."""
        from controller.leases.commands import stop
        from controller.leases.options import StopOptions

        with self._working() as terminal:
            options = StopOptions(
                terminal=terminal,
                yes=True,
                terminate=terminate,
                abandon=abandon,
                wait_seconds=60.0 * wait_minutes,
            )
            return stop(folders.Project(self.root), name, options)

    def status(self, *, cached: bool = False) -> Overview:
        """Stages, runs and pods, each with its source and age: `podctl status`.

        What did not answer is "unknown" in it. With `cached` nobody is asked.
        """
        from controller.project.provider import open_provider
        from controller.status.overview import read_overview, with_stages
        from controller.status.refresh import ask
        from state.database import open_database

        project = folders.Project(self.root)
        with self._working():
            with closing(open_database(project.database, reading=True)) as connection:
                found = read_overview(project, connection, time.time())
                if not cached and (found.pods or any(run.open for run in found.runs)):
                    patience = PATIENCE_SECONDS
                    silent = ask(
                        project, lambda: open_provider(project, patience), connection, found
                    )
                    found = read_overview(project, connection, time.time(), silent.subjects)
            return with_stages(found, project)

    def cost(self) -> Account:
        """What was spent, by stage and pod, and what is left of the budget: `podctl cost`."""
        from controller.costs.spending import read_account
        from state.database import open_database

        project = folders.Project(self.root)
        with (
            self._working(),
            closing(open_database(project.database, readonly=True)) as connection,
        ):
            return read_account(connection, project.budgets(), time.time())

    @contextmanager
    def _working(self) -> Iterator[Terminal]:
        """A terminal that nobody answers at; errors of the state are errors of podctl in it."""
        from controller.cli.error_mapping import user_error
        from controller.credentials.secret import hide_environment
        from controller.terminal.event_log import recording
        from state.errors import StateError

        hide_environment(os.environ)
        shown = sys.stderr if self._show else None
        terminal = Terminal(quiet=not self._show, out=StringIO(), err=shown, source=None)
        folder = folders.Project(self.root)
        folder.prepare(reading=True)
        with recording(terminal, folder.state_dir):
            try:
                yield terminal
            except (PodctlError, StateError) as error:
                told = user_error(error)
                if told is error:
                    raise
                raise told from error

    @contextmanager
    def _journal(self) -> Iterator[Journal]:
        from state.database import open_database
        from state.journal import Journal

        database = folders.Project(self.root).database
        with closing(open_database(database, readonly=True)) as connection:
            yield Journal(connection)

    def _results(self, names: Sequence[str] | Mapping[str, object]) -> tuple[RunResult, ...]:
        """Of runs, and of the newest run of stages."""
        with self._journal() as journal:
            rows = [journal.run(name) or journal.newest_run(name) for name in names]
            return tuple(self._result(journal, row) for row in rows if row is not None)

    def _result(self, journal: Journal, row: Run) -> RunResult:
        from controller.costs.pricing import spending
        from controller.locks import certificate
        from state.ledger import Ledger

        project = folders.Project(self.root)
        lock = certificate.read(project.root, row.stage)
        passed = lock is not None and lock.run == row.id
        spent = spending(Ledger(journal.connection).by_run(time.time(), row.id), row.id)
        return RunResult(
            run=row.id,
            stage=row.stage,
            outcome="passed" if passed else row.outcome or "unfinished",
            why=str(row.result.get("why", "")),
            files=project.root if passed else project.run_dir(row.id) / "files",
            lock=project.locks / f"{row.stage}.json" if passed else None,
            usd=spent.usd,
            hours=spent.hours,
        )
