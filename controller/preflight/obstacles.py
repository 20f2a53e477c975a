"""What stands in a run's way and can be seen from here, before anything is rented.

`podctl plan` shows all of it; `podctl run` ends with the first, with the same exit code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from controller.credentials.job_secrets import secrets_of, too_short
from controller.credentials.secret import Secret
from controller.errors import NotFound, PodctlError, UsageError
from controller.locks.certificate import Certificate
from controller.preflight import model_hub as hub
from controller.preflight import program as job_program
from controller.preflight import stage_inputs as job_inputs
from controller.preflight.precision import check_precision
from controller.preflight.program_file import HEAD, Complaint
from controller.preflight.upload_preview import check, sending
from controller.project.installed_project import scripts
from controller.project.output_paths import OutputPaths
from controller.project.project import Project
from controller.project.stages import Missing, maker_of, missing_inputs, stood_in
from jobs.arguments import filled, misspelt
from jobs.stage import Stage
from remote.globs import Globs


@dataclass(frozen=True)
class Obstacle:
    """`kind`: need, output, secret, upload, input, program, parameters, precision, data or
    model."""

    stage: str
    kind: str
    error: PodctlError

    def as_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, "kind": self.kind} | self.error.as_dict()


@dataclass(frozen=True)
class Findings:
    """In the order of the stages; remarks are in nobody's way."""

    obstacles: tuple[Obstacle, ...] = ()
    remarks: tuple[str, ...] = ()


def examine(
    project: Project,
    stages: Sequence[Stage],
    locks: Mapping[str, Certificate],
    coming: frozenset[str] = frozenset(),
    *,
    offline: bool = False,
) -> Findings:
    """Everything in the way of `stages`, of which those called `coming` pass before.

    `offline`: the model hub is not asked.
    """
    obstacles: list[Obstacle] = []
    remarks: list[str] = []
    for stage in stages:
        look = _Inspection(project, stage, locks, coming, offline=offline)
        for kind, attempt in look.checks:
            try:
                remarks += attempt()
            except PodctlError as error:
                obstacles.append(Obstacle(stage.name, kind, error))
        coming |= {stage.name}
    return Findings(tuple(obstacles), tuple(dict.fromkeys(remarks)))


def unmet_needs(
    project: Project, stage: Stage, locks: Collection[str], passed: Collection[str]
) -> tuple[str, ...]:
    """The stage's needs that are not locked, do not pass before it, and whose outputs are not
    already in the project."""
    return tuple(
        need
        for need in stage.needs
        if need not in locks and need not in passed and not stood_in(project, stage, need)
    )


def unmade_inputs(project: Project, stage: Stage, passed: Collection[str]) -> tuple[Missing, ...]:
    """The stage's inputs that are not in the project and that no stage of `passed` makes."""
    missing = missing_inputs(project, stage)
    return tuple(one for one in missing if one.made_by not in passed)


