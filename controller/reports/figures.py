"""The report's figures, each an SVG element, from the figures of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controller.reports.charts import Bars, Line, Panel, draw, number, points
from remote.stages.evaluation.comparison import SYSTEMS, TITLES
from remote.stages.verification.instruction import TYPES

Report = Mapping[str, Any]

COLOURS = {"base": "#9aa5b1", "few_shot": "#c9a227", "sft": "#2f6fb0", "dpo": "#1a7f4b"}


def figures(report: Report) -> dict[str, str]:
    """By name, one `<svg>` each; a figure without anything to draw is left out."""
    makers: dict[str, Callable[[Report], Sequence[Panel]]] = {
        "success": _success,
        "loss": _loss,
        "rewards": _rewards,
        "cost": _cost,
        "usage": _usage,
    }
    drawn = {name: make(report) for name, make in makers.items()}
    return {name: draw(panels) for name, panels in drawn.items() if panels}


def _success(report: Report) -> Sequence[Panel]:
    bars = []
    for name in SYSTEMS:
        system = report["systems"][name]
        cells = [*(system["types"][kind] for kind in TYPES), system["overall"]]
        bars.append(
            Bars(TITLES[name], COLOURS[name], [_share(cell) for cell in cells], _whiskers(cells))
        )
    return [Panel(y="success, %", bars=bars, groups=(*TYPES, "all"), top=105)]


def _share(cell: Mapping[str, Any], key: str = "rate") -> float | None:
    value = number(cell[key]) if cell["n"] else None
    return None if value is None else 100 * value


def _whiskers(cells: Sequence[Mapping[str, Any]]) -> list[tuple[float, float] | None]:
    ends = [(_share(cell, "wilson_low"), _share(cell, "wilson_high")) for cell in cells]
    return [(a, b) if a is not None and b is not None else None for a, b in ends]


def _loss(report: Report) -> Sequence[Panel]:
    panels = []
    for system in ("sft", "dpo"):
        curves = report["training"].get(system, {})
        lines = [
            Line("training", COLOURS[system], points(curves.get("loss"))),
            Line("evaluation", "#d1495b", points(curves.get("eval_loss")), dots=True),
        ]
        panels.append(_panel(f"{TITLES[system]}: loss", lines))
    return panels if any(panel.lines for panel in panels) else ()


def _rewards(report: Report) -> Sequence[Panel]:
    curves = report["training"].get("dpo", {})
    named = (("chosen", "#1a7f4b"), ("rejected", "#b3261e"), ("margins", "#2f6fb0"))
    left = [Line(key, colour, points(curves.get(f"rewards/{key}"))) for key, colour in named]
    right = [Line("accuracy", "#1a7f4b", points(curves.get("rewards/accuracies")))]
    panels = [
        _panel("DPO: rewards", left),
        _panel("DPO: chosen above rejected", right, top=1.05),
    ]
    return panels if any(panel.lines for panel in panels) else ()


def _panel(title: str, lines: Sequence[Line], x: str = "step", top: float | None = None) -> Panel:
    return Panel(title, x, lines=[line for line in lines if line.points], top=top)


def _cost(report: Report) -> Sequence[Panel]:
    rows = (report["spending"] or {}).get("stages") or []
    panels = []
    for key, plan, title in (("hours", "plan_hours", "hours"), ("usd", "plan_usd", "US dollars")):
        planned, measured = ([number(row.get(k)) or 0.0 for row in rows] for k in (plan, key))
        every = [*planned, *measured]
        tiny = any(0 < value < max(every) / 50 for value in every)
        panels.append(
            Panel(
                f"{title} (logarithmic)" if tiny else title,
                bars=[Bars("plan", "#c5ced8", planned), Bars("measured", "#2f6fb0", measured)],
                groups=[str(row["name"]) for row in rows],
                logarithmic=tiny,
            )
        )
    return panels if rows else ()


def _usage(report: Report) -> Sequence[Panel]:
    rows = (report["spending"] or {}).get("stages") or []
    panels = []
    for row in rows:
        usage = row.get("usage")
        if not usage:
            continue
        lines = []
        for key, title, colour in (("cpu", "CPU", "#9aa5b1"), ("gpu", "GPU", "#1a7f4b")):
            series = [
                (sample["seconds"] / 60, sample.get(f"{key}_percent")) for sample in usage["series"]
            ]
            lines.append(Line(title, colour, points(series)))
        panels.append(_panel(str(row["name"]), lines, "minutes", top=105))
    return panels[:10]
