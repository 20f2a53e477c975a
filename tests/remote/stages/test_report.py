"""The report as text and as a page: what a model said is shown, and never obeyed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.reports import publication
from controller.reports.charts import Line as Curve
from controller.reports.charts import Panel, draw, points
from controller.reports.figures import figures
from controller.reports.html_page import page as page_of
from controller.reports.markdown_page import text as text_of
from controller.reports.publication import Source, publish
from controller.terminal.markdown import lines, literal
from remote.stages.common.records import ResponseRecord
from remote.stages.evaluation.comparison import Rule, assess, samples
from remote.stages.instructions.sets import load
from remote.stages.verification.scoring import score
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER

ORIGIN = "Rendered by podctl from <b>a.json</b>."
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


def page(found: dict[str, Any], drawn: dict[str, str]) -> str:
    return page_of(found, drawn, ORIGIN)


def text(found: dict[str, Any]) -> str:
    return text_of(found, ORIGIN)


def answers(said: str) -> dict[str, list[ResponseRecord]]:
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
    shown = literal(word)

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
    """Without trainings and costs only success is drawn, with its letters as text."""
    found = figures(report())

    assert set(found) == {"success"}
    assert found["success"].startswith("<svg")
    assert ">base with examples<" in found["success"]


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


EVALUATE, GENERATE = "remote.stages.evaluate", "remote.stages.generate"


def write(folder: Path, name: str, document: object) -> Source:
    (folder / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return Source(name, ORIGIN, GENERATE if name == "data_quality.json" else EVALUATE)


def made(folder: Path, source: Source, kept: tuple[str, ...] = ()) -> tuple[str, ...]:
    return publish(folder, [source], kept, lambda *_: None)


def test_pages_are_made_here_of_the_figures(tmp_path: Path) -> None:
    """Both pages lie beside the figures, say what they were made of, and hold no markup of it."""
    told = made(tmp_path, write(tmp_path, "stage1_report.json", report()))

    assert [line.split(" is rendered")[0] for line in told] == [
        "stage1_report.html",
        "stage1_report.md",
    ]
    shown = (tmp_path / "stage1_report.html").read_text()
    assert "Rendered by podctl from &lt;b&gt;a.json&lt;/b&gt;." in shown
    assert "Rendered by podctl from &lt;b&gt;a.json&lt;/b&gt;." in (
        (tmp_path / "stage1_report.md").read_text()
    )


def paths(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value of a document is."""
    below = document.items() if isinstance(document, dict) else ()
    below = enumerate(document[:1]) if isinstance(document, list) else below
    for name, value in below:
        yield (*path, name)
        yield from paths(value, (*path, name))


SPENDING = {
    "plan": {"hours": 13, "usd": 23, "usd_per_hour": 1.74},
    "stages": [
        {
            "name": "stage1a",
            "hours": 0.1,
            "usd": 0.1,
            "plan_hours": 1,
            "plan_usd": 2,
            "usage": {
                "cpu_percent": {"mean": 1, "max": 2},
                "series": [{"seconds": 1, "cpu_percent": 2}],
            },
        }
    ],
}
TRAINING = {"sft": {"loss": [[1, 2.0], [2, 1.0]]}, "dpo": {"rewards/margins": [[1, 0.1]]}}
EVIL = (
    "<script>alert(1)</script>\x1b[31m\u202e](javascript:x) https://evil.example/ @you | x",
    {"<img src=x onerror=alert(1)>": "</svg><script>"},
    ["<iframe>"] * 3,
    float("nan"),
    10**400,
    -1,
    None,
)


MARKUP = r"<[a-z/]|(?<!\\)\]\(|https://evil|@you|[\x1b\u202e]"  # none of it in Markdown


def test_no_value_of_a_pod_becomes_markup() -> None:
    """Each value of the figures in turn is an attack: either the page is not written and that is
    told, or it holds the attack as text; nothing raises."""
    sound = json.dumps(report("right", spending=SPENDING, training=TRAINING))
    source = Source("a/stage1_report.json", ORIGIN, EVALUATE)
    written = 0
    for number, path in enumerate(paths(json.loads(sound))):
        for evil in (EVIL[0], EVIL[1 + number % (len(EVIL) - 1)]):
            document = json.loads(sound)
            place = document
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = evil
            made = publication.pages(source, json.dumps(document).encode())
            html, markdown = made["a/stage1_report.html"], made["a/stage1_report.md"]
            if isinstance(html, bytes):
                shown = html.decode()
                written += 1
                assert not re.search(r"<(script|img|iframe)", shown), path
                assert not re.search("[\x00-\x08\x1b\u202e]", shown), path
            if isinstance(markdown, bytes):
                shown = markdown.decode()
                assert not re.search(MARKUP, shown), path
    assert written > 100


