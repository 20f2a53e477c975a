"""STATUS.md: the plan with its boxes ticked, as people read it. Written by podctl, never read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.certificate import Certificate
from controller.cleaning import clean_line
from controller.cost import Spending, expected_usd
from jobs.stage import Stage
from state.durable import write_atomically
from state.journal import Run

MAX_CELL = 120  # characters


@dataclass(frozen=True)
class Row:
    """One stage of the plan, with what is known of it."""

    stage: Stage
    certificate: Certificate | None = None
    runs: tuple[Run, ...] = ()  # oldest first
    spent_usd: float = 0.0
    usd_per_hour: float | None = None  # of the offer that it would take now

    @property
    def latest(self) -> Run | None:
        return self.runs[-1] if self.runs else None


@dataclass(frozen=True)
class Page:
    """Everything that STATUS.md shows."""

    project: str
    rows: tuple[Row, ...]
    total: Spending
    budget_usd: float | None
    at: float  # Unix seconds


def rows(
    stages: Iterable[Stage],
    locks: Mapping[str, Certificate],
    runs: Iterable[Run],
    spent: Mapping[str, float],
    rates: Mapping[str, float] | None = None,
) -> tuple[Row, ...]:
    """One row a stage, in plan order; `spent` and `rates` are USD and USD/h by stage."""
    all_runs = tuple(runs)
    return tuple(
        Row(
            stage,
            locks.get(stage.name),
            tuple(run for run in all_runs if run.stage == stage.name),
            spent.get(stage.name, 0.0),
            (rates or {}).get(stage.name),
        )
        for stage in stages
    )


def write(path: Path, page: Page) -> None:
    """Replace STATUS.md, whole or not at all."""
    write_atomically(path, render(page).encode(), 0o644)


def render(page: Page) -> str:
    """The whole page as Markdown."""
    locked = {row.stage.name for row in page.rows if row.certificate}
    parts = [
        f"# {_text(page.project)}: plan and status",
        f"Written by podctl at {moment(page.at)}. Do not edit: the next command replaces it.",
        _money(page, len(locked)),
        "## Plan\n\n" + "\n".join(_line(row, locked) for row in page.rows),
        "## Stages\n\n" + _table(page.rows),
    ]
    parts += [_evidence(row.certificate) for row in page.rows if row.certificate]
    parts.append("## Next\n\n" + _next(page.rows, locked))
    return "\n\n".join(parts) + "\n"


def _money(page: Page, locked: int) -> str:
    total = page.total
    facts = [
        f"{locked} of {len(page.rows)} stages locked",
        f"${total.usd:.2f} spent in {total.hours:.2f} h",
        f"${total.usd_per_hour_now:.2f}/h now",
    ]
    if total.parked_usd_per_day:
        facts.append(f"${total.parked_usd_per_day:.2f} a day for parked disk")
    if page.budget_usd is not None:
        facts.append(f"${page.budget_usd - total.usd:.2f} of ${page.budget_usd:.2f} left")
    return " · ".join(facts)


def _line(row: Row, locked: set[str]) -> str:
    box = "x" if row.certificate else " "
    return f"- [{box}] **{row.stage.name}** {_text(row.stage.title)}: {_state(row, locked)}"


def _state(row: Row, locked: set[str]) -> str:
    """In words: what became of it, or what it waits for."""
    if row.certificate:
        when = moment(row.certificate.locked_at)
        return f"passed, locked {when}, ${row.certificate.cost.usd:.2f}"
    latest = row.latest
    if latest is not None and latest.open:
        return f"run {latest.id} is unfinished"
    lacking = [name for name in row.stage.needs if name not in locked]
    ahead = f"waits for {', '.join(lacking)}" if lacking else "can run"
    if latest is not None:
        return f"run {latest.id} ended: {_text(latest.outcome or '')}; {ahead}"
    return ahead


def _table(found: Sequence[Row]) -> str:
    head = "| stage | hours | cost | runs | result |\n| --- | ---: | ---: | ---: | --- |"
    return "\n".join([head, *(_cells(row) for row in found)])


def _cells(row: Row) -> str:
    """Measured values once there are any; until then the plan's, marked with a tilde."""
    certificate, stage = row.certificate, row.stage
    if certificate:
        hours, cost = f"{certificate.cost.hours:.2f}", f"${certificate.cost.usd:.2f}"
        result = f"PASS: {len(certificate.criteria)} criteria"
    else:
        hours, cost = f"~{stage.hours:g}", _estimate(row)
        outcome = row.latest.outcome if row.latest else None
        result = _text(outcome or "")
    return f"| {stage.name} | {hours} | {cost} | {len(row.runs)} | {result} |"


def _estimate(row: Row) -> str:
    need = row.stage.hardware
    parts = [f"${row.spent_usd:.2f} spent"] if row.spent_usd else []
    if row.usd_per_hour is not None:
        volume = 0 if need.cpu else need.volume_gb
        whole = expected_usd(row.stage.hours, row.usd_per_hour, need.disk_gb, volume)
        parts.append(f"~${whole:.2f}")
    return ", ".join(parts)


def _evidence(certificate: Certificate) -> str:
    """What was measured when the stage passed."""
    head = f"### {certificate.stage}: {_text(certificate.title)}\n\n"
    lines = ["| criterion | status | measured | detail |", "| --- | --- | --- | --- |"]
    for met in certificate.criteria:
        measured = f"{met.measured:.4g}" if type(met.measured) is float else str(met.measured)
        cells = (met.criterion, met.status, measured, met.detail)
        lines.append("| " + " | ".join(_text(cell) for cell in cells) + " |")
    size = sum(artifact.size for artifact in certificate.artifacts)
    facts = (
        f"Run {certificate.run}, {len(certificate.artifacts)} files, {size:,} bytes, "
        f"{_text(certificate.cost.hardware or 'unknown hardware')}, "
        f"certificate {certificate.sha256[:12]}."
    )
    return head + "\n".join(lines) + "\n\n" + facts


def _next(found: Sequence[Row], locked: set[str]) -> str:
    """The next command to type."""
    open_runs = [row.latest for row in found if row.latest and row.latest.open]
    if open_runs:
        names = ", ".join(run.id for run in open_runs)
        return f"`podctl sync` carries on with {names}."
    for row in found:
        if not row.certificate and all(name in locked for name in row.stage.needs):
            return f"`podctl run {row.stage.name}`: {_text(row.stage.title)}"
    if all(row.certificate for row in found):
        return "Nothing: every stage is locked. `podctl verify` re-checks their files."
    return "Nothing can run: `podctl plan` says what is missing."


def _text(value: str) -> str:
    """Text of anybody, on one line, without meaning in Markdown."""
    line = clean_line(value)
    if len(line) > MAX_CELL:
        line = line[: MAX_CELL - 1] + "…"
    line = line.replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", line)


def moment(at: float) -> str:
    """Unix seconds as people read them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
