"""Provides the outputs of earlier stages: the user's if they fit, else small ones made here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.credentials.secret import for_children
from controller.errors import PodctlError
from controller.project.project import Project
from controller.project.stages import inputs_here, maker_of
from controller.rehearsal import overrides
from controller.rehearsal.scratch_project import Scratch
from controller.transfer.declared_paths import is_there
from jobs.builtin_program import program
from jobs.stage import Stage
from remote import contract
from remote.globs import NOT
from remote.stages.common.layout import TRAINING_DATA

DATA = TRAINING_DATA.as_posix()
PAIRS = 240  # of the small world's instruction data
SOURCES = Path(__file__).resolve().parents[2]


class NoUpstream(PodctlError):
    """An input is missing, and podctl cannot make one like it."""


@dataclass(frozen=True)
class Upstream:
    """Makes what is missing in the scratch project."""

    project: Project
    scratch: Scratch
    seconds: float  # for any one program
    tell: Callable[[str], None] = lambda _: None

    def own_inputs(self, stage: Stage) -> tuple[str, ...]:
        """The declared inputs that are taken from the user's project."""
        return tuple(
            path
            for path in inputs_here(self.project, stage)
            if path.startswith(NOT) or self._fits(stage, path)
        )

    def _fits(self, stage: Stage, path: str) -> bool:
        """Whether the file suits the rehearsed model; an adapter of the real one does not."""
        small = stage.parameters.get("model") == overrides.MODEL
        if program(stage) in (None, "sft") or small:
            return True
        maker = maker_of(self.project, path)
        return maker is None or program(self.project.stages[maker]) is None

    def provide_upstream(self, stage: Stage, path: str) -> str:
        """Make `path` in the scratch project; returns its source. Raises NoUpstream."""
        if path.startswith(NOT) or is_there(self.scratch.project.root, path):
            return ""
        if path == DATA or DATA.startswith(f"{path}/"):
            return self._data()
        name = maker_of(self.project, path)
        maker = self.project.stages[name] if name else None
        if maker is None or maker.name == stage.name or program(maker) is None:
            raise NoUpstream(
                f"the input {path} is missing",
                hint=f"podctl run {name} makes it" if name else "put it there",
            )
        for needed in maker.inputs:
            self.provide_upstream(maker, needed)
        self._run(maker)
        if not is_there(self.scratch.project.root, path):
            raise NoUpstream(f"a small {maker.name} did not make {path}", hint="put one there")
        return f"a small {maker.name}"

    def _data(self) -> str:
        from remote.stages.instructions.small import dataset

        target = self.scratch.project.root / DATA
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dataset.text(PAIRS), encoding="utf-8")
        return f"{PAIRS} pairs of the small world"

    def _run(self, maker: Stage) -> None:
        """Run the upstream stage's program in the scratch project for a few steps."""
        self.tell(f"making what {maker.name} would have left, small")
        parameters = self.scratch.parameters
        parameters.write_text(json.dumps(dict(overrides.parameters(maker))))
        environment = for_children() | {
            contract.ENV_PARAMETERS: str(parameters),
            "PYTHONPATH": str(SOURCES),
        }
        try:
            done = subprocess.run(
                [sys.executable, "-P", *maker.command[1:]],
                cwd=self.scratch.project.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self.seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NoUpstream(
                f"a small {maker.name} was not made within {self.seconds:.0f} s"
            ) from error
        if done.returncode:
            raise NoUpstream(
                f"a small {maker.name} failed",
                cause=" | ".join(done.stderr.strip().splitlines()[-3:]),
                hint=f"podctl rehearse {maker.name}",
            )
