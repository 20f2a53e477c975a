"""Differences between podctl.toml and the settings with which an unfinished run was started.

The run keeps its recorded settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controller.engine.lease_context import unpinned
from controller.errors import UsageError
from controller.locks.staleness import shown
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from jobs.stage import Stage
from state.journal import Journal
from state.journal_rows import Lease

HERE = ("api_base",)  # of the shape: the machine's business, not the run's


def edits(project: Project, journal: Journal, lease: Lease) -> tuple[str, ...]:
    """One line a difference, for every unfinished run of `lease`."""
    found: list[str] = []
    for run in journal.runs(lease=lease.id, open_only=True):
        stage, shape = unpinned(run.spec)
        now = project.stages.get(run.stage)
        lines = _stage_edits(stage, now) if now else (f"podctl.toml has no stage {run.stage} now",)
        pods = _changes("pod", vars(shape), vars(shape_of(project)), HERE)
        found += [f"{run.id} keeps its recorded settings: {line}" for line in (*lines, *pods)]
    return tuple(found)


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