class _Inspection:
    """At one stage. A check yields remarks and raises what is in the way."""

    def __init__(
        self,
        project: Project,
        stage: Stage,
        locks: Mapping[str, Certificate],
        coming: frozenset[str],
        *,
        offline: bool = False,
    ) -> None:
        self._offline = offline
        self._project, self._root, self._stage = project, project.root, stage
        self._locks, self._coming = locks, coming
        self._sent: Mapping[str, Path] | None = None  # path to file, where it can be sent
        self._secrets: dict[str, Secret] | None = None  # where all of them are here
        self._command = filled(stage.command, stage.parameters)

    @property
    def checks(self) -> Iterator[tuple[str, Callable[[], list[str]]]]:
        stage, root = self._stage, self._root
        for need in unmet_needs(self._project, stage, self._locks, self._coming):
            yield "need", partial(self._need, need)
        yield "output", self._ways
        yield "secret", self._secret
        yield "upload", self._upload
        for missing in unmade_inputs(self._project, stage, self._coming):
            yield "input", partial(self._missing, missing.path, missing.made_by)
        if self._sent is not None:
            for one in job_program.complaints(self._command, self._as_upload(self._sent)):
                yield "program", partial(self._complain, one)
            yield "program", self._run_bit
        yield "program", self._misspelt
        instructions = partial(job_inputs.check_instructions, stage, root, self._stays)
        yield "parameters", partial(self._nothing, instructions)
        yield "precision", lambda: check_precision(stage, self._locks)
        yield "data", lambda: list(job_inputs.training_data(stage, root, self._stays))
        yield "model", self._model

    @staticmethod
    def _nothing(check: Callable[[], None]) -> list[str]:
        check()
        return []

    def _need(self, need: str) -> list[str]:
        raise NotFound(
            f"{self._stage.name} needs {need}, which is not locked",
            where=str(self._project.file),
            hint=f"podctl run {need} {self._stage.name}",
        )

    def _ways(self) -> list[str]:
        """No output folder is a link out of the project that nobody allowed."""
        OutputPaths.of(self._root).check(self._stage.outputs)
        return []

    def _secret(self) -> list[str]:
        self._secrets = secrets_of(self._stage)
        return list(too_short(self._stage.name, self._secrets))

    def _upload(self) -> list[str]:
        """What is here of the inputs may be sent. Raises LikelySecret, UsageError, NotFound."""
        sent = sending(self._project, self._stage)
        check(self._project, self._stage, sent)
        self._sent = sent.found.files
        return list(sent.notes())

    def _missing(self, path: str, made_by: str | None) -> list[str]:
        raise NotFound(
            f"{self._stage.name}: the input {path} is missing",
            where=str(self._root),
            cause=f"{made_by} makes it" if made_by else "no stage makes it",
            hint=f"podctl run {made_by}" if made_by else "put it there",
        )

    def _as_upload(self, sent: Mapping[str, Path]) -> job_program.Upload:
        return job_program.Upload(
            files={path: partial(_head, source) for path, source in sent.items()},
            here=lambda path: (self._root / path).exists(),
            root=str(self._root),
            awaited=tuple(one.path for one in missing_inputs(self._project, self._stage)),
            installed=scripts(self._root, self._stage.environment.install),
        )

    def _complain(self, found: Complaint) -> list[str]:
        if not found.certain:
            mend = f" ({found.mend})" if found.mend else ""
            return [f"{self._stage.name}: {found.what}{mend}"]
        raise UsageError(
            f"{self._stage.name} cannot start: {found.what}",
            where=f"command = {job_program.command_text(self._command)}",
            hint=found.mend,
        )

    def _misspelt(self) -> list[str]:
        stage = self._stage
        return [
            f"{stage.name}: {{{name}}} in its command names no parameter and stays as it is; "
            f"there is {near!r}"
            for name, near in misspelt(stage.command, stage.parameters)
        ]

    def _run_bit(self) -> list[str]:
        started = job_program.started(self._command)
        assert self._sent is not None
        return [
            f"{self._stage.name}: {path} gets its run bit on the pod"
            for path, source in self._sent.items()
            if path in started and not os.access(source, os.X_OK)
        ]

    def _stays(self, path: str) -> bool:
        """Whether no stage that passes before makes `path` anew."""
        if maker_of(self._project, path) in self._coming:
            return False
        return not any(Globs(self._outputs(name)).match(path) for name in self._coming)

    def _outputs(self, name: str) -> tuple[str, ...]:
        stage = self._project.stages.get(name)
        return stage.outputs if stage else ()

    def _model(self) -> list[str]:
        job_inputs.check_model(self._stage, self._root, self._sends)
        model = job_inputs.hub_model(self._stage, self._root)
        if not model or self._secrets is None or self._offline:
            return []
        tokens = (self._secrets.get(name) for name in hub.TOKENS)
        remark = hub.look(model, next((one for one in tokens if one), None))
        return [remark] if remark else []

    def _sends(self, path: str) -> bool:
        return self._sent is None or path in self._sent


def _head(source: Path) -> bytes:
    try:
        with source.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b"#!/"  # the upload says what is wrong with it
