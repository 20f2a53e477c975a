"""Whether the five stages that come with podctl are in a project. Light: no pydantic.

`[project] plan` says so. A podctl.toml of before that key has them as it always had, unless it
defines stages of its own and nothing in it or beside it has to do with the five.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from controller.project.project import Project


@cache
def shipped() -> tuple[str, ...]:
    """The names of the stages that come with podctl."""
    return tuple(tomllib.loads((resources.files("jobs") / "stage1.toml").read_text("utf-8")))


def has_plan(project: Project) -> bool:
    """Whether the stages that come with podctl are among the project's."""
    config = project.config
    return _included(project, config.project.plan, config.project.model, config.stages)


def names_in(project: Project, document: Mapping[str, Any]) -> tuple[str, ...]:
    """The stages of a podctl.toml that is not checked."""
    section, tables = document.get("project"), document.get("stages")
    section = section if isinstance(section, dict) else {}
    tables = tables if isinstance(tables, dict) else {}
    ours = _included(project, section.get("plan"), section.get("model"), tables)
    return tuple(dict.fromkeys((*(shipped() if ours else ()), *tables)))


def _included(project: Project, plan: object, model: object, tables: Mapping[str, Any]) -> bool:
    if plan is not None:
        return plan == "stage1"
    # Only the five take the project's model.
    return not tables or model is not None or _refers(tables) or _ran(project)


def _refers(tables: Mapping[str, Any]) -> bool:
    """Whether a table changes one of the five, or needs it."""
    needs = [table.get("needs") for table in tables.values() if isinstance(table, Mapping)]
    named = {name for one in needs if isinstance(one, list) for name in one if type(name) is str}
    return bool({*shipped()} & ({*tables} | named))


def _ran(project: Project) -> bool:
    """Whether one of the five has a lock or a run here."""
    locks = {path.stem for path in project.locks.glob("*.json")}
    runs = {path.name.rpartition("-")[0] for path in project.runs.glob("*-[0-9]*")}
    return bool({*shipped()} & (locks | runs))
