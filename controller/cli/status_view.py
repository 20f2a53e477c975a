"""The tables of `podctl status`: what runs first, then pods, then stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.terminal import formatting as words
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from controller.status.overview import Line, Overview, RunLine

RECENT_SECONDS = 86_400.0  # for which a finished run is shown without --all


def show(terminal: Terminal, overview: Overview, *, every: bool = True) -> None:
    """Write the overview; unless `every`, without runs that finished more than a day ago."""
    runs, hidden = _runs(overview, every=every)
    head = ("STATE", "SOURCE", "AGE", "DETAIL")
    tables = (
        ("RUN", ("POD",), [(r.run, *_cells(overview, r.fact), r.pod) for r in runs]),
        (
            "POD",
            ("$/H", "RUN"),
            [
                (p.pod, *_cells(overview, p.fact), f"{p.usd_per_hour:.4f}", p.run)
                for p in overview.pods
            ],
        ),
        (
            "STAGE",
            ("TITLE",),
            [(s.stage, *_cells(overview, s.fact), s.title) for s in overview.stages],
        ),
    )
    for first, last, rows in tables:
        if rows:
            terminal.table(
                (first, *head, *last), rows, prose=("DETAIL", "TITLE"), optional=_optional(first)
            )
            terminal.data("")
    for run in runs:
        if line := steps_line(run):
            terminal.prose(line)
    if not (overview.stages or overview.runs or overview.pods):
        terminal.say("this project has no runs yet; next: podctl plan")
    _remarks(terminal, overview, runs, hidden)


def _optional(first: str) -> tuple[str, ...]:
    """The columns that a narrow terminal lacks, the least important first."""
    return (
        "SOURCE",
        "AGE",
        "TITLE",
        "DETAIL",
        *{"RUN": ("POD",), "POD": ("RUN", "$/H")}.get(first, ()),
    )


def _cells(overview: Overview, fact: Line) -> tuple[str, str, str, str]:
    age = "" if fact.at is None else words.age(overview.at - fact.at)
    return fact.state, fact.source, age, fact.detail


def _runs(overview: Overview, *, every: bool) -> tuple[list[RunLine], int]:
    """Unfinished runs first, then finished ones, newest first; and how many are not shown."""
    ordered = sorted(overview.runs, key=lambda run: (not run.open, -(run.fact.at or 0.0)))
    shown = [run for run in ordered if every or run.open or _recent(overview, run)]
    return shown, len(ordered) - len(shown)


def _recent(overview: Overview, run: RunLine) -> bool:
    return run.fact.at is None or overview.at - run.fact.at <= RECENT_SECONDS


def _remarks(terminal: Terminal, overview: Overview, runs: list[RunLine], hidden: int) -> None:
    if hidden:
        plural = "runs" if hidden > 1 else "run"
        terminal.say(f"{hidden} {plural} that ended over a day ago: podctl status --all")
    for run in runs:
        if not run.open and run.fact.state not in ("passed", "locked"):
            terminal.say(f"{run.run} {run.fact.state}: podctl logs {run.run}")
    spent, rate = words.usd(overview.spent_usd), f"${overview.usd_per_hour:.4f}"
    terminal.say(f"spent {spent}; billing now {rate} an hour by the ledger")
    if overview.driver:
        terminal.say(f"controlled by {overview.driver}")


def steps_line(run: RunLine) -> str:
    """The progress of a job: `sft-0001: step 118/400, 2.0 s/it, 9 min left, loss 0.31 (log)`."""
    from controller.planner.job_progress import figure_words

    if run.steps is None or run.fact.at is None:
        return ""
    loss = [] if run.loss is None else [f"loss {run.loss:.4g}"]
    if run.loss_nan:
        loss = ["loss is NaN"]
    parts = [*run.steps.words(run.fact.at), *loss, *figure_words(run.figures)]
    source = f" ({run.steps.source})" if run.steps.source else ""
    prefix = "was at " if run.fact.state == "unknown" else ""
    return f"{run.run}: {prefix}{', '.join(parts)}{source}"
