"""The stages of a project with what a command line changes in them."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from controller.errors import UsageError
from controller.project.changes import GPUS, Changes
from jobs import key_path, shorthand
from jobs.builtin_program import runs_shipped_program
from jobs.catalog import CatalogError, load_stages, merge
from jobs.format_check import InvalidFile
from jobs.stage import Stage

if TYPE_CHECKING:
    from controller.project.config import Config

ALL = "all"
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    ((int, float), "a number"),
    (list, "a list"),
    (dict, "a table"),
)


def changed(
    stages: Mapping[str, Stage], config: Config, changes: Changes, *, plan: bool
) -> Mapping[str, Stage]:
    """`stages` with `changes` in those that they are for. Raises UsageError."""
    names = [name for name in stages if name in changes.stages or ALL in changes.stages]
    tables: dict[str, Mapping[str, Any]] = dict(config.stages)
    for name in names:
        table = shorthand.expanded(tables.get(name, {}))
        for path, value in assignments(changes, stages[name], names):
            table = merge(table, _nested(path, value))
            if ".".join(path) == GPUS:  # a stage of a CPU pod is to have a GPU
                table = merge(table, {"hardware": {"cpu": None}})
        tables[name] = table
    try:
        return load_stages(tables, config.project.model, plan=plan)
    except CatalogError as error:
        raise UsageError(f"--set: {error}", hint="podctl schema describes every key") from error


def assignments(
    changes: Changes, stage: Stage, named: list[str] | None = None
) -> Iterator[tuple[list[str], Any]]:
    """Path and value of everything that is set for `stage`. Raises UsageError."""
    for key, text in changes.values:
        path = _parts(key)
        if path[0] in (named or changes.stages) and path[0] not in _keys():
            if path[0] != stage.name:
                continue
            path = path[1:]
        _check(key, path, stage)
        path, below = _full(path), _at(stage, _full(path))
        yield path, _value(key, text, path, below)


def _parts(key: str) -> list[str]:
    try:
        return list(key_path.parts(key))
    except InvalidFile as error:
        raise UsageError(f"--set {key}: {error}") from error


def _keys() -> list[str]:
    return [*(name for name in Stage.model_fields if name != "name"), *shorthand.KEYS]


def _full(path: list[str]) -> list[str]:
    """`gpu_count` is `hardware.gpu_count`."""
    return ["hardware", "gpu_count"] if path == ["gpu_count"] else path


def _check(key: str, path: list[str], stage: Stage) -> None:
    if not path or path[0] not in _keys():
        if path and path[0] in stage.parameters:
            hint = f"--set parameters.{'.'.join(path)}=…"
        else:
            near = difflib.get_close_matches(path[0] if path else "", _keys(), n=1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(_keys())}"
        raise UsageError(f"--set {key}: {stage.name} has no such key", hint=hint)
    if path[0] != "parameters" or runs_shipped_program(stage):
        return  # the parameters of podctl's own programs are checked with all others
    _check_parameter(key, path, stage)


def _check_parameter(key: str, path: list[str], stage: Stage) -> None:
    """One that nothing reads would be a run with the old value; so it is in a table below."""
    table: Any = stage.parameters
    for depth, part in enumerate(path[1:], 1):
        above = ".".join(path[:depth])
        if not isinstance(table, Mapping):
            raise UsageError(f"--set {key}: {above} is no table", hint=f"--set {above}=… sets it")
        if part not in table:
            if depth > 1 and not table:
                return  # an empty table may get anything
            near = difflib.get_close_matches(part, list(table), n=1)
            raise UsageError(
                f"--set {key}: {stage.name} has no parameter {'.'.join(path[1 : depth + 1])}",
                cause=f"it has {', '.join(table)}" if table else "it has none",
                hint=f"did you mean {above}.{near[0]}?" if near else "",
            )
        table = table[part]


def _at(stage: Stage, path: list[str]) -> Any:
    """The present value; None where there is none."""
    value: Any = stage.model_dump(mode="json")
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _value(key: str, text: str, path: list[str], present: Any) -> Any:
    """As TOML or JSON has it; text without quotes is text, where text or nothing is now."""
    value = _parsed(text)
    if value is None:
        return None  # as if the key were not there
    wants_text = isinstance(present, str) or path[0] == "env"
    kind = next((name for kinds, name in _KINDS if isinstance(present, kinds)), "")
    if kind and path[0] == "parameters" and value == text:
        raise UsageError(
            f"--set {key}: {text!r} is not {kind}, which is there now",
            hint=f"if it is meant as text: --set '{key}=\"{text}\"'",
        )
    return text if wants_text and not isinstance(value, str) else value


def _parsed(text: str) -> Any:
    try:
        document = tomllib.loads(f"value = {text}")
        json.dumps(document)  # no dates
    except (ValueError, TypeError, RecursionError):
        document = {}
    if set(document) == {"value"}:
        return document["value"]
    try:
        return json.loads(text) if text[:1] in ("{", "[", '"') or text == "null" else text
    except (ValueError, RecursionError):
        return text


def _nested(path: list[str], value: Any) -> dict[str, Any]:
    for part in reversed(path):
        value = {part: value}
    return dict(value)


def other_values(was: Stage, now: Stage, changes: Changes) -> list[str]:
    """What is set otherwise in `was` than `changes` ask for, in words."""
    found = []
    for path, _ in assignments(changes, now):
        before, here = _at(was, path), _at(now, path)
        if before != here:
            found.append(f"{'.'.join(path)} is {before!r} in it")
    return found
