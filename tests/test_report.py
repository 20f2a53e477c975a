"""The report as text and as a page: what a model said is shown, and never obeyed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from remote.stages.evaluation import Rule, assess, samples
from remote.stages.figures import figures
from remote.stages.instruction_sets import load
from remote.stages.report_html import page
from remote.stages.report_markdown import plain, text
from remote.stages.scoring import Record, score
from tests import training_stack

pytestmark = training_stack.ON_ONE_WORKER

HELD_OUT = load("small").held_out[:20]
HOSTILE = (
    "<script>alert(1)</script> | **bold** `code` [x](http://y) "
    "\x1b[2J\x00 <!-- \u202e &amp;\n# Head"
)
DISJOINT = {
    "disjoint": True,
    "held_out": 20,
    "same_answers": 19,
    "threshold": 0.8,
    "against": [
        {"path": "a|b.jsonl", "records": 3, "exact": 0, "near": 0, "examples": []},
    ],
}


def answers(said: str) -> dict[str, list[Record]]:
    right = score(HELD_OUT, [one.answer for one in HELD_OUT])
    other = score(HELD_OUT, [said] * len(HELD_OUT))
    return {"base": other, "few_shot": right, "sft": right, "dpo": [*right[:10], *other[10:]]}


def report(said: str = "", **changes: Any) -> dict[str, Any]:
    found = answers(said)
    return {
        **assess(found, {}, DISJOINT, Rule()),
        "settings": {"model": "small", "instructions": "small", "seed": 0, "samples": 0},
        "adapters": {"sft": "a" * 64, "dpo": "b" * 64},
        "samples": samples(found),
        "training": {},
        "spending": None,
        "environment": {"torch": "2", "device": {"kind": "cpu"}},
    } | changes


def test_hostile_answers_are_text_in_the_page() -> None:
    """Markup that a model wrote is escaped, control characters are marked, bidi tricks gone."""
    shown = page(report(HOSTILE), {})

    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert not re.search(r"[\x00\x1b\u202e]", shown)


def test_hostile_answers_stay_in_their_cell_of_the_table() -> None:
    """No line break, pipe, markup or heading of a model gets into the Markdown."""
    shown = text(report(HOSTILE))

    assert "<script" not in shown
    assert "\n# Head" not in shown
    assert not re.search(r"[\x00\x1b\u202e]", shown)
    rows = [line for line in shown.splitlines() if line.startswith("| DPO | wrong")]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


@pytest.mark.parametrize("word", ["*a*", "_a_", "`a`", "[a]", "a|b", "<a>", "# a", "a\nb"])
def test_nothing_has_a_meaning_in_markdown(word: str) -> None:
    """Each character that would have one is escaped."""
    shown = plain(word)

    assert "\n" not in shown
    assert not re.search(r"(?<!\\)[*_`\[\]|#<>]", shown)


def test_long_answers_are_cut() -> None:
    """A megabyte of answer does not make a megabyte of report."""
    found = report("word " * 200_000)

    assert len(text(found)) < 100_000
    assert len(page(found, {})) < 100_000


def test_the_report_says_what_held_out_means() -> None:
    """How many held-out instructions are another phrasing of what was trained on, in both forms."""
    words = "19 of them have, word for word, the answer of a training instruction"

    assert words in text(report())
    assert words in page(report(), {})


def test_an_inconclusive_report_says_how_many_would_settle_it() -> None:
    """The number is in the first lines of both forms."""
    found = report() | {"verdict": "INCONCLUSIVE", "n_to_settle": 1234}

    assert "About 1,234 instructions would settle it." in text(found)
    assert "About 1,234 instructions would settle it." in page(found, {})
    assert 'class="badge INCONCLUSIVE"' in page(found, {})


def test_figures_are_drawn_from_what_there_is() -> None:
    """Without trainings and costs only success is drawn; nothing names this machine or a date."""
    found = figures(report())

    assert set(found) == {"success"}
    assert found["success"].startswith("<svg")
    assert ">base with examples<" in found["success"]
    assert "<dc:date>" not in found["success"]


def test_costs_far_below_the_plan_can_still_be_seen() -> None:
    """Where measured values are tiny beside the plan's, the scale is logarithmic, and says so."""
    stage = {"name": "stage1a", "plan_hours": 3.0, "plan_usd": 5.0, "hours": 0.01, "usd": 0.01}
    drawn = figures(report(spending={"stages": [stage]}))

    assert "hours (logarithmic)" in drawn["cost"]
    assert "usage" not in drawn


def test_the_same_report_gives_the_same_page() -> None:
    """Nothing in it depends on when or how often it was made."""
    found = json.loads(json.dumps(report()))

    assert page(found, figures(found)) == page(found, figures(found))
