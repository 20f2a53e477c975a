"""Preparation of a job: preflight checks and its Python environment."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from ..contract import JobSpec
from ..light_dataclasses import dataclass
from ..pod import installer_settings as settings
from ..pod.outcome import Outcome
from ..pod.paths import PodPaths, boot, record
from . import environment, job_environment, preflight
from .environment import Making
from .installer import BuildContext, EnvironmentFailed

PREFLIGHT_RC, ENVIRONMENT_RC = 78, 69


@dataclass(frozen=True)
class Preparation:
    """`enter(phase, text)` reports a phase; `tick` waits a little and may raise `StopJob`."""

    paths: PodPaths
    spec: JobSpec
    env: Mapping[str, str]
    log: Path
    tick: Callable[[], None]
    enter: Callable[[str, str], None]

    def python(self) -> Path | Outcome:
        """The interpreter for the job, or why this pod cannot have it."""
        try:
            return self._prepare()
        except EnvironmentFailed as error:
            return Outcome(ENVIRONMENT_RC, "environment", str(error))

    def _prepare(self) -> Path | Outcome:
        need, asked = self.spec.environment, self.spec.preflight.imports
        context = self._build_context()
        self.enter("preflight", "looking at the host")
        own = environment.interpreters(self.env, sys.executable)
        base, complete = environment.choose(need, own, context)
        # What is still to be installed is imported after that; the rest tells now of a bad host.
        reusable = complete and need.install is None
        now = asked if reusable else tuple(sorted(environment.present(base, asked, context)))
        if finding := self._check(base, now):
            return finding
        if reusable:
            settings.installed(self.paths, self.spec.run, base)
            return base
        self.enter("environment", "installing what the job needs")
        making, python = Making(need, self.paths.work(self.spec.run), self.spec.run, context), base
        if not complete:
            python = making.prepare(base)
        if need.install is not None:
            sent = record(self.paths.run(self.spec.run) / "work.json") or {}
            making.install(
                python, job_environment.site(self.spec, self.paths), str(sent.get("tree"))
            )
        self.enter("preflight", "importing what was installed")
        settings.installed(self.paths, self.spec.run, python)
        return self._check(python, asked) or python

    def _build_context(self) -> BuildContext:
        paths = self.paths
        env = {**self.env, **settings.variables(paths, self.spec.run, self.env)}
        boot_id = boot(paths.local).id
        return BuildContext(paths.root, env, self.log, paths.local, self.tick, boot_id)

    def _check(self, python: Path, imports: tuple[str, ...]) -> Outcome | None:
        env = job_environment.with_interpreter(self.env, python)
        finding = preflight.finding(self.spec, self.paths, python, env, self.tick, imports=imports)
        return Outcome(PREFLIGHT_RC, "preflight", finding) if finding else None
