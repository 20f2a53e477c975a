"""Lists the runs on a pod's volume from the pod's own records, for recovery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from controller.agent.client import read_file
from remote import contract
from remote.contract import Attempt, ContractError, JobSpec, Layout
from state.journal import RUN

if TYPE_CHECKING:
    from controller.ssh.session import Session

MAX_RUNS = 200  # that are read; a pod has a handful
MAX_LISTING = 64 * 1024  # bytes
T = TypeVar("T")


@dataclass(frozen=True)
class RunOnPod:
    """One run as the pod's records describe it. The records are not trusted."""

    run: str
    stage: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    code: str  # sha256 of the remote package that it uses
    started_at: float  # start of its newest attempt, by the pod's clock; 0: never started


def runs_on(session: Session, layout: Layout) -> tuple[RunOnPod, ...]:
    """Return every run with valid records, the oldest start first. Raises ConnectionLost."""
    listing = session.run(["ls", "-1", str(layout.root / "runs")], cap=MAX_LISTING).stdout
    names = [
        name for name in listing.decode("utf-8", "replace").splitlines() if RUN.fullmatch(name)
    ]
    runs = (_run(session, layout, name) for name in names[:MAX_RUNS])
    return tuple(sorted((run for run in runs if run), key=lambda run: (run.started_at, run.run)))


def _run(session: Session, layout: Layout, run: str) -> RunOnPod | None:
    spec = _document(session, layout, run, "spec.json", JobSpec)
    match = RUN.fullmatch(run)
    if spec is None or match is None or (spec.run, spec.stage) != (run, match[1]):
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", spec.code):
        return None
    attempt = _document(session, layout, run, "attempt.json", Attempt)
    started_at = attempt.started_at if attempt else 0.0
    return RunOnPod(run, spec.stage, spec.argv, spec.outputs, spec.code, started_at)


def _document(session: Session, layout: Layout, run: str, name: str, kind: type[T]) -> T | None:
    try:
        return contract.load(kind, read_file(session, str(layout.run(run) / name)))
    except ContractError:
        return None
