"""The report as sections of text and tables, rendered alike as Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remote.stages.evaluation.comparison import SYSTEMS, TITLES
from remote.stages.verification.instruction import TYPES

Report = Mapping[str, Any]
UNKNOWN = "n/a"


@dataclass(frozen=True)
class Table:
    """Cells as plain text; the first `words` columns are words, the others numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True)
class Section:
    """`figures` names those that belong here; `samples` are answers shown side by side."""

    title: str
    words: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[str, ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()


def sections(report: Report) -> list[Section]:
    """Everything below the verdict, in the order in which it is read."""
    return [
        Section(
            "Success on held-out instructions",
            (
                "Each answer is judged by its instruction's own checks. Intervals are Wilson's at "
                "95 %. The last columns are what a rule of length and punctuation would have "
                "counted, and are no measure of success.",
            ),
            (_systems(report),),
            ("success",),
        ),
        Section(
            "Compared in pairs",
            (
                "Won and lost count the instructions that only one of the two answers right. "
                "The verdict of the whole by its rule:",
            ),
            (_rule(report), _comparisons(report)),
        ),
        Section(
            "By type",
            (
                "Newcombe's and bootstrap intervals together, McNemar's exact p, and p adjusted by "
                "Benjamini-Hochberg over all rows.",
            ),
            (_by_type(report),),
        ),
        _sampling(report),
        Section("Training", (), (), ("loss", "rewards")),
        _spending(report),
        Section(
            "Best: the base was wrong, DPO is right",
            () if report["samples"]["best"] else ("There is none.",),
            samples=tuple(report["samples"]["best"]),
        ),
        Section(
            "Worst: DPO is wrong, first what others had right",
            () if report["samples"]["worst"] else ("There is none.",),
            samples=tuple(report["samples"]["worst"]),
        ),
        _disjointness(report),
        _circumstances(report),
    ]


def headline(report: Report) -> list[str]:
    """The verdict in one sentence."""
    settings = report["settings"]
    words = [
        report["finding"],
        f"{report['n']} held-out instructions ({settings['instructions']}), model "
        f"{settings['model']}, seed {settings['seed']}.",
    ]
    if report["n_to_settle"]:
        words.append(f"About {report['n_to_settle']:,} instructions would settle it.")
    return words


def percent(value: float | None, signed: bool = False) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:+.1%}" if signed else f"{value:.1%}"


def p_value(value: float) -> str:
    return f"{value:.1e}" if value < 0.001 else f"{value:.3f}"


def _interval(low: float | None, high: float | None, signed: bool = False) -> str:
    if low is None:
        return UNKNOWN
    return f"{percent(low, signed)} to {percent(high, signed)}"


def _systems(report: Report) -> Table:
    head = ("system", *TYPES, "all", "95 % interval", "looks fluent", "mean length")
    rows = []
    for name in SYSTEMS:
        system = report["systems"][name]
        overall = system["overall"]
        cells = [f"{percent(system['types'][kind]['rate'])}" for kind in TYPES]
        interval = _interval(overall["wilson_low"], overall["wilson_high"])
        length = (
            UNKNOWN if system["mean_characters"] is None else f"{system['mean_characters']:.0f}"
        )
        fluent = percent(system["looks_fluent"])
        rows.append((TITLES[name], *cells, percent(overall["rate"]), interval, fluent, length))
    counts = report["systems"]["base"]["types"]
    numbers = tuple(str(counts[kind]["n"]) for kind in TYPES)
    rows.append(("instructions", *numbers, str(report["n"]), "", "", ""))
    return Table(head, tuple(rows))


def _named(comparison: str) -> str:
    after, _, before = comparison.partition("_vs_")
    return f"{TITLES[before]} → {TITLES[after]}"


def _comparisons(report: Report) -> Table:
    head = ("comparison", "judged as", "verdict", "before", "after", "lift", "95 % interval")
    more = ("won", "lost", "p", "Cohen's h")
    rows = []
    for name, comparison in report["comparisons"].items():
        gain = comparison["threshold"] >= 0 and "margin" not in comparison
        judged = (
            f"better by {comparison['threshold']:g}"
            if gain
            else f"not worse by {comparison['margin']:g}"
        )
        rows.append(
            (
                _named(name),
                judged,
                comparison["verdict"],
                percent(comparison["before"]),
                percent(comparison["after"]),
                percent(comparison["lift"], signed=True),
                _interval(comparison["low"], comparison["high"], signed=True),
                str(comparison["won"]),
                str(comparison["lost"]),
                p_value(comparison["p"]),
                UNKNOWN if comparison["cohens_h"] is None else f"{comparison['cohens_h']:+.2f}",
            )
        )
    return Table((*head, *more), tuple(rows), words=3)


def _rule(report: Report) -> Table:
    rows = tuple((verdict, when) for verdict, when in report["rule"].items())
    return Table(("verdict", "when"), rows, words=2)


def _by_type(report: Report) -> Table:
    head = ("type", "comparison", "n", "before", "after", "lift", "95 % interval", "p", "adjusted")
    rows = [
        (
            row["type"],
            _named(row["comparison"]),
            str(row["n"]),
            percent(row["before"]),
            percent(row["after"]),
            percent(row["lift"], signed=True),
            _interval(row["low"], row["high"], signed=True),
            p_value(row["p"]),
            p_value(row["p_adjusted"]),
        )
        for row in report["by_type"]
    ]
    return Table(head, tuple(rows), words=2)


