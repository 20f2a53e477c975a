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

MOST_RUNS = 200  # that are looked at; a pod has a handful
LISTING = 64 * 1024  # bytes of a listing
T = TypeVar("T")


@dataclass(frozen=True)
class RunOnPod:
    """One run by the pod's records. They are not trusted: they decide nothing."""

    run: str
    stage: str
    argv: tuple[str, ...]
    outputs: tuple[str, ...]
    code: str  # sha256 of the remote package that it was told to use
    started_at: float  # of its newest attempt, by the pod's clock; 0: never started


def runs_on(session: Session, layout: Layout) -> tuple[RunOnPod, ...]:
    """Return every run with valid records, the oldest start first. Raises ConnectionLost."""
    listed = session.run(["ls", "-1", str(layout.root / "runs")], cap=LISTING).stdout
    names = [name for name in listed.decode("utf-8", "replace").splitlines() if RUN.fullmatch(name)]
    found = (_run(session, layout, name) for name in names[:MOST_RUNS])
    return tuple(sorted((run for run in found if run), key=lambda run: (run.started_at, run.run)))


def _run(session: Session, layout: Layout, run: str) -> RunOnPod | None:
    spec = _document(session, layout, run, "spec.json", JobSpec)
    named = RUN.fullmatch(run)
    if spec is None or named is None or (spec.run, spec.stage) != (run, named[1]):
        return None
    if not re.fullmatch(r"[0-9a-f]{64}", spec.code):
        return None
    attempt = _document(session, layout, run, "attempt.json", Attempt)
    at = attempt.started_at if attempt else 0.0
    return RunOnPod(run, spec.stage, spec.argv, spec.outputs, spec.code, at)


def _document(session: Session, layout: Layout, run: str, name: str, kind: type[T]) -> T | None:
    try:
        return contract.load(kind, read_file(session, str(layout.run(run) / name)))
    except ContractError:
        return None
