"""What a shell completes: stages, runs and pods of the current project, read without network."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Iterable

import click

from controller.errors import PodctlError
from controller.project.project import Project, find


def stage_names(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The stages that podctl.toml defines or changes, and those that come with podctl."""
    return _matching(begun, _stages)


def run_names(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Stages and runs."""
    return _matching(begun, _stages, _runs)


def subject_names(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Stages, runs and pods."""
    return _matching(begun, _stages, _runs, _pods)


def template_names(_ctx: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The templates of `podctl init`."""
    from controller.project.templates import TEMPLATES

    return [name for name in (*TEMPLATES, "list") if name.startswith(begun)]


def _matching(begun: str, *sources: Callable[[Project], Iterable[str]]) -> list[str]:
    """Never fails: a shell shows nothing then."""
    names: dict[str, None] = {}
    for source in sources:
        with contextlib.suppress(PodctlError, OSError, ValueError):
            names |= dict.fromkeys(source(find()))
    return [name for name in names if name.startswith(begun)]


def _stages(project: Project) -> Iterable[str]:
    from controller.project.plan import names_in

    return names_in(project, tomllib.loads(project.file.read_text(encoding="utf-8-sig")))


def _runs(project: Project) -> Iterable[str]:
    return sorted((path.name for path in project.runs.iterdir() if path.is_dir()), reverse=True)


def _pods(project: Project) -> Iterable[str]:
    """Those that still bill, by the ledger."""
    from state.database import open_database
    from state.ledger import Ledger

    connection = open_database(project.database, readonly=True)
    try:
        yield from dict.fromkeys(one.pod_id for one in Ledger(connection).intervals(open_only=True))
    finally:
        connection.close()