def _sampling(report: Report) -> Section:
    title = "Sampled answers"
    settings, sampling = report["settings"], report["sampling"]
    if sampling is None:
        return Section(title, ("Nothing was sampled: samples = 0.",))
    comparison = sampling["dpo_vs_sft"]
    words = (
        f"{settings['samples']} answers an instruction at temperature "
        f"{settings['temperature']:g}; the unit is the instruction, p by Wilcoxon's signed ranks."
    )
    head = ("comparison", "before", "after", "lift", "95 % interval", "better", "worse", "p")
    row = (
        "SFT → DPO",
        percent(comparison["before"]),
        percent(comparison["after"]),
        percent(comparison["lift"], signed=True),
        _interval(comparison["low"], comparison["high"], signed=True),
        str(comparison["better"]),
        str(comparison["worse"]),
        p_value(comparison["p"]),
    )
    return Section(title, (words,), (Table(head, (row,)),))


def _spending(report: Report) -> Section:
    title, spending = "Time and cost against the plan", report["spending"]
    if spending is None:
        return Section(title, ("Not known: the stage was not started by podctl.",))
    plan = spending.get("plan") or {}
    rows = [_cost_row(stage) for stage in spending["stages"]]
    hours, usd = (
        sum(float(stage.get(key) or 0) for stage in spending["stages"]) for key in ("hours", "usd")
    )
    planned = (f"{plan.get('hours', 0):.3g}", f"{hours:.3g}", f"${plan.get('usd', 0):.2f}")
    rows.append(("all", *planned, f"${usd:.4f}", *[""] * 7))
    words = (
        f"Predicted were {plan.get('hours', 0):.3g} hours and ${plan.get('usd', 0):.2f} at "
        f"${plan.get('usd_per_hour', 0):.2f} an hour, without boot, environment and download, "
        "which the measured hours contain. A prediction's source is a measured rate, one derived "
        "from it, an earlier run of this project, or the stage's hours. Spent is podctl's ledger "
        "when this stage was sent to its pod; this stage's own row is counted on until the report "
        "was written, and its true cost stands in its certificate."
    )
    head = ("stage", "predicted h", "measured h", "predicted", "spent", "source")
    more = ("predicted tokens/s", "measured tokens/s", "CPU mean", "GPU mean")
    table = Table((*head, *more, "GPU memory", "memory"), tuple(rows))
    return Section(title, (words,), (table,), ("cost", "usage"))


def _cost_row(stage: Mapping[str, Any]) -> tuple[str, ...]:
    usage = stage.get("usage") or {}

    def most(key: str, unit: str, of: str) -> str:
        spread = usage.get(key)
        return f"{float(spread[of]):.3g} {unit}" if isinstance(spread, dict) else UNKNOWN

    def speed(key: str) -> str:
        value = stage.get(key)
        return f"{float(value):,.0f}" if isinstance(value, int | float) else UNKNOWN

    return (
        str(stage["name"]) + (" (this run)" if stage.get("unfinished") else ""),
        f"{float(stage.get('plan_hours') or 0):.3g}",
        f"{float(stage.get('hours') or 0):.3g}",
        f"${float(stage.get('plan_usd') or 0):.2f}",
        f"${float(stage.get('usd') or 0):.4f}",
        str(stage.get("plan_source") or UNKNOWN),
        speed("plan_tokens_per_second"),
        speed("tokens_per_second"),
        most("cpu_percent", "%", "mean"),
        most("gpu_percent", "%", "mean"),
        most("gpu_memory_gb", "GB", "max"),
        most("memory_gb", "GB", "max"),
    )


def _disjointness(report: Report) -> Section:
    disjointness = report["disjointness"]
    head = ("learned from", "records", "exact", "near")
    rows = tuple(
        (
            comparison["path"],
            str(comparison["records"]),
            str(comparison["exact"]),
            str(comparison["near"]),
        )
        for comparison in disjointness["against"]
    )
    words = [
        f"Of {disjointness['held_out']} held-out instructions; near means that "
        f"{disjointness['threshold']:.0%} of all 5-letter pieces are shared.",
        f"{disjointness['same_answers']} of them have, word for word, the answer of a training "
        "instruction of their kind: these measure whether another phrasing is understood, not a "
        "fact that was not trained on.",
    ]
    words += [
        f"{two['where']}: {two['learned_from']!r} is {two['similarity']:.0%} of {two['measured']!r}"
        for comparison in disjointness["against"]
        for two in comparison["examples"]
    ]
    return Section("Is it disjoint from what was learned?", tuple(words), (Table(head, rows),))


def _circumstances(report: Report) -> Section:
    environment = dict(report["environment"])
    device = environment.pop("device", {})
    rows: list[tuple[str, ...]] = [("device", ", ".join(f"{k} {v}" for k, v in device.items()))]
    rows += [(f"adapter {name}", sha256) for name, sha256 in report["adapters"].items()]
    rows += [(key, str(value)) for key, value in report["settings"].items()]
    rows += [(key, str(value)) for key, value in environment.items()]
    return Section("Circumstances", (), (Table(("what", "value"), tuple(rows), words=2),))
