"""What answers without a model score, free text apart, and where chosen answers come from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.records import ResponseRecord, SystemResponse
from remote.stages.evaluation.chosen_answers import chosen_answers
from remote.stages.evaluation.comparison import SYSTEMS, Rule, assess
from remote.stages.evaluation.control import read_control
from remote.stages.evaluation.trivial_answers import constants, keywords
from remote.stages.instructions.sets import VERSIONS, load
from remote.stages.verification.instruction import Instruction
from remote.stages.verification.scoring import judge, table

ENGLISH = load("english")


def decided(text: str, value: str) -> Instruction:
    check = {"check": "decides", "question": text, "value": value}
    return Instruction(text, "qa", "yes or no", f"{value}.", (check,))


TRAIN = [decided(f"Is {n} even?", "No" if n % 3 else "Yes") for n in range(9)]
MEASURED = [decided(f"Is {n} odd?", "Yes" if n < 7 else "No") for n in range(10)]


def test_the_constant_is_chosen_on_training_instructions() -> None:
    """The most frequent answer of training is scored, not the best of what is measured."""
    records = constants(TRAIN, MEASURED)

    assert {record.response for record in records} == {"No"}
    assert table(records)["overall"]["correct"] == 3


def test_rows_of_keywords_reach_no_fact() -> None:
    """Words of the instruction in a row are right for no fact and no form of the English set."""
    figures = table(keywords(ENGLISH.held_out))

    assert figures["overall"]["correct"] == 0
    assert figures["overall"]["n"] + figures["form_only"]["n"] == len(ENGLISH.held_out)


def test_free_text_is_counted_apart() -> None:
    """A note whose form is right is in no headline and in its own cell."""
    note = next(one for one in ENGLISH.held_out if one.kind == "note")
    figures = table([judge(note, note.answer)])

    assert figures["overall"]["n"] == 0
    assert figures["form_only"]["correct"] == figures["form_only"]["n"] == 1
    assert figures["kinds"]["note"]["correct"] == 1


def test_form_only_is_read_back() -> None:
    """A stored record of free text is still one; records of before count as they did."""
    note = next(one for one in ENGLISH.held_out if one.kind == "note")
    record = SystemResponse.of(judge(note, note.answer), "p", system="sft", sample=0)
    old = {key: value for key, value in record.to_json().items() if key != "form_only"}

    assert (again := SystemResponse.from_json(record.to_json())) is not None
    assert again.form_only
    assert (before := SystemResponse.from_json(old)) is not None
    assert not before.form_only


def answered(right: int) -> list[ResponseRecord]:
    return [judge(one, "Yes" if n < right else "maybe") for n, one in enumerate(MEASURED * 20)]


def test_an_improvement_must_beat_the_constants() -> None:
    """DPO above the base but no better than a constant answer is no PASS."""
    answers = {name: answered(0) for name in SYSTEMS} | {"sft": answered(60), "dpo": answered(60)}
    report = assess(answers, {}, {"disjoint": True}, Rule(), {"constants": answered(70)})
    gates = {gate["name"]: gate["verdict"] for gate in report["gates"]}

    assert gates["dpo_vs_base"] == "PASS"
    assert gates["dpo_vs_constants"] != "PASS"
    assert report["verdict"] != "PASS"


def test_distillation_is_named(tmp_path: Path) -> None:
    """The share of canonical answers among the chosen ones is counted and said."""
    path = tmp_path / "pairs.jsonl"
    sources = ["canonical"] * 3 + ["generated"]
    path.write_text("".join(json.dumps({"chosen_source": source}) + "\n" for source in sources))

    found = chosen_answers(path)

    assert (found["own"], found["canonical"], found["share_canonical"]) == (1, 3, 0.75)
    assert "distillation" in found["finding"]


def test_a_control_of_another_version_is_refused(tmp_path: Path) -> None:
    """The base's answers to an older version of the set are measured again."""
    path = tmp_path / "assessment.json"
    settings = {"model": "m", "instructions": "english", "quantize": "none", "max_new_tokens": 8}
    path.write_text(json.dumps({"settings": settings}))

    with pytest.raises(StageError, match="version 1 of the instructions"):
        read_control(
            (), "m", "english", version=VERSIONS["english"], assessment=path, responses=path
        )
