"""What is known of runs, pods and stages, each fact with its source and time.

An old status, or one whose source no longer responds, proves nothing: what was running then is
`unknown` now.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from controller.errors import NotFound
from controller.planner.job_progress import Steps, figures_told, steps_told
from controller.planner.journal_fold import lease_state_of
from controller.project.project import Project
from remote.contract import number

if TYPE_CHECKING:
    import sqlite3

    from controller.planner.lease_state import LeaseState
    from state.journal_rows import Run
    from state.last_seen import LastSeenRecord

FRESH_SECONDS = 60.0  # for which what an agent or provider said still stands
EARLY_SECONDS = 5.0  # by which a clock that was set back makes it come from the future
UNKNOWN = "unknown"
_SETTLED = ("EXITED", "TERMINATED", "gone")  # a pod does not leave these by itself
_ENDED = "ended"  # nor a job this


@dataclass(frozen=True)
class Line:
    """One fact: `state`, as `source` saw it at `at` (Unix seconds)."""

    state: str
    source: str  # agent | provider | journal | lock | plan
    at: float | None
    detail: str = ""


@dataclass(frozen=True)
class RunLine:
    run: str
    stage: str
    pod: str
    open: bool
    fact: Line
    steps: Steps | None = None  # of the job, as they were told at `fact.at`
    loss: float | None = None
    loss_nan: bool = False
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class PodLine:
    pod: str
    run: str
    usd_per_hour: float  # by the ledger: what we take it to bill now, disks included
    fact: Line


@dataclass(frozen=True)
class StageLine:
    stage: str
    title: str
    fact: Line


@dataclass(frozen=True)
class Overview:
    """Everything `podctl status` shows."""

    at: float
    stages: tuple[StageLine, ...]
    runs: tuple[RunLine, ...]
    pods: tuple[PodLine, ...]
    usd_per_hour: float
    spent_usd: float
    driver: str  # the process that holds the project lock; empty: none

    @property
    def unknown(self) -> bool:
        """Whether something that may be billing or working has an unknown state."""
        lines: tuple[RunLine | PodLine, ...] = (*self.runs, *self.pods)
        return any(line.fact.state == UNKNOWN for line in lines)


def read_overview(
    project: Project,
    connection: sqlite3.Connection,
    now: float,
    silent: frozenset[str] = frozenset(),
) -> Overview:
    """The state of things by what is written here alone; asks nobody.

    `silent` has the subjects ("run:…", "pod:…") that were asked for just now without an answer.
    """
    from state.journal import Journal
    from state.last_seen import LastSeen
    from state.ledger import Ledger
    from state.locks import Locks
    from state.project_lock import holder

    journal, ledger = Journal(connection), Ledger(connection)
    rentals = {lease.id: lease_state_of(journal, lease.id) for lease in journal.open_leases()}
    rates: dict[str, float] = {}
    for interval in ledger.intervals(open_only=True):
        rates[interval.pod_id] = rates.get(interval.pod_id, 0.0) + interval.usd_per_hour
    runs = journal.newest_runs()
    locked = {lock.run: lock.at for lock in Locks(connection).all()}
    known = LastSeen(connection).of(_subjects(runs, rentals.values(), rates))
    seen = {subject: _view(one, now, silent) for subject, one in known.items()}
    lines = tuple(
        _with_steps(_run_line(run, rentals.get(run.lease), seen, locked), known) for run in runs
    )
    driver = holder(project.state_dir)
    return Overview(
        at=now,
        stages=_stages(project, lines),
        runs=lines,
        pods=_pod_lines(rentals.values(), rates, seen),
        usd_per_hour=sum(rates.values()),
        spent_usd=ledger.spent(now),
        driver=f"pid {driver.pid} on {driver.host}: {driver.what}" if driver else "",
    )


def of_stage(overview: Overview, name: str) -> Overview:
    """What concerns one stage, or one run. Raises NotFound."""
    runs = tuple(line for line in overview.runs if name in (line.stage, line.run))
    stages = {name, *(line.stage for line in runs)}
    found = tuple(line for line in overview.stages if line.stage in stages)
    if not found and not runs:
        raise NotFound(f"no stage or run {name!r}", hint="podctl status")
    held = {line.pod for line in runs} | {
        line.pod for line in overview.pods if line.run in {run.run for run in runs}
    }
    pods = tuple(line for line in overview.pods if line.pod in held)
    return dataclasses.replace(overview, stages=found, runs=runs, pods=pods)


def with_stages(overview: Overview, project: Project) -> Overview:
    """The same with every stage of the plan, also those that nothing was done for yet."""
    from controller.project.stages import missing_inputs, stood_in

    known = {line.stage: line for line in overview.stages}
    locked = {name for name, line in known.items() if line.fact.state == "locked"}
    lines = []
    for name, stage in project.stages.items():
        line = known.get(name)
        if line is None:
            waits = [
                need
                for need in stage.needs
                if need not in locked and not stood_in(project, stage, need)
            ]
            lacks = [missing.path for missing in missing_inputs(project, stage)]
            detail = f"needs {', '.join(waits or lacks)}" if waits or lacks else ""
            fact = Line("waiting" if detail else "ready", "plan", overview.at, detail)
            line = StageLine(name, stage.title, fact)
        lines.append(dataclasses.replace(line, title=stage.title))
    return dataclasses.replace(overview, stages=tuple(lines))


def _subjects(
    runs: Iterable[Run], rentals: Iterable[LeaseState], billing: Iterable[str]
) -> Iterator[str]:
    """What sightings can say something new about."""
    yield from (f"run:{run.id}" for run in runs)
    yield from (f"pod:{pod}" for pod in billing)
    for lease_state in rentals:
        yield from (f"pod:{pod}" for pod in lease_state.pods)


def _stages(project: Project, runs: Iterable[RunLine]) -> tuple[StageLine, ...]:
    """Every stage with its newest run, which is as well known as that; or its lock."""
    lines = {run.stage: StageLine(run.stage, "", run.fact) for run in runs}
    for path in sorted(project.locks.glob("*.json")):
        if "." in path.stem:  # a plan's statement
            continue
        at = path.stat().st_mtime
        lines[path.stem] = StageLine(path.stem, "", Line("locked", "lock", at))
    return tuple(line for _, line in sorted(lines.items()))


def _run_line(
    run: Run,
    lease_state: LeaseState | None,
    seen: Mapping[str, Line],
    locked: Mapping[str | None, float],
) -> RunLine:
    pod = (lease_state.pod or "") if lease_state else ""
    if not run.open and run.outcome != "passed" and run.id in locked:
        fact = Line("passed", "lock", locked[run.id], "its files were judged again")
        return RunLine(run.id, run.stage, "", False, fact)
    if not run.open:
        why = str(run.result.get("why", ""))
        fact = Line(run.outcome or UNKNOWN, "journal", run.finished_at, why)
        return RunLine(run.id, run.stage, "", False, fact)
    fact = seen.get(f"run:{run.id}") or Line(_before(lease_state, run), "journal", run.at)
    return RunLine(run.id, run.stage, pod, True, fact)


def _with_steps(line: RunLine, known: Mapping[str, LastSeenRecord]) -> RunLine:
    """With what its agent said of a job that is not over."""
    sighting = known.get(f"run:{line.run}") if line.open else None
    if sighting is None or sighting.data.get("state") == _ENDED:
        return line
    return dataclasses.replace(
        line,
        steps=steps_told(sighting.data, sighting.at),
        loss=number(sighting.data.get("loss")),
        loss_nan=sighting.data.get("loss_nan") is True,
        figures=figures_told(sighting.data.get("figures")),
    )


def _before(lease_state: LeaseState | None, run: Run) -> str:
    """How far a run is of which no agent ever said anything."""
    if lease_state is None:
        return UNKNOWN
    facts = next((entry for entry in lease_state.runs if entry.run == run.id), None)
    if facts is not None and facts.started:
        return UNKNOWN  # a start was sent and never answered
    if lease_state.pod is None:
        return "no pod yet"
    return "pod reached" if lease_state.reached else "pod starts"


def _view(sighting: LastSeenRecord, now: float, silent: frozenset[str]) -> Line:
    """The last known status; `unknown` when it is old or its source does not respond now."""
    data, (kind, _, _) = sighting.data, sighting.subject.partition(":")
    if kind == "run":
        state, detail = str(data.get("state", UNKNOWN)), progress_text(data)
        settled = state == _ENDED
    else:
        state, detail = str(data.get("status", UNKNOWN)), str(data.get("gpu") or "")
        settled = state in _SETTLED
    fresh = -EARLY_SECONDS <= now - sighting.at <= FRESH_SECONDS
    if settled or (fresh and sighting.subject not in silent):
        return Line(state, sighting.source, sighting.at, detail)
    was = detail if detail.startswith(state) else f"{state}; {detail}".rstrip("; ")
    return Line(UNKNOWN, sighting.source, sighting.at, f"was {was}")


def progress_text(data: Mapping[str, Any]) -> str:
    """`running, step 40/750, loss 0.31, GPU 97 %` of what is known."""
    step, most, loss = (data.get(key) for key in ("step", "max_steps", "loss"))
    words = [str(data["phase"])] if data.get("phase") else []
    if step is not None:
        words.append(f"step {step}/{most}" if most is not None else f"step {step}")
    if data.get("loss_nan") is True:
        words.append("loss is NaN")
    elif isinstance(loss, (int, float)):
        words.append(f"loss {loss:.4g}")
    if data.get("text"):
        words.append(str(data["text"]))
    for key, name in (("gpu_util", "GPU"), ("cpu_util", "CPU")):
        if isinstance(value := data.get(key), (int, float)):
            words.append(f"{name} {value:.0f} %")
            break
    if data.get("armed") is not None and data.get("state") != _ENDED:
        words.append(f"guard {'armed' if data['armed'] else 'not armed'} (reported by the pod)")
    return ", ".join(words)


def _noted(fact: Line, note: str | None) -> Line:
    detail = "; ".join(text for text in (note, fact.detail) if text)
    return dataclasses.replace(fact, detail=detail)


def _pod_lines(
    rentals: Iterable[LeaseState],
    rates: Mapping[str, float],
    seen: Mapping[str, Line],
) -> tuple[PodLine, ...]:
    """Pods that we hold, owe the end of, or pay for."""
    owners: dict[str, str] = dict.fromkeys(rates, "")
    warm: dict[str, str] = {}
    for lease_state in rentals:
        if lease_state.pod is not None and (until := lease_state.warm_until) is not None:
            at = time.strftime("%H:%M", time.localtime(until))
            warm[lease_state.pod] = f"warm until {at}, after {lease_state.runs[-1].run}"
        run = lease_state.current.run if lease_state.current else ""
        for pod in (
            *(debt.pod for debt in lease_state.pending_terminations),
            *([lease_state.pod] if lease_state.pod else []),
        ):
            owners[pod] = run
    never = Line(UNKNOWN, "journal", None, "the provider was not asked")
    return tuple(
        PodLine(pod, run, rates.get(pod, 0.0), _noted(seen.get(f"pod:{pod}", never), warm.get(pod)))
        for pod, run in sorted(owners.items())
    )
