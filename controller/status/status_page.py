"""STATUS.md: the plan with its boxes ticked, as people read it. Written by podctl, never read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from controller.costs.plan_spending import USD_PER_HOUR
from controller.costs.pricing import Spending, expected_usd
from controller.locks.certificate import Certificate, CriterionMet
from controller.terminal import formatting
from controller.terminal.markdown import literal
from jobs.criteria import describe
from jobs.stage import Stage
from state.atomic_files import write_atomically
from state.journal_rows import Run

MAX_CELL = 120  # characters


@dataclass(frozen=True)
class Row:
    """One stage of the plan, with what is known of it."""

    stage: Stage
    certificate: Certificate | None = None
    runs: tuple[Run, ...] = ()  # oldest first; at least the newest and every unfinished one
    spent_usd: float = 0.0
    usd_per_hour: float | None = None  # by which a stage that has not passed is estimated
    planned_hours: float | None = None  # by the plan that comes with podctl; None: the user's own
    attempts: int = 0  # how many runs there were
    stale: tuple[str, ...] = ()  # what a run now would have different from the lock

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
    *,
    planned: Mapping[str, float] | None = None,
    stale: Mapping[str, Sequence[str]] | None = None,
    attempts: Mapping[str, int] | None = None,
) -> tuple[Row, ...]:
    """One row a stage, in plan order.

    By stage: USD `spent`, the `rates` of estimates in USD/h, the hours `planned`, why the lock is
    `stale`, and the number of `attempts` where `runs` are not all of them.
    """
    by_stage: dict[str, list[Run]] = {}
    for run in runs:
        by_stage.setdefault(run.stage, []).append(run)
    return tuple(
        Row(
            stage,
            locks.get(stage.name),
            tuple(own := by_stage.get(stage.name, [])),
            spent.get(stage.name, 0.0),
            (rates or {}).get(stage.name),
            (planned or {}).get(stage.name),
            (attempts or {}).get(stage.name, len(own)),
            tuple((stale or {}).get(stage.name, ())),
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
        "## Hours and costs\n\n" + _table(page.rows),
    ]
    if planned := _planned(page.rows):
        parts.append(planned)
    parts.append("## Next\n\n" + _next(page.rows, locked))
    return "\n\n".join(parts) + "\n"


def _money(page: Page, locked: int) -> str:
    total = page.total
    facts = [
        f"{locked} of {len(page.rows)} stages locked",
        f"${total.usd:.2f} spent in {formatting.span(total.hours)}",
        f"${total.usd_per_hour_now:.2f}/h now",
    ]
    if total.parked_usd_per_day:
        facts.append(f"${total.parked_usd_per_day:.2f} a day for parked disk")
    if page.budget_usd is not None:
        facts.append(f"${page.budget_usd - total.usd:.2f} of ${page.budget_usd:.2f} left")
    return " · ".join(facts)


def _line(row: Row, locked: set[str]) -> str:
    """The stage with its box, and below it every criterion with its own."""
    head = f"**{row.stage.name}** {_text(row.stage.title)}: {_state(row, locked)}"
    if row.certificate is None:
        titles = (describe(criterion) for criterion in row.stage.criteria)
        return "\n".join([f"- [ ] {head}", *(f"  - [ ] {_text(title)}" for title in titles)])
    met = (f"  - [x] {_measured(criterion)}" for criterion in row.certificate.criteria)
    return "\n".join([f"- [x] {head}", *met, f"  - {_facts(row.certificate)}"])


def _measured(met: CriterionMet) -> str:
    """What was measured when the stage passed."""
    return f"{_text(met.criterion)}: {_text(met.result)}"


def _facts(certificate: Certificate) -> str:
    size = sum(artifact.size for artifact in certificate.artifacts)
    return (
        f"run {certificate.run}, {formatting.count(len(certificate.artifacts), 'file')}, "
        f"{size:,} bytes, "
        f"{_text(certificate.cost.hardware or 'unknown hardware')}, "
        f"certificate {certificate.sha256[:12]}"
    )


def _state(row: Row, locked: set[str]) -> str:
    """In words: what became of it, or what it waits for."""
    if row.certificate:
        when = moment(row.certificate.locked_at)
        passed = f"passed, locked {when}, {_usd(row.certificate.cost.usd)}"
        return f"{passed}; **stale**: {_text('; '.join(row.stale))}" if row.stale else passed
    latest = row.latest
    if latest is not None and latest.open:
        return f"run {latest.id} is unfinished"
    lacking = [name for name in row.stage.needs if name not in locked]
    ahead = f"waits for {', '.join(lacking)}" if lacking else "can run"
    if latest is not None:
        return f"run {latest.id} ended: {_text(latest.outcome or '')}; {ahead}"
    return ahead


def _table(page_rows: Sequence[Row]) -> str:
    head = "| stage | time | cost | runs | result |\n| --- | ---: | ---: | ---: | --- |"
    return "\n".join([head, *(_cells(row) for row in page_rows), _sum(page_rows)])


def _cells(row: Row) -> str:
    """Measured values once there are any; until then the plan's, marked with a tilde."""
    certificate, stage = row.certificate, row.stage
    if certificate:
        hours, cost = formatting.span(certificate.cost.hours), _usd(certificate.cost.usd)
        result = f"PASS: {formatting.count(len(certificate.criteria), 'criterion', 'criteria')}"
        result += ", stale" if row.stale else ""
    else:
        hours, cost = f"~{formatting.span(stage.hours)}", _estimate(row)
        outcome = row.latest.outcome if row.latest else None
        result = _text(outcome or "")
    return f"| {stage.name} | {hours} | {cost} | {row.attempts} | {result} |"