def test_the_quality_page_shows_a_pods_words_as_text(tmp_path: Path) -> None:
    """data_quality.md: names of filters, samples and settings of a pod are text; figures that
    are none are told, and nothing is written."""
    cell = {"n": 2, "correct": 1, "rate": 0.5, "wilson_low": 0.1, "wilson_high": 0.9}
    evil = EVIL[0]
    lengths = {"median": 3}
    document = {
        "pairs": 1,
        "wanted": 1,
        "at_least": 1,
        "enough": True,
        "ended": evil,
        "counts": {"attempts": evil, "instructions": 1, "instructions_tried": 1, "set_aside": 0},
        "cost": {"seconds": 1, "tokens_per_second": 2},
        "disjointness": None,
        "settings": {"model": evil},
        "filters": {
            evil: {
                "removed": 1,
                "objected": 1,
                "rule": evil,
                "samples": [{"instruction": evil, "response": evil + "\n# x", "why": evil}],
            }
        },
        "success": {
            "generated": {"overall": cell, "types": {evil: cell}},
            "kept": {"overall": cell, "types": {evil: cell}},
        },
        "lengths": {"overall": lengths, "types": {evil: lengths}},
        "kept_samples": {evil: [{"instruction": evil, "response": evil, "correct": True}]},
    }
    (line,) = made(tmp_path, write(tmp_path, "data_quality.json", document))
    shown = (tmp_path / "data_quality.md").read_text()

    assert line == "data_quality.md is rendered from data_quality.json"
    assert not re.search(MARKUP, shown)
    assert "\n# x" not in shown

    (line,) = made(tmp_path, write(tmp_path, "data_quality.json", document | {"cost": evil}))
    assert "cannot be shown" in line
    for text in ("[]", "{", "null", "[" * 100_000):
        (line,) = made(tmp_path, write(tmp_path, "data_quality.json", text))
        assert "cannot be shown" in line


def test_a_pods_own_page_is_kept_and_marked(tmp_path: Path) -> None:
    """In a run of an earlier version the pages are artifacts: they stay as they came."""
    source = write(tmp_path, "stage1_report.json", report())
    (tmp_path / "stage1_report.html").write_text("<p>the pod's")

    told = made(tmp_path, source, ("stage1_report.html",))

    assert told == ("stage1_report.md is rendered from stage1_report.json",)
    assert (tmp_path / "stage1_report.html").read_text() == "<p>the pod's"
    names = ["a/x.HTML", "a/y.json", "README.md", "z.svg", "1.pdf"]
    assert publication.rendered_line(publication.rendered_by_pod(names)) == (
        "rendered by the pod, not by podctl: a/x.HTML, README.md, z.svg and 1 more"
    )
    assert publication.rendered_line(()) == ""


def test_pages_are_of_podctls_own_programs_only() -> None:
    """A file of the same name that a user's program wrote is the user's."""
    names = ["data/data_quality.json", "artifacts/stage1_report.json"]

    assert publication.unlocked("own-0001", ["python", "own.py"], names) == ()
    (found,) = publication.unlocked("stage1b-0001", ["python", "-m", GENERATE], names)
    assert found.path == "data/data_quality.json"
    assert "not locked: every figure is the pod's own word" in found.origin


@pytest.mark.parametrize(
    "word",
    [
        "https://a.example",
        "www.a.example",
        "a@b.example",
        "@user",
        "#12",
        "$x$",
        "~~a~~",
        "![a](b)",
    ],
)
def test_nothing_becomes_a_link_or_a_mention(word: str) -> None:
    """What GitHub would make something of without any markup is broken up."""
    shown = literal(word)

    assert not re.search(r"://|www\.|@|(?<!\\)[#$~!](?!\d+;)", shown)


def test_breaks_between_lines_are_a_sign() -> None:
    """A text of several lines is one, and the escape that hides a line is gone."""
    assert lines("a\n\x1b[8mb\n") == "a ⏎ b"


def test_pictures_are_drawn_from_any_numbers() -> None:
    """What is no number is left out, a million points are thinned, one point is a picture."""
    odd = [[1, float("inf")], [None, 1], [True, 1], [1, 10**400], "x", [1], [2, 3.0]]
    assert points(odd) == [(2.0, 3.0)]
    assert points("nonsense") == []
    many = points([[n, n % 7] for n in range(100_000)])
    assert len(many) <= 1000
    for series in ([(1e11, 1e11)], many, [(0.0, -1e11), (1.0, 1e11)], [(0.0, 1e-300)]):
        drawn = draw([Panel("t", lines=[Curve("a", "#000", series)])])
        assert "polyline" in drawn
        assert "nan" not in drawn
