"""What a pod says of its responses is judged again here, by the same verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.answer_key import answer_key
from jobs.catalog import load_stages
from jobs.criteria import Finding, Verdict, evaluate
from jobs.rescoring import MAX_RESPONSE
from jobs.stage import Stage
from remote.stages.instruction_sets import load
from remote.stages.scoring import score, table

Record = dict[str, Any]
SMALL = load("small")
MADE_IN = {  # stage → (responses, where what is claimed of them stands)
    "stage1d": ("artifacts/dpo_responses.jsonl", "artifacts/dpo_comparison.json"),
    "stage1e": ("artifacts/stage1_responses.jsonl", "artifacts/stage1_report.json"),
}
SFT = "checkpoints/stage1_sft/development.json"


def stage(name: str) -> Stage:
    return load_stages({name: {"parameters": {"instructions": "small"}}})[name]


def rescored(name: str, folder: Path) -> Finding:
    one = stage(name)
    criteria = [criterion for criterion in one.criteria if criterion.kind == "rescored"]
    (finding,) = evaluate(criteria, folder, answer_key(one, folder))
    return finding


def answered(part: str, wrong: int = 3) -> list[Record]:
    """Records as a stage writes them: all answers canonical but the first `wrong`."""
    asked = getattr(SMALL, part)
    return score(asked, ["no"] * wrong + [one.answer for one in asked[wrong:]])


def sft_document(records: list[Record]) -> dict[str, Any]:
    return {**table(records), "responses": records}


def put(folder: Path, path: str, document: object) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(json.dumps(document))


def put_lines(folder: Path, path: str, records: list[Record]) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("".join(json.dumps(one) + "\n" for one in records))


def test_right_verdicts_and_figures_pass(tmp_path: Path) -> None:
    """Of the fine-tuned model, with wrong answers that are called wrong."""
    put(tmp_path, SFT, sft_document(answered("development")))
    found = rescored("stage1c", tmp_path)

    assert found.status is Verdict.PASS, found.detail
    assert found.measured == len(SMALL.development)


def call_right(records: list[Record]) -> None:
    records[0]["correct"] = True


def call_wrong(records: list[Record]) -> None:
    records[-1]["correct"] = False


def leave_out(records: list[Record]) -> None:
    del records[0]


def say_twice(records: list[Record]) -> None:
    records[0] = records[-1]


def ask_other(records: list[Record]) -> None:
    records[0] = score(SMALL.train[:1], [SMALL.train[0].answer])[0]


def swell(records: list[Record]) -> None:
    records[-1]["response"] *= MAX_RESPONSE


def say_nothing(records: list[Record]) -> None:
    del records[-1]["response"]


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (call_right, "record 1: said to be True, is wrong"),
        (call_wrong, "said to be False, is right"),
        (leave_out, "65 of 66 instructions"),
        (say_twice, "an answer twice"),
        (ask_other, "an answer of no instruction of the set"),
        (swell, "characters"),
        (say_nothing, "no instruction with its response"),
    ],
)
def test_a_forged_record_fails(
    tmp_path: Path, forge: Callable[[list[Record]], None], words: str
) -> None:
    """One wrong verdict, one answer left out, said twice or made to another question."""
    records = answered("development")
    forge(records)
    put(tmp_path, SFT, sft_document(records))
    found = rescored("stage1c", tmp_path)

    assert found.status is Verdict.FAIL
    assert words in found.detail


@pytest.mark.parametrize("name", ["n", "correct", "rate"])
def test_a_figure_that_the_responses_do_not_have_fails(tmp_path: Path, name: str) -> None:
    """Every verdict is right, and the sum of them is not."""
    document = sft_document(answered("development"))
    document["overall"][name] = 1.0 if name == "rate" else 66 + (name == "n")
    put(tmp_path, SFT, document)
    found = rescored("stage1c", tmp_path)

    assert found.status is Verdict.FAIL
    assert "checkpoints/stage1_sft/development.json:overall" in found.detail


def compared(name: str) -> tuple[list[Record], dict[str, Any]]:
    """The responses of a comparison, greedy and sampled, and the figures claimed of them."""
    parts = ("development", "held_out") if name == "stage1d" else ("held_out",)
    systems = ("sft", "dpo") if name == "stage1d" else ("base", "few_shot", "sft", "dpo")
    records, claims = [], {}
    for place, system in enumerate(systems):
        greedy = [one for part in parts for one in answered(part, wrong=place + 2)]
        sampled = [one for part in parts for one in answered(part, wrong=9)]
        claims[system] = table(greedy)
        records += [{"system": system, "temperature": 0.0, "sample": 0} | one for one in greedy]
        records += [{"system": system, "temperature": 0.7, "sample": 0} | one for one in sampled]
    return records, {"both": {"greedy": claims}} if name == "stage1d" else {"systems": claims}


@pytest.mark.parametrize("name", ["stage1d", "stage1e"])
def test_a_comparison_is_judged_again_system_by_system(tmp_path: Path, name: str) -> None:
    """Greedy figures are of the greedy answers; one verdict of one sample breaks it."""
    responses, claimed = MADE_IN[name]
    records, document = compared(name)
    put(tmp_path, claimed, document)
    put_lines(tmp_path, responses, records)
    right = rescored(name, tmp_path)
    records[-1]["correct"] = False
    put_lines(tmp_path, responses, records)
    forged = rescored(name, tmp_path)

    assert right.status is Verdict.PASS, right.detail
    assert forged.status is Verdict.FAIL
    assert "is right" in forged.detail


def test_a_set_of_ones_own_is_read_in_the_project(tmp_path: Path) -> None:
    """A folder that is not there is said, whatever the folder podctl is called in."""
    one = load_stages({"stage1c": {"parameters": {"instructions": "mine"}}})["stage1c"]
    criteria = [criterion for criterion in one.criteria if criterion.kind == "rescored"]
    put(tmp_path, SFT, sft_document(answered("development")))
    (found,) = evaluate(criteria, tmp_path, answer_key(one, tmp_path))
    (unjudged,) = evaluate(criteria, tmp_path)

    assert found.status is Verdict.FAIL
    assert "the instructions cannot be read here" in found.detail
    assert unjudged.status is Verdict.INCONCLUSIVE


def test_too_few_answers_do_not_pass(tmp_path: Path) -> None:
    """A development set of a handful of questions says little, however it is answered."""
    one = stage("stage1c")
    (criterion,) = (each for each in one.criteria if each.kind == "rescored")
    put(tmp_path, SFT, sft_document(answered("development")))
    more = criterion.model_copy(update={"at_least": 67})
    (found,) = evaluate([more], tmp_path, answer_key(one, tmp_path))

    assert (found.status, found.measured) == (Verdict.FAIL, 66)
