"""Differences between podctl.toml and the settings with which an unfinished run was started.

The run keeps its recorded settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from controller.engine.lease_context import unpinned
from controller.errors import UsageError
from controller.locks.staleness import shown
from controller.planner.pod_spec import with_image
from controller.project.changed_stages import other_values
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from jobs.stage import Stage
from state.journal import Journal
from state.journal_rows import Lease

if TYPE_CHECKING:
    from controller.leases.project_session import ProjectSession

HERE = ("api_base",)  # of the shape: the machine's business, not the run's


def edits(project: Project, journal: Journal, lease: Lease) -> tuple[str, ...]:
    """One line a difference, for every unfinished run of `lease`."""
    found: list[str] = []
    for run in journal.runs(lease=lease.id, open_only=True):
        stage, shape = unpinned(run.spec)
        now = project.stages.get(run.stage)
        lines = _stage_edits(stage, now) if now else (f"podctl.toml has no stage {run.stage} now",)
        here = shape_of(project) if now is None else with_image(shape_of(project), [now])
        if shape.network_volume_id is not None and not here.data_centers:
            here = replace(here, data_centers=shape.data_centers)  # those of the volume
        pods = _changes("pod", vars(shape), vars(here), HERE)
        found += [f"{run.id} keeps its recorded settings: {line}" for line in (*lines, *pods)]
    return tuple(found)


def check_values(project: Project, session: ProjectSession, leases: Sequence[Lease]) -> None:
    """A run that goes on has the values that it was started with. Raises UsageError when the
    command line asks for others."""
    for lease in leases if project.changes else ():
        for run in session.journal.runs(lease=lease.id, open_only=True):
            now = project.stages.get(run.stage)
            if now is None or run.stage not in project.changes.stages:
                continue
            if others := other_values(unpinned(run.spec)[0], now, project.changes):
                raise UsageError(
                    f"{run.id} is unfinished and was started with other values",
                    cause="; ".join(others),
                    hint=f"podctl sync {run.id} resumes it; podctl stop {run.id} ends it",
                )


def _stage_edits(pinned: Stage, now: Stage) -> Iterator[str]:
    was, here = pinned.model_dump(mode="json"), now.model_dump(mode="json")
    yield from _changes("variable", was.pop("env"), here.pop("env"))
    yield from _changes("parameter", was.pop("parameters"), here.pop("parameters"))
    yield from _changes("", was, here)


def _changes(
    kind: str, was: Mapping[str, Any], now: Mapping[str, Any], but: tuple[str, ...] = ()
) -> Iterator[str]:
    for name in sorted({*was, *now} - {*but}):
        if was.get(name) != now.get(name):
            told = f"{kind} {name}".strip()
            yield f"{told} was {shown(was.get(name))}, is {shown(now.get(name))} now"


def check_provider(lease: Lease, provider: str) -> None:
    """A lease is looked for where it was rented: elsewhere its pods would seem to be gone.

    Raises UsageError.
    """
    rented = str(lease.data.get("provider", provider))
    if rented != provider:
        raise UsageError(
            f"lease {lease.id} was rented from {rented}, but podctl.toml now says {provider}",
            where="podctl.toml: [project] provider",
            hint=f'set provider = "{rented}" until it is closed: podctl sync',
        )
