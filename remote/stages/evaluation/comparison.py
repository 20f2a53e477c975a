"""The final comparison as a pure function of scored answers: systems, gates, verdict.

Four systems answer the same held-out instructions. `base` is the base model on bare prompts,
`few_shot` the same model with solved examples before each instruction: the second control, since
what examples alone achieve is no gain of training. `sft` and `dpo` answer bare prompts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.records import ResponseRecord
from ..verification import statistics
from ..verification.instruction import TYPES
from ..verification.scoring import table
from ..verification.statistics import FAIL, INCONCLUSIVE, PASS

SYSTEMS = ("base", "few_shot", "sft", "dpo")
GAINS = (("base", "sft"), ("base", "dpo"))  # must be improvements
HARMS = (("few_shot", "dpo"), ("sft", "dpo"))  # must not be shown to be worse
BY_TYPE = (*GAINS, ("sft", "dpo"), ("few_shot", "dpo"))
LONG = 50  # characters that look like an answer
SHOWN = 6  # samples of each sort in the report

Answers = Mapping[str, Sequence[ResponseRecord]]  # by system, in the same order of instructions
Sampled = Mapping[str, Sequence[float]]  # by system: share of correct samples an instruction


@dataclass(frozen=True)
class Rule:
    """The rule of the verdict.

    Attributes:
        minimum_lift: the share of success, from 0 to 1, that a gain must exceed.
        margin: the share by which no comparison may be shown to be worse.
    """

    minimum_lift: float = 0.05
    margin: float = 0.05

    @property
    def conditions(self) -> dict[str, str]:
        """By verdict, its condition in words; "shown" means by the whole 95 % interval."""
        return {
            FAIL: (
                "a held-out item is in the data that was learned from; or the lift of SFT or DPO "
                f"over the base on bare prompts is shown to be below {self.minimum_lift:g}; or DPO "
                f"is shown to be worse by more than {self.margin:g} than SFT, greedy or sampled, "
                "or than the base with solved examples in its prompt"
            ),
            PASS: (
                f"both lifts are shown to be above {self.minimum_lift:g}, each with McNemar's "
                f"exact p below {statistics.ALPHA:g}, DPO is shown to be above the best constant "
                "answer of each kind and above rows of keywords, and nothing of the above is shown"
            ),
            INCONCLUSIVE: (
                "otherwise; shown means that the whole 95 % interval says so, and to be worse "
                f"takes a p below {statistics.ALPHA:g} too"
            ),
        }


def assess(
    answers: Answers,
    sampled: Sampled,
    disjointness: Mapping[str, Any],
    rule: Rule,
    trivial: Answers | None = None,
) -> dict[str, Any]:
    """The figures of the report; `verdict`, `why` and `disjoint` come first.

    `disjointness` has `disjoint`, and is passed on. `trivial` has the records of answers that
    need no model, by name: DPO has to be better than each.
    """
    comparisons = _comparisons(answers, rule)
    sampling = _sampling(sampled, rule)
    gates = _gates(comparisons, sampling, bool(disjointness["disjoint"]), rule)
    gates += _above_trivial(answers, trivial or {})
    judged = statistics.worst([gate["verdict"] for gate in gates])
    return {
        "verdict": judged,
        "why": [gate["text"] for gate in gates if gate["verdict"] == judged],
        "disjoint": bool(disjointness["disjoint"]),
        "n": comparisons["sft_vs_base"]["n"],
        "n_to_settle": _need(gates) if judged == INCONCLUSIVE else None,
        "rule": rule.conditions,
        "gates": gates,
        "finding": _finding(comparisons),
        "systems": {name: _system(answers[name]) for name in SYSTEMS},
        "trivial": {name: table(records) for name, records in (trivial or {}).items()},
        "comparisons": comparisons,
        "by_type": _by_type(answers),
        "sampling": sampling,
        "disjointness": dict(disjointness),
    }


def name_of(before: str, after: str) -> str:
    return f"{after}_vs_{before}"


def pairs(answers: Answers, before: str, after: str, kind: str = "") -> list[tuple[bool, bool]]:
    """(before, after) of each instruction whose answer is a fact or a form, of a type or of all."""
    return [
        (bool(first.correct), bool(second.correct))
        for first, second in zip(answers[before], answers[after], strict=True)
        if first.correct is not None and not first.form_only and kind in ("", first.type)
    ]


def _comparisons(answers: Answers, rule: Rule) -> dict[str, Any]:
    gains = {
        name_of(before, after): statistics.improvement(
            pairs(answers, before, after), rule.minimum_lift
        )
        for before, after in GAINS
    }
    return gains | {
        name_of(before, after): statistics.noninferior(pairs(answers, before, after), rule.margin)
        for before, after in (*HARMS, ("few_shot", "sft"), ("base", "few_shot"))
    }


def _sampling(sampled: Sampled, rule: Rule) -> dict[str, Any] | None:
    """Success when sampling, of SFT and DPO; None when nothing was sampled."""
    if not sampled or not sampled["sft"]:
        return None
    both = list(zip(sampled["sft"], sampled["dpo"], strict=True))
    return {"dpo_vs_sft": statistics.compare_rates(both, -rule.margin)}


def _gates(
    comparisons: Mapping[str, Any], sampling: Mapping[str, Any] | None, disjoint: bool, rule: Rule
) -> list[dict[str, Any]]:
    """What the verdict is made of, one entry a condition."""
    clean = "no held-out item is in the data" if disjoint else "held-out items are in the data"
    gates = [_gate("disjoint", PASS if disjoint else FAIL, clean)]
    for before, after in GAINS:
        figures = comparisons[name_of(before, after)]
        text = f"{TITLES[after]} over {TITLES[before]}: {_words(figures)}"
        gates.append(
            _gate(name_of(before, after), figures["verdict"], text, figures["n_to_settle"])
        )
    harms = [(f"{b}/{a}", TITLES[a], TITLES[b], comparisons[name_of(b, a)]) for b, a in HARMS]
    if sampling is not None:
        harms.append(("sft/dpo sampled", "DPO sampled", "SFT sampled", sampling["dpo_vs_sft"]))
    for name, after, before, figures in harms:
        worse = figures["verdict"] == FAIL and figures["p"] < statistics.ALPHA
        judged = "shown to be worse" if worse else "not shown to be worse"
        text = f"{after} is {judged} than {before} by {rule.margin:g}: {_words(figures)}"
        gates.append(_gate(f"not worse {name}", FAIL if worse else PASS, text))
    return gates


def _above_trivial(answers: Answers, trivial: Answers) -> list[dict[str, Any]]:
    """One gate for each way to answer without a model."""
    gates = []
    for name, records in trivial.items():
        both = pairs({**answers, name: records}, name, "dpo")
        figures = statistics.improvement(both, 0.0)
        text = f"{TITLES['dpo']} over {TRIVIAL_TITLES[name]}: {_words(figures)}"
        need = figures.get("n_to_settle")
        gates.append(_gate(f"dpo_vs_{name}", figures["verdict"], text, need))
    return gates


def _gate(name: str, verdict: str, text: str, need: int | None = None) -> dict[str, Any]:
    return {"name": name, "verdict": verdict, "text": text, "n_to_settle": need}


def _words(figures: Mapping[str, Any]) -> str:
    if figures["lift"] is None:
        return "nothing measured"
    return (
        f"{figures['before']:.1%} → {figures['after']:.1%}, lift {figures['lift']:+.1%} "
        f"[{figures['low']:+.1%}, {figures['high']:+.1%}], "
        f"n = {figures['n']}, p = {figures['p']:.2g}"
    )


def _need(gates: Sequence[Mapping[str, Any]]) -> int | None:
    """Instructions that would settle every open gate; None when one cannot be settled."""
    needs = [gate["n_to_settle"] for gate in gates if gate["verdict"] == INCONCLUSIVE]
    return None if None in needs else max(needs, default=None)


def _finding(comparisons: Mapping[str, Any]) -> str:
    """What the second control makes of the gain, in one sentence."""
    figures = comparisons["dpo_vs_few_shot"]
    if figures["lift"] is None:
        return "Nothing was measured."
    if figures["low"] > 0:
        meaning = "training gave more than solved examples in the prompt give"
    elif figures["high"] < 0:
        meaning = "training gave less than solved examples in the prompt give"
    else:
        meaning = (
            "training did away with the need for examples; that it added anything beyond what "
            "they give is not shown"
        )
    gain = comparisons["dpo_vs_base"]
    return (
        f"On bare prompts success went from {gain['before']:.1%} to {gain['after']:.1%}. With "
        f"solved examples in its prompt the untrained base has {figures['before']:.1%}: {meaning}."
    )


def _system(records: Sequence[ResponseRecord]) -> dict[str, Any]:
    """Success by type, and what a rule of length and punctuation would have said."""
    lengths = [len(record.response) for record in records]
    fluent = sum(1 for record in records if looks_fluent(record.response))
    return table(records) | {
        "blank": sum(1 for record in records if not record.response.strip()),
        "mean_characters": sum(lengths) / len(lengths) if lengths else None,
        "looks_fluent": fluent / len(records) if records else None,
    }


def looks_fluent(response: str) -> bool:
    """Long enough and with a full stop. Reported beside success, never counted as success."""
    return len(response) > LONG and bool(re.search(r"[.!?]$", response.strip()))


def _by_type(answers: Answers) -> list[dict[str, Any]]:
    """One row a type and comparison; `p_adjusted` by Benjamini-Hochberg over all rows."""
    rows = []
    for before, after in BY_TYPE:
        for kind in TYPES:
            figures = statistics.compare(pairs(answers, before, after, kind), 0.0)
            names = ("n", "before", "after", "lost", "won", "lift", "low", "high", "p")
            row = {"type": kind, "comparison": name_of(before, after)}
            rows.append(row | {key: figures[key] for key in names})
    adjusted = statistics.benjamini_hochberg([row["p"] for row in rows])
    return [row | {"p_adjusted": p} for row, p in zip(rows, adjusted, strict=True)]


def samples(answers: Answers, count: int = SHOWN) -> dict[str, list[dict[str, Any]]]:
    """`best`: the base was wrong and DPO is right. `worst`: DPO is wrong, lost ones first."""
    rows = [
        {
            "instruction": records[0].instruction,
            "type": records[0].type,
            "answers": {
                name: record.verdict_json() for name, record in zip(SYSTEMS, records, strict=True)
            },
        }
        for records in zip(*(answers[name] for name in SYSTEMS), strict=True)
        if records[0].correct is not None
    ]
    right = {name: [row["answers"][name]["correct"] for row in rows] for name in SYSTEMS}
    best = [n for n in range(len(rows)) if right["dpo"][n] and not right["base"][n]]
    wrong = [n for n in range(len(rows)) if not right["dpo"][n]]
    wrong.sort(key=lambda n: sum(right[name][n] for name in SYSTEMS), reverse=True)
    return {
        "best": [rows[n] for n in _mixed(best, rows)[:count]],
        "worst": [rows[n] for n in wrong[:count]],
    }


def _mixed(places: Sequence[int], rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The same places, the types taking turns."""
    turns: dict[str, int] = {}
    keyed = []
    for place in places:
        kind = rows[place]["type"]
        turns[kind] = turns.get(kind, 0) + 1
        keyed.append((turns[kind], place))
    return [place for _, place in sorted(keyed)]


TRIVIAL_TITLES = {"constants": "the best constant answers", "keywords": "rows of keywords"}
TITLES = {
    "base": "base",
    "few_shot": "base with examples",
    "sft": "SFT",
    "dpo": "DPO",
}
