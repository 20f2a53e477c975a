"""The report's figures as SVG elements, drawn by matplotlib without a display."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .evaluation import SYSTEMS, TITLES
from .instruction import TYPES

Report = Mapping[str, Any]
Points = Sequence[Sequence[float]]

COLOURS = {"base": "#9aa5b1", "few_shot": "#c9a227", "sft": "#2f6fb0", "dpo": "#1a7f4b"}
_SETTINGS: Any = {  # matplotlib types its keys one by one
    "svg.fonttype": "none",  # letters stay text: smaller, and can be searched
    "svg.hashsalt": "stage1",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Segoe UI", "Roboto", "DejaVu Sans"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8793a0",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaef",
    "legend.frameon": False,
}


def figures(report: Report) -> dict[str, str]:
    """By name, one `<svg>` each; a figure without anything to draw is left out."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # fonts that this machine lacks
    import matplotlib

    makers: dict[str, Callable[[Any, Report], bool]] = {
        "success": _success,
        "loss": _loss,
        "rewards": _rewards,
        "cost": _cost,
        "usage": _usage,
    }
    found = {}
    with matplotlib.rc_context(_SETTINGS):
        from matplotlib.figure import Figure

        for name, draw in makers.items():
            figure = Figure(figsize=(10.6, 3.5), layout="constrained")
            if draw(figure, report):
                found[name] = _svg(figure)
    return found


def _svg(figure: Any) -> str:
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None})
    text = sink.getvalue()
    return text[text.index("<svg") :]


def _success(figure: Any, report: Report) -> bool:
    axes = figure.subplots()
    groups = (*TYPES, "all")
    width = 0.8 / len(SYSTEMS)
    for place, name in enumerate(SYSTEMS):
        one = report["systems"][name]
        cells = [*(one["types"][kind] for kind in TYPES), one["overall"]]
        known = [(n, cell) for n, cell in enumerate(cells) if cell["n"]]
        rates = [100 * cell["rate"] for _, cell in known]
        below = [100 * max(0.0, cell["rate"] - cell["wilson_low"]) for _, cell in known]
        above = [100 * max(0.0, cell["wilson_high"] - cell["rate"]) for _, cell in known]
        axes.bar(
            [n + (place - (len(SYSTEMS) - 1) / 2) * width for n, _ in known],
            rates,
            width * 0.92,
            yerr=[below, above],
            label=TITLES[name],
            color=COLOURS[name],
            error_kw={"elinewidth": 1, "capsize": 2.5, "ecolor": "#333f4c"},
        )
    axes.set_xticks(range(len(groups)), groups)
    axes.set_ylim(0, 105)
    axes.set_ylabel("success, %")
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=len(SYSTEMS), loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return True


def _loss(figure: Any, report: Report) -> bool:
    panels = figure.subplots(1, 2)
    drawn = False
    for axes, system in zip(panels, ("sft", "dpo"), strict=True):
        curves = report["training"].get(system, {})
        drawn |= _line(axes, curves.get("loss"), "training", COLOURS[system])
        _line(axes, curves.get("eval_loss"), "evaluation", "#d1495b", marker="o")
        _label(axes, f"{TITLES[system]}: loss", "step")
    return drawn


def _rewards(figure: Any, report: Report) -> bool:
    curves = report["training"].get("dpo", {})
    left, right = figure.subplots(1, 2)
    drawn = False
    for key, colour in (("chosen", "#1a7f4b"), ("rejected", "#b3261e"), ("margins", "#2f6fb0")):
        drawn |= _line(left, curves.get(f"rewards/{key}"), key, colour)
    _label(left, "DPO: rewards", "step")
    drawn |= _line(right, curves.get("rewards/accuracies"), "accuracy", "#1a7f4b")
    right.set_ylim(0, 1.05)
    _label(right, "DPO: chosen above rejected", "step")
    return drawn


def _line(axes: Any, points: Points | None, name: str, colour: str, marker: str = "") -> bool:
    if not points:
        return False
    steps, values = zip(*points, strict=True)
    axes.plot(
        steps, values, label=name or None, color=colour, linewidth=1.3, marker=marker, markersize=3
    )
    return True


def _label(axes: Any, title: str, x: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(x)
    if axes.get_legend_handles_labels()[1]:
        axes.legend()


def _cost(figure: Any, report: Report) -> bool:
    rows = (report["spending"] or {}).get("stages") or []
    names = [str(one["name"]) for one in rows]
    wanted = (("hours", "plan_hours", "hours"), ("usd", "plan_usd", "US dollars"))
    for axes, (key, plan, title) in zip(figure.subplots(1, 2), wanted, strict=True):
        for place, (name, field, colour) in enumerate(
            (("plan", plan, "#c5ced8"), ("measured", key, "#2f6fb0"))
        ):
            values = [float(one.get(field) or 0) for one in rows]
            places = [n + (place - 0.5) * 0.38 for n in range(len(rows))]
            axes.bar(places, values, 0.36, label=name, color=colour)
        every = [float(one.get(field) or 0) for one in rows for field in (key, plan)]
        if any(0 < value < max(every) / 50 for value in every):
            axes.set_yscale("log")
            title += " (logarithmic)"
        axes.set_xticks(range(len(rows)), names)
        axes.grid(axis="x", visible=False)
        _label(axes, title, "")
    return bool(rows)


def _usage(figure: Any, report: Report) -> bool:
    rows = (report["spending"] or {}).get("stages") or []
    known = [(str(one["name"]), one["usage"]) for one in rows if one.get("usage")]
    if not known:
        return False
    panels = figure.subplots(1, len(known), sharey=True, squeeze=False)[0]
    for place, (axes, (name, usage)) in enumerate(zip(panels, known, strict=True)):
        for key, title, colour in (("cpu", "CPU", "#9aa5b1"), ("gpu", "GPU", "#1a7f4b")):
            points = [
                (one["seconds"] / 60, one[f"{key}_percent"])
                for one in usage["series"]
                if one.get(f"{key}_percent") is not None
            ]
            _line(axes, points, title if place == 0 else "", colour)
        axes.set_ylim(0, 105)
        _label(axes, name, "minutes")
    panels[0].set_ylabel("busy, %")
    return True