def _estimate(row: Row) -> str:
    parts = [f"{_usd(row.spent_usd)} spent"] if row.spent_usd else []
    whole = _expected(row)
    return ", ".join([*parts, *([] if whole is None else [f"~{_usd(whole)}"])])


def _expected(row: Row) -> float | None:
    """USD of one run of the stage by its definition; None without a rate."""
    if row.usd_per_hour is None:
        return None
    need = row.stage.hardware
    volume = 0 if need.cpu else need.volume_gb
    return expected_usd(row.stage.hours, row.usd_per_hour, need.disk_gb, volume)


def _sum(page_rows: Sequence[Row]) -> str:
    """What was measured of the stages that passed, and what is expected of the others."""
    passed = [row.certificate.cost for row in page_rows if row.certificate]
    ahead = [row for row in page_rows if not row.certificate]
    hours = _both(
        sum(one.hours for one in passed), sum(row.stage.hours for row in ahead), formatting.span
    )
    usd = _both(sum(one.usd for one in passed), sum(_expected(row) or 0.0 for row in ahead), _usd)
    runs = sum(row.attempts for row in page_rows)
    return f"| all | {hours} | {usd} | {runs} | {len(passed)} of {len(page_rows)} passed |"


def _both(measured: float, expected: float, words: Callable[[float], str]) -> str:
    parts = [words(measured)] if measured or not expected else []
    return " + ".join([*parts, *([f"~{words(expected)}"] if expected else [])])


def _planned(page_rows: Sequence[Row]) -> str:
    """The plan's own estimate, beside what its stages really took."""
    ours = [row for row in page_rows if row.planned_hours is not None]
    hours = sum(row.planned_hours or 0.0 for row in ours)
    if not hours:
        return ""
    spent = sum(row.spent_usd for row in ours)
    return (
        f"The plan expects {hours:.3g} h and about ${hours * USD_PER_HOUR:.2f} at "
        f"${USD_PER_HOUR:.2f}/h for these stages, with Qwen2.5-32B on an L40S; "
        f"{_usd(spent)} has been spent on them so far."
    )


def _next(page_rows: Sequence[Row], locked: set[str]) -> str:
    """The next command to type."""
    open_runs = [row.latest for row in page_rows if row.latest and row.latest.open]
    if open_runs:
        names = ", ".join(run.id for run in open_runs)
        return f"`podctl sync` resumes {names}."
    stale = next((row.stage.name for row in page_rows if row.stale), "")
    why = f" `podctl why {stale}` explains what differs from its lock." if stale else ""
    for row in page_rows:
        if not row.certificate and all(name in locked for name in row.stage.needs):
            return f"`podctl run {row.stage.name}`: {_text(row.stage.title)}.{why}"
    if all(row.certificate for row in page_rows):
        return f"Nothing: every stage is locked. `podctl verify --all` re-checks their files.{why}"
    return "Nothing can run: `podctl plan` lists what is missing."


def _usd(amount: float) -> str:
    """Cents, and more digits for less than a cent."""
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:.2f}"


def _text(value: str) -> str:
    """Text of anybody, on one line, without meaning in Markdown."""
    return literal(value, MAX_CELL)


def moment(at: float) -> str:
    """Unix seconds as people read them."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
