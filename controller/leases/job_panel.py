"""The live view of a lease as lines: stages, steps, loss, load, money. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from controller.costs.pricing import probed
from controller.engine.last_seen import short_line
from controller.planner.job_progress import JobProgress, Steps, figure_words, figures_told, span
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Observation
from controller.terminal.formatting import usd
from controller.terminal.panel import Bar, Curve, PanelLine, Span
from controller.terminal.style import state_colour
from remote.contract import Status

MOST_RUNS = 8  # lines of runs; of more, the ones around the present one
LATE_SECONDS = 30.0  # without an answer of the pod, from which on that is coloured
QUIET_SECONDS = 60.0  # of a running job, after which the lack of steps is explained
GAP = "  "
_MARKS = {"done": ("✓", "+"), "failed": ("✗", "x"), "now": ("▸", ">"), "later": ("·", "-")}


@dataclass(frozen=True)
class Quoted:
    """What the lease was expected to cost when it was opened, in US dollars; None: not recorded."""

    expected_usd: float | None = None
    worst_usd: float | None = None
    # Stage → its expected hours, as it was opened, of those that podctl predicts. Such a stage has
    # several phases, each with steps of its own.
    hours: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """What was observed of the present job over time."""

    pace: JobProgress
    losses: tuple[float, ...] = ()
    started_at: float | None = None  # by the clock of `Observation.now`: when it began to run
    looked_at: float | None = None  # when the pod answered last
    pulled: tuple[int, int] = (0, 0)  # files and bytes that were downloaded while it runs
    steps: Steps | None = None


def run_lines(observation: Observation, state: str, *, unicode: bool) -> list[PanelLine]:
    """A line for each run of the lease; `state` is that of the present one."""
    runs, current = observation.lease.wanted, observation.lease.current
    place = runs.index(current) if current in runs else len(runs)
    first = max(0, min(place - MOST_RUNS // 2, len(runs) - MOST_RUNS))
    shown = runs[first : first + MOST_RUNS]
    width = max((len(run.run) for run in shown), default=0)
    return [_run_line(run, run is current, state, width, unicode=unicode) for run in shown]


def _run_line(run: RunFacts, current: bool, state: str, width: int, *, unicode: bool) -> PanelLine:
    if run.outcome is not None:
        kind, text = ("done" if run.outcome == "passed" else "failed"), run.outcome
    else:
        kind, text = ("now", state) if current else ("later", "waiting")
    style = state_colour(text) or ("bold" if current else "dim")
    mark = _MARKS[kind][0 if unicode else 1]
    return [Span(f"{mark} ", style), Span(run.run.ljust(width)), Span(f"{GAP}{text}", style)]


def job_lines(
    run: RunFacts, status: Status, observation: Observation, measured: Measured, until: float | None
) -> list[PanelLine]:
    """Bar and pace, loss and figures, load of the machine."""
    steps = measured.pace.steps(status.progress, observation.now)
    lines = [_steps_line(steps, status, observation.now, measured)]
    lines.append(_loss_line(status, measured))
    lines.append(_machine_line(status, measured))
    if status.phase == "running" and until is not None:
        left = steps.seconds_left if steps is not None else None
        if left is None or observation.now + left > until:
            limit = span(max(0.0, until - observation.now))
            lines.append([Span(f"max_hours ends it in {limit}", "dim")])
    if run.stopping:
        lines.append([Span(f"stopping: {run.stopping}", "yellow")])
    return [line for line in lines if line]


def _steps_line(steps: Steps | None, status: Status, now: float, measured: Measured) -> PanelLine:
    text = short_line(status.progress.text) or ""
    if steps is None:
        running = measured.started_at is not None and now - measured.started_at > QUIET_SECONDS
        quiet = running and status.phase == "running" and not text
        hint = "no steps reported yet: docs/jobs.md says what podctl reads" if quiet else text
        return [Span(hint, "dim")] if hint else []
    words = steps.words(now)
    late = steps.silent(now) is not None
    told = Span(GAP.join(words), "yellow" if late else "")
    share = f"{100 * steps.step / steps.max_steps:3.0f} %" if steps.max_steps else ""
    source = Span(f"{GAP}({steps.source})" if steps.source else "", "dim")
    if steps.max_steps:
        return [Bar(steps.step, steps.max_steps), Span(f"{GAP}{share}{GAP}"), told]
    return [told, source]


def _loss_line(status: Status, measured: Measured) -> PanelLine:
    progress = status.progress
    figures = figure_words(figures_told(progress.figures))
    parts: list[Span | Bar | Curve] = []
    if progress.loss_nan:
        parts += [Span("loss is NaN", "red"), Span(GAP), Curve(measured.losses)]
    elif progress.loss is not None:
        parts += [Span(f"loss {progress.loss:.4f} "), Curve(measured.losses)]
    if figures:
        parts.append(Span((GAP if parts else "") + GAP.join(figures)))
    return parts


def _machine_line(status: Status, measured: Measured) -> PanelLine:
    words = []
    if status.gpu_util is not None:
        words.append(f"GPU {status.gpu_util:.0f} %")
    if status.gpu_memory_gb is not None:
        words.append(f"{status.gpu_memory_gb:.1f} GB of its memory used")
    if status.cpu_util is not None:
        words.append(f"CPU {status.cpu_util:.0f} %")
    files, size = measured.pulled
    if files:
        words.append(f"{files} {'file' if files == 1 else 'files'} here, {size / 1e6:.1f} MB")
    return [Span(GAP.join(words), "dim")] if words else []


def money_line(observation: Observation, quoted: Quoted, measured: Measured) -> PanelLine:
    """Dollars so far, expected and at worst; and how long ago the pod answered."""
    words = [f"{usd(observation.local.spent_usd)} so far"]
    if (paced := usd_by_pace(observation, quoted, measured.steps)) is not None:
        words.append(f"{usd(paced)} by its pace")  # the line has to fit 80 columns
    elif quoted.expected_usd is not None:
        words.append(f"{usd(quoted.expected_usd)} expected")
    if quoted.worst_usd is not None:
        words.append(f"{usd(quoted.worst_usd)} worst case")
    line: list[Span | Bar | Curve] = [Span(", ".join(words))]
    if measured.looked_at is not None:
        ago = max(0.0, observation.now - measured.looked_at)
        style = "yellow" if ago > LATE_SECONDS else "dim"
        line.append(Span(f"{GAP}last look {span(ago)} ago", style))
    return line


def usd_by_pace(observation: Observation, quoted: Quoted, steps: Steps | None) -> float | None:
    """Cost of the lease as its job's own pace has it; None before its first steps are measured.

    A stage of several phases is not expected to cost less than planned: steps of the later ones
    are unknown.
    """
    run, rate = observation.lease.current, observation.lease.quoted_usd_per_hour
    if run is None or steps is None or not rate or not probed(steps.step, steps.max_steps):
        return None
    waiting = [other for other in observation.lease.wanted if other.outcome is None]
    later = [other.stage for other in waiting if other.run != run.run]
    if steps.seconds_left is None or any(stage not in quoted.hours for stage in later):
        return None
    hours = steps.seconds_left / 3600 + sum(quoted.hours[stage] for stage in later)
    paced = observation.local.spent_usd + hours * rate
    planned = quoted.expected_usd or 0.0
    return max(paced, planned) if run.stage in quoted.hours else paced


def transfer_panel(text: str) -> Sequence[PanelLine]:
    """What is being transferred or waited for, on a line of its own."""
    return [[Span(text, "cyan")]]
