"""Which locks are stale, and what differs between a lock and a run of its stage now.

A lock stays true as a statement about the past; it is stale when its stage, run now, would get
other inputs or settings. A lock that depends on a stale lock is stale as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import UsageError
from controller.locks import certificate
from controller.locks.artifacts import hash_file, made_before
from controller.locks.certificate import Certificate
from controller.locks.precision import QUANTIZE, same_precision
from controller.project.project import Project
from controller.project.stages import declared_inputs
from controller.transfer.file_selection import select
from controller.transfer.tracked_files import TrackedFiles, tracked_files_of
from controller.transfer.upload import code_digest
from jobs.stage import Stage
from remote.globs import Globs, normal
from remote.names import encode

if TYPE_CHECKING:
    from pydantic import JsonValue

PACKAGE = "remote."  # of modules that are run from the package which podctl sends
MAX_VALUE = 60  # characters of a value that is shown


@dataclass(frozen=True)
class Difference:
    """One difference between a lock and a run now. `kind` is parameter, variable, input, command,
    outputs, criterion, code, need or upstream."""

    kind: str
    text: str


def differences(
    stage: Stage,
    lock: Certificate,
    inputs: Mapping[str, str],
    locks: Mapping[str, Certificate],
    code: str,
) -> tuple[Difference, ...]:
    """What differs between `lock` and a run of `stage` now.

    `inputs` maps each present input's path to its sha256; `locks` are the certificates in force;
    `code` is the sha256 of the remote package that a pod would be sent.
    """
    made = {artifact.path for other in locks.values() for artifact in other.artifacts}
    return (
        *_parameters(stage, lock),
        *_command(stage, lock),
        *_criteria(stage, lock),
        *_code(stage, lock, code),
        *_inputs(lock, inputs, Globs(stage.inputs), made),
        *_needs(stage, lock, locks),
    )


def _parameters(stage: Stage, lock: Certificate) -> Iterable[Difference]:
    for name, before, now in unlike(lock.parameters, stage.parameters):
        if name == QUANTIZE and before in (None, "auto") and same_precision(lock, now):
            continue
        by = " by --set" if any(_names(word, name) for word in lock.overrides) else ""
        yield Difference("parameter", f"parameter {name} was {shown(before)}{by}, is {shown(now)}")


def _names(assignment: str, parameter: str) -> bool:
    """Whether `--set` gave that parameter a value."""
    key = assignment.partition("=")[0]
    return key.endswith(f"parameters.{parameter}") or f"parameters.{parameter}." in key


def unlike(
    before: Mapping[str, object], now: Mapping[str, object]
) -> Iterable[tuple[str, object, object]]:
    """Each name whose value differs, with the earlier and the present value; None if absent."""
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)


def _command(stage: Stage, lock: Certificate) -> Iterable[Difference]:
    if stage.command != lock.command:
        before, now = " ".join(lock.command), " ".join(stage.command)
        yield Difference("command", f"the command was {before!r}, is {now!r}")
    for name, old, new in unlike(lock.env, stage.env):
        yield Difference("variable", f"variable {name} was {shown(old)}, is {shown(new)}")
    if [normal(glob) for glob in stage.outputs] != [normal(glob) for glob in lock.outputs]:
        yield Difference("outputs", f"the outputs were {list(lock.outputs)}")


def _criteria(stage: Stage, lock: Certificate) -> Iterable[Difference]:
    """A title is not compared: it judges nothing."""
    before, now = _untitled(lock.asked), _untitled(definitions(stage))
    removed = [criterion for criterion in before if criterion not in now]
    new = [criterion for criterion in now if criterion not in before]
    for criterion in removed:
        twin = next((other for other in new if _subject(other) == _subject(criterion)), None)
        if twin is None:
            yield Difference("criterion", f"criterion {_subject(criterion)} is no longer asked")
            continue
        new.remove(twin)
        for name in sorted({*criterion, *twin}):
            if criterion.get(name) != twin.get(name):
                text = f"{name} was {shown(criterion.get(name))}, is {shown(twin.get(name))}"
                yield Difference("criterion", f"criterion {_subject(criterion)}: {text}")
    yield from (
        Difference("criterion", f"criterion {_subject(criterion)} is new") for criterion in new
    )


def _untitled(asked: Iterable[Mapping[str, object]]) -> list[dict[str, object]]:
    return [
        {name: value for name, value in criterion.items() if name != "title"} for criterion in asked
    ]


def _subject(criterion: Mapping[str, object]) -> str:
    """What is looked at: a criterion of the same subject is the same one with other bounds."""
    return " ".join(str(criterion[name]) for name in ("kind", "path", "key") if name in criterion)


def _code(stage: Stage, lock: Certificate, code: str) -> Iterable[Difference]:
    """Of podctl's own programs; a user's own code is among the inputs."""
    if code != lock.code and any(argument.startswith(PACKAGE) for argument in stage.command):
        text = f"podctl's code on the pod was {lock.code[:12] or 'not recorded'}, is {code[:12]}"
        yield Difference("code", text)


def _inputs(
    lock: Certificate, inputs: Mapping[str, str], asked: Globs, made: Collection[str]
) -> Iterable[Difference]:
    """What stages wrote since (`made`) is no new input unless it is asked for, and what this one
    wrote no changed one: a project that sends everything would be stale once it is locked."""
    recorded = {entry.path: entry.sha256 for entry in lock.inputs}
    own = {entry.path: entry.sha256 for entry in lock.artifacts}
    for path in sorted(recorded.keys() | inputs.keys()):
        if path in inputs and own.get(path) == inputs[path]:
            continue
        if path in made and path not in recorded and not asked.match(path):
            continue
        if path not in inputs:
            yield Difference("input", f"input {encode(path)} is no longer there")
        elif path not in recorded:
            yield Difference("input", f"input {encode(path)} is new")
        elif recorded[path] != inputs[path]:
            yield Difference("input", f"input {encode(path)} changed")


def _needs(
    stage: Stage, lock: Certificate, locks: Mapping[str, Certificate]
) -> Iterable[Difference]:
    for need in stage.needs:
        if problem := need_problem(lock.needs.get(need), locks.get(need)):
            yield Difference("need", f"{need}, on which it stands, {problem}")


def need_problem(recorded: str | None, current: Certificate | None) -> str:
    """Why the lock of a need is no longer the recorded one; empty if it is, or never was one."""
    if current is None:
        return "is no longer locked" if recorded is not None else ""
    if recorded is None:
        return "was not locked when it ran"
    return "" if recorded == current.sha256 else "was locked again since"


def all_differences(
    stages: Mapping[str, Stage],
    locks: Mapping[str, Certificate],
    inputs: Mapping[str, Mapping[str, str]],
    code: str,
) -> dict[str, tuple[Difference, ...]]:
    """The differences of each locked stage; `stages` must be ordered with needs first."""
    differences_of: dict[str, tuple[Difference, ...]] = {}
    for name, stage in stages.items():
        lock = locks.get(name)
        if lock is None:
            continue
        upstream = [need for need in stage.needs if differences_of.get(need)]
        differences_of[name] = (
            *differences(stage, lock, inputs.get(name, {}), locks, code),
            *(Difference("upstream", f"{need}, on which it stands, is stale") for need in upstream),
        )
    return differences_of


def downstream(stages: Mapping[str, Stage], name: str) -> tuple[str, ...]:
    """Every stage that depends on `name`, directly or not, in plan order."""
    reached = {name}
    for other_name, stage in stages.items():
        if reached & set(stage.needs):
            reached.add(other_name)
    return tuple(
        other_name for other_name in stages if other_name in reached and other_name != name
    )


def shown(value: object) -> str:
    """A value as short text."""
    text = "not set" if value is None else repr(value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def stale(project: Project) -> dict[str, tuple[Difference, ...]]:
    """Every locked stage with what differs now; an empty tuple means that the lock is current."""
    locks = certificate.read_all(project.root)
    ordered = in_order(project.stages)
    try:
        tracked = tracked_files_of(project.root) if locks else None
    except UsageError:  # each selection says so
        tracked = None
    inputs = {
        name: input_hashes(project, ordered[name], lock, tracked)
        for name, lock in locks.items()
        if name in ordered
    }
    return all_differences(ordered, locks, inputs, code_digest())


def in_order(stages: Mapping[str, Stage]) -> dict[str, Stage]:
    """The stages with every need before what needs it; otherwise as they come."""
    ordered: dict[str, Stage] = {}

    def place(name: str) -> None:
        if name in ordered or name not in stages:
            return
        for need in stages[name].needs:
            place(need)
        ordered[name] = stages[name]

    for name in stages:
        place(name)
    return ordered


def input_hashes(
    project: Project, stage: Stage, lock: Certificate, tracked: TrackedFiles | None = None
) -> dict[str, str]:
    """Path to sha256 of everything that a run of `stage` would send now; what is absent is not in
    it. A file that nobody touched since the lock's run began is not read again."""
    recorded = {entry.path: entry for entry in lock.inputs}
    hashes: dict[str, str] = {}
    # What is not there, or cannot be read, is a difference like any other.
    made = made_before(project.root, stage.name)
    declared = declared_inputs(project, stage)
    selected = select(project.root, declared, project.config.upload.include, made, tracked).files
    for path, source in selected.items():
        known = recorded.get(path)
        same = known is not None and _untouched(source, known.size, lock.started_at)
        sha256 = known.sha256 if known is not None and same else _hash(source)
        if sha256:
            hashes[path] = sha256
    return hashes


def _untouched(source: Path, size: int, since: float) -> bool:
    """By the inode's own time of change, which no copying or touching sets back."""
    try:
        about = source.stat()
    except OSError:
        return False
    return about.st_size == size and about.st_ctime < since


def _hash(source: Path) -> str:
    try:
        return hash_file(source)[1]
    except OSError:
        return ""


def definitions(stage: Stage) -> tuple[dict[str, JsonValue], ...]:
    """The stage's criteria as JSON objects, without defaults."""
    return tuple(
        criterion.model_dump(mode="json", exclude_defaults=True) for criterion in stage.criteria
    )
