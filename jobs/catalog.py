"""Which stages there are: those that come with podctl, a project's overrides, a project's own.

An override is merged into the built-in stage table by table and key by key; a list replaces the
list. Every mistake is a `CatalogError` that names the path of its key.
"""

from __future__ import annotations

import difflib
import graphlib
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from . import shorthand
from .stage import STAGE_NAME, Stage

MAX_STAGES = 200
ROOT = "stages"
EVERY = "all"  # on a command line
_NO_NAME = (
    "is no name of a stage: lower-case letters, digits, - and _, a letter first, at most 32 in all"
)
_MEANS_EVERY = "must have another name: `podctl run all` means every stage"
_NOT_IN_PLAN = '; [project] plan = "stage1" has the stage of that name that comes with podctl'
_TYPES = {
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "missing": "is required",
    "invalid-json-value": "must be text, a number, true, false, a list or a table; a date is text",
}
_PATTERNS = {  # what a pattern demands, in words
    r"^[a-z][a-z0-9_-]{0,31}$": "must be at most 32 of a-z, 0-9, _ and -, beginning with a letter",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$": (
        "must be at most 63 letters, digits, '.', '_' and '-', beginning with a letter or digit"
    ),
    r"^PODCTL_NOTIFY[A-Z0-9_]{0,40}$": (
        "must begin with PODCTL_NOTIFY, followed by at most 40 of A-Z, 0-9 and _"
    ),
    r"^https?://": "must begin with http:// or https://",
}


class CatalogError(ValueError):
    """A stage is not well defined. `path` is the key, e.g. `stages.stage1c.hardware.gpus`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def load_stages(
    user: Mapping[str, object], model: str | None = None, *, plan: bool = True
) -> dict[str, Stage]:
    """Every stage, in an order in which each comes after what it needs.

    `user` holds the `[stages.<name>]` tables of podctl.toml. `model` is the project's model: the
    default of `parameters.model` in the stages that have one. Without `plan` there are the user's
    own stages only. Raises: CatalogError.
    """
    if len(user) > MAX_STAGES:
        raise CatalogError(ROOT, f"{len(user)} stages, at most {MAX_STAGES}")
    stages: dict[str, Stage] = {}
    shipped = _with_model(built_in(), model) if plan else {}
    for name, table in (shipped | dict(user)).items():
        stages[name] = _stage(name, shipped.get(name, {}), table)
    return {name: stages[name] for name in order(stages)}


def mistakes(
    user: Mapping[str, object], model: str | None = None, *, plan: bool = True
) -> tuple[CatalogError, ...]:
    """One error for each stage that is not well defined; none where `load_stages` succeeds."""
    shipped = _with_model(built_in(), model) if plan else {}
    found = []
    for name, table in (shipped | dict(user)).items():
        try:
            _stage(name, shipped.get(name, {}), table)
        except CatalogError as error:
            found.append(error)
    if not found:
        try:
            load_stages(user, model, plan=plan)
        except CatalogError as error:
            found.append(error)
    return tuple(found)


@cache
def _document() -> dict[str, dict[str, Any]]:
    return tomllib.loads(resources.files(__package__).joinpath("stage1.toml").read_text("utf-8"))


def built_in() -> dict[str, dict[str, Any]]:
    """The tables of the stages that come with podctl, by name; a copy of one's own."""
    return {name: merge(table, {}) for name, table in _document().items()}


