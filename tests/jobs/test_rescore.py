"""What a pod says of its responses is judged again here, by the same verifiers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from controller.locks.answer_key import answer_key
from jobs.catalog import load_stages
from jobs.criteria import Finding, Verdict, evaluate
from jobs.rescore import MAX_RESPONSE
from jobs.stage import Criterion, Stage
from remote.stages.common.records import ResponseRecord
from remote.stages.instructions.sets import load
from remote.stages.verification.scoring import score, table
from tests.support.own_instructions import TOPICS, write
from tests.support.own_instructions import records as own_records

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
    scored = score(asked, ["no"] * wrong + [one.answer for one in asked[wrong:]])
    return [record.to_json() for record in scored]


def judged(record: Record) -> ResponseRecord:
    names = ("instruction", "type", "kind", "correct")
    return ResponseRecord(response="", **{name: record[name] for name in names})


def sft_document(records: list[Record]) -> dict[str, Any]:
    return {**table(map(judged, records)), "responses": records}


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
    records[0] = score(SMALL.train[:1], [SMALL.train[0].answer])[0].to_json()


def swell(records: list[Record]) -> None:
    records[-1]["response"] *= MAX_RESPONSE


def say_nothing(records: list[Record]) -> None:
    del records[-1]["response"]


def call_nothing(records: list[Record]) -> None:
    records[-1]["correct"] = json.loads("[" * 900 + "]" * 900)


def name_no_system(records: list[Record]) -> None:
    records[0]["system"] = json.loads("[" * 900 + "]" * 900)


def name_long(records: list[Record]) -> None:
    records[0]["system"] = "sft" * 100


def sample_of_nothing(records: list[Record]) -> None:
    records[0]["sample"] = {}


def ask_in_many_ways(records: list[Record]) -> None:
    records[:] = [records[0] | {"sample": place} for place in range(1_001)]


def say_only_sampled(records: list[Record]) -> None:
    records[:] = [one | {"temperature": 0.7} for one in records]


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (call_right, "record 1: the answer is wrong, and something else is said"),
        (call_wrong, "the answer is right, and something else is said"),
        (call_nothing, "the answer is right, and something else is said"),
        (leave_out, "65 of 66 instructions"),
        (say_twice, "an answer twice"),
        (ask_other, "an answer of no instruction of the set"),
        (swell, "characters"),
        (say_nothing, "no instruction with its response"),
        (name_no_system, "system is not a name"),
        (name_long, "system is not a name"),
        (sample_of_nothing, "temperature and sample are not numbers"),
        (ask_in_many_ways, "over 1000 systems, temperatures and samples"),
        (say_only_sampled, "no greedy answer of the model"),
    ],
)
def test_a_forged_record_fails(
    tmp_path: Path, forge: Callable[[list[Record]], None], words: str
) -> None:
    """One wrong verdict, one answer left out, said twice, to another question, or no record."""
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
        claims[system] = table(map(judged, greedy))
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
    records[-1]["correct"] = not records[-1]["correct"]
    put_lines(tmp_path, responses, records)
    forged = rescored(name, tmp_path)

    assert right.status is Verdict.PASS, right.detail
    assert forged.status is Verdict.FAIL
    assert "is right" in forged.detail


def test_nothing_is_claimed_of_a_system_that_did_not_answer(tmp_path: Path) -> None:
    """No answer at all is no success of 0 of 0 that a comparison may stand on."""
    responses, claimed = MADE_IN["stage1e"]
    records, document = compared("stage1e")
    document["systems"]["few_shot"]["overall"] = {"n": 0, "correct": 0, "rate": 0.0}
    put(tmp_path, claimed, document)
    put_lines(tmp_path, responses, [one for one in records if one["system"] != "few_shot"])
    found = rescored("stage1e", tmp_path)

    assert found.status is Verdict.FAIL
    assert "no greedy answer of few_shot" in found.detail


def judged_by(folder: Path, **parameters: Any) -> Finding:
    """Answers to tests' own instructions, by a stage that is given `parameters`."""
    criterion = Criterion(kind="rescored", path="said.jsonl", parts=("held_out",))
    one = stage("stage1e").model_copy(update={"parameters": parameters})
    (found,) = evaluate([criterion], folder, answer_key(one, folder))
    return found


def test_a_set_of_ones_own_is_read_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is the project's, whatever the folder podctl is called in; none is said."""
    own = write(tmp_path / "mine", {part: own_records(part) for part in TOPICS})
    asked = load(str(own)).held_out
    scored = score(asked, [one.answer for one in asked])
    put_lines(tmp_path, "said.jsonl", [record.to_json() for record in scored])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert judged_by(tmp_path, instructions="mine").detail.startswith("3 verdicts are right")
    assert "cannot be read here" in judged_by(tmp_path, instructions="mime").detail
    for parameters in ({}, {"instructions": ["mine"]}, {"instructions": ""}):
        found = judged_by(tmp_path, **parameters)
        assert found.status is Verdict.FAIL
        assert "no parameter `instructions`" in found.detail


def test_without_a_key_there_is_no_verdict(tmp_path: Path) -> None:
    """Who has no instructions at hand does not say that the responses are right."""
    criterion = Criterion(kind="rescored", path="said.jsonl", parts=("held_out",))
    (found,) = evaluate([criterion], tmp_path)

    assert found.status is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "needs parts"),
        ({"parts": ["train"]}, "development"),
        ({"parts": ["held_out"], "claims": {"sft": "report.json"}}, "file.json:key"),
        ({"parts": ["held_out"], "claims": {"sft": "../report.json:a"}}, "inside the project"),
    ],
)
def test_a_criterion_that_could_judge_nothing_is_refused(fields: Record, words: str) -> None:
    """In podctl.toml, before anything is rented."""
    with pytest.raises(ValidationError, match=words):
        Criterion(kind="rescored", path="said.jsonl", **fields)


def test_too_few_answers_do_not_pass(tmp_path: Path) -> None:
    """A development set of a handful of questions says little, however it is answered."""
    one = stage("stage1c")
    (criterion,) = (each for each in one.criteria if each.kind == "rescored")
    put(tmp_path, SFT, sft_document(answered("development")))
    more = criterion.model_copy(update={"at_least": 67})
    (found,) = evaluate([more], tmp_path, answer_key(one, tmp_path))

    assert (found.status, found.measured) == (Verdict.FAIL, 66)
