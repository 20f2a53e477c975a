"""Refreshes the last known status from the provider and the agents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.engine.last_seen import pod_last_seen, run_last_seen
from controller.errors import ConnectionLost, PodctlError
from controller.providers.base import Provider
from controller.status.target import agent_of, connect, find_target, pod_of
from state.journal import Journal
from state.last_seen import LastSeen

if TYPE_CHECKING:
    import sqlite3

    from controller.project.project import Project
    from controller.status.overview import Overview

SSH_SECONDS = 8.0


@dataclass(frozen=True)
class Unreachable:
    """The subjects whose source did not respond, and the reasons."""

    subjects: frozenset[str] = frozenset()
    reasons: tuple[str, ...] = ()


def ask(
    project: Project,
    open_provider: Callable[[], Provider],
    connection: sqlite3.Connection,
    known: Overview,
) -> Unreachable:
    """Ask about every pod and unfinished run of `known`; returns what did not answer."""
    working = [run for run in known.runs if run.open and run.pod]
    try:
        provider = open_provider()
        pods = {pod.id: pod for pod in provider.list()}
    except PodctlError as error:
        names = [f"pod:{line.pod}" for line in known.pods] + [f"run:{run.run}" for run in working]
        return Unreachable(frozenset(names), (f"{error.what} {error.cause}".strip(),))
    seen = LastSeen(connection)
    for line in known.pods:
        seen.see(f"pod:{line.pod}", "provider", pod_last_seen(pods.get(line.pod)))
    failures: dict[str, str] = {}
    for run in working:
        try:
            _ask_agent(project, provider, connection, run.run)
        except PodctlError as error:
            failures[f"run:{run.run}"] = f"{run.run}: {error.what}"
    return Unreachable(frozenset(failures), tuple(failures.values()))


def _ask_agent(
    project: Project, provider: Provider, connection: sqlite3.Connection, run: str
) -> None:
    target = find_target(Journal(connection), run)
    if not target.code:
        return  # nothing of it runs yet
    pod = pod_of(provider, target)
    if not pod.ready:
        raise ConnectionLost(f"the pod is {pod.status} and not ready")
    with connect(project, provider, pod, SSH_SECONDS) as session:
        status = agent_of(session, target).status(run)
    LastSeen(connection).see(f"run:{run}", "agent", run_last_seen(status))