def order(stages: Mapping[str, Stage]) -> tuple[str, ...]:
    """Names so that each stands after what it needs; otherwise as given.

    Raises: CatalogError for a stage that nobody defines, or that needs itself in the end.
    """
    for name, stage in stages.items():
        for need in stage.needs:
            if need not in stages:
                raise CatalogError(f"{ROOT}.{name}.needs", _unknown("stage", need, list(stages)))
    sorter = graphlib.TopologicalSorter({name: stages[name].needs for name in stages})
    try:
        sorter.prepare()
    except graphlib.CycleError as error:
        circle = " → ".join(str(name) for name in reversed(error.args[1]))
        first = str(error.args[1][-1])
        raise CatalogError(f"{ROOT}.{first}.needs", f"needs itself in the end: {circle}") from error
    place = {name: number for number, name in enumerate(stages)}
    done: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted((*ready, *sorter.get_ready()), key=place.__getitem__)
        done.append(ready.pop(0))
        sorter.done(done[-1])
    return tuple(done)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: tables key by key at any depth, everything else replaced."""
    merged = {key: merge(v, {}) if isinstance(v, Mapping) else v for key, v in base.items()}
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged


def _with_model(tables: dict[str, dict[str, Any]], model: str | None) -> dict[str, dict[str, Any]]:
    if model is not None:
        for table in tables.values():
            if "model" in table.get("parameters", {}):
                table["parameters"]["model"] = model
    return tables


def _stage(name: str, base: Mapping[str, Any], table: object) -> Stage:
    if not isinstance(table, Mapping):
        raise CatalogError(f"{ROOT}.{name}", "must be a table")
    if name == EVERY or not re.fullmatch(STAGE_NAME, name):
        raise CatalogError(f"{ROOT}.{name}", _NO_NAME if name != EVERY else _MEANS_EVERY)
    written = table
    try:
        table = shorthand.expanded(table)
    except shorthand.TwiceSaid as error:
        raise CatalogError(f"{ROOT}.{name}.{error.key}", str(error)) from error
    _known_keys(f"{ROOT}.{name}", Stage, table)
    if "name" in table and table["name"] != name:
        raise CatalogError(f"{ROOT}.{name}.name", f"is {name!r} already, by the table's head")
    short = {key: shorthand.path(key) for key in shorthand.KEYS if key in written}
    definition = merge(base, table) | {"name": name}
    definition.setdefault("title", name)
    try:
        stage = Stage.model_validate(definition)
    except ValidationError as error:
        raise _as_written(_problem(name, error), f"{ROOT}.{name}", short) from error
    if stage.max_hours < stage.hours:
        path = f"{ROOT}.{name}.max_hours"
        raise CatalogError(path, f"{stage.max_hours:g} is below the {stage.hours:g} expected hours")
    return stage


def _as_written(error: CatalogError, table: str, short: Mapping[str, str]) -> CatalogError:
    """The same, about the short key that stands in podctl.toml."""
    for key, long in short.items():
        if error.path == f"{table}.{long}":
            return CatalogError(f"{table}.{key}", error.problem)
    return error


def _known_keys(path: str, model: type[BaseModel], table: Mapping[str, object]) -> None:
    """Refuse unknown keys of `table` and of the tables in it that have a model."""
    for key, value in table.items():
        field = model.model_fields.get(key)
        if field is None:
            short = list(shorthand.KEYS) if model is Stage else []
            known = [*model.model_fields, *short]
            raise CatalogError(f"{path}.{key}", _unknown("key", key, known))
        below = _model_of(field.annotation)
        if below is None:
            continue
        for place, item in enumerate(value) if isinstance(value, list | tuple) else [(None, value)]:
            if isinstance(item, Mapping):
                where = f"{path}.{key}" if place is None else f"{path}.{key}.{place}"
                _known_keys(where, below, item)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that a field holds, alone or in a tuple."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _problem(name: str, error: ValidationError) -> CatalogError:
    """The first of pydantic's complaints, with its path in podctl.toml; missing keys together."""
    errors = error.errors()
    lacking = [str(one["loc"][0]) for one in errors if one["type"] == "missing" and _top(one)]
    if len(lacking) > 1:
        text = f"{', '.join(lacking[:-1])} and {lacking[-1]} are required for a stage of your own"
        hint = _NOT_IN_PLAN if name in built_in() else ""
        return CatalogError(f"{ROOT}.{name}", text + hint)
    first = next((one for one in errors if one["type"] == "missing" and _top(one)), errors[0])
    path = ".".join((ROOT, name, *(str(part) for part in first["loc"])))
    if first["type"] == "missing":
        own = " for a stage of your own" if _top(first) else ""
        return CatalogError(path, f"is required{own}")
    return CatalogError(path, message(first))


def _top(error: Mapping[str, Any]) -> bool:
    return len(error["loc"]) == 1


def message(error: Mapping[str, Any]) -> str:
    """One of pydantic's complaints in plain words."""
    own = error.get("ctx", {}).get("error")
    if error["type"] == "value_error" and own is not None:
        return str(own)
    if words := _PATTERNS.get(str(error.get("ctx", {}).get("pattern", ""))):
        return words
    if told := _TYPES.get(error["type"]):
        like = f', like ["{error["input"]}"]' if error["type"] == "tuple_type" else ""
        return told + (like if isinstance(error["input"], str) and len(like) < 80 else "")
    text = re.sub(r"^(?:Input|String|Tuple|Value) should ", "must ", str(error["msg"]))
    return text.replace(" after validation, not 0", "") + instead(error)


def instead(error: Mapping[str, Any]) -> str:
    """Which of the words that a key may have is near to the one that it has."""
    if error["type"] != "literal_error" or not isinstance(error["input"], str):
        return ""
    known = re.findall(r"'([^']+)'", str(error.get("ctx", {}).get("expected", "")))
    near = difflib.get_close_matches(error["input"], known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _unknown(kind: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown {kind} {name!r}; {hint}" if kind == "stage" else f"unknown key; {hint}"
