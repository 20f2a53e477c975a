"""Preference pairs: what may be chosen, what is a failure, and what is made up where these lack."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.parameters import DpoParameters
from remote.stages.common.records import CANONICAL, SystemResponse
from remote.stages.instructions.instruction_set import InstructionSet
from remote.stages.instructions.sets import load
from remote.stages.training.preference_pairs import (
    CORRUPTED,
    GENERATED,
    SAMPLED,
    Candidate,
    candidates,
    corruptions,
    fill_with_corruptions,
    sampled_pairs,
    summary,
    usable_samples,
)
from remote.stages.verification.instruction import Instruction
from remote.stages.verification.scoring import judge

SMALL = load("small")
PARAMETERS = DpoParameters(model="small", pairs=40, least_pairs=10, per_instruction=2)


def data(folder: Path, *records: dict[str, Any] | str) -> Path:
    path = folder / "data.jsonl"
    texts = [one if isinstance(one, str) else json.dumps(one) for one in records]
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def record(one: Instruction, response: str, **more: Any) -> dict[str, Any]:
    return {"instruction": one.text, "type": one.type, "response": response} | more


def canonical(count: int) -> list[Candidate]:
    return [Candidate(one, one.answer, CANONICAL) for one in SMALL.train[:count]]


def sampled(candidate: Candidate, *responses: str) -> list[SystemResponse]:
    return [
        SystemResponse.of(judge(candidate.instruction, text), None, sample=number)
        for number, text in enumerate(responses)
    ]


def test_chosen_is_what_the_verifier_accepts(tmp_path: Path) -> None:
    """1B's response where it is right, the canonical answer where it is wrong, marked as such."""
    right, wrong = SMALL.train[:2]
    path = data(tmp_path, record(right, f" {right.answer} "), record(wrong, "I do not know."))
    found = {one.instruction.text: one for one in candidates(path, SMALL)}

    assert len(found) == len(SMALL.train)
    assert found[right.text].chosen == right.answer
    assert found[right.text].source == GENERATED
    assert found[wrong.text].source == CANONICAL
    assert all(not one.instruction.reasons(one.chosen) for one in found.values())


def test_users_own_instruction_needs_its_checks(tmp_path: Path) -> None:
    """A record of no set counts with checks of its own; without them nothing could judge it."""
    checks = [{"check": "accepts", "values": ["blue"]}]
    own = {"instruction": "Sky?", "type": "qa", "response": "It is blue.", "checks": checks}
    unchecked = {"instruction": "Sea?", "type": "qa", "response": "It is green."}
    bare = InstructionSet("own", (), (), (), ())
    found = candidates(data(tmp_path, own, unchecked), bare)

    assert [(one.instruction.text, one.chosen) for one in found] == [("Sky?", "It is blue.")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"instruction": "Sky?", "type": "qa", "response": "x", "checks": [{}]}', "check"),
        ('{"instruction": "Sky?", "type": "qa", "response": "x", "checks": "no"}', "list"),
        ('{"instruction": "Sky?", "type": "poem", "response": "x", "checks": [1]}', "poem"),
        ('{"instruction": "Sky?"', "not JSON"),
        ("[]", "not an object"),
    ],
)
def test_broken_record_is_named(tmp_path: Path, line: str, problem: str) -> None:
    """A mistake in the data names its file and line, and a remedy."""
    good = record(SMALL.train[0], SMALL.train[0].answer)
    with pytest.raises(StageError, match=problem) as caught:
        candidates(data(tmp_path, good, line), SMALL)

    assert "data.jsonl, line 2" in caught.value.what
    assert caught.value.remedy


def test_nothing_right_is_an_error(tmp_path: Path) -> None:
    """Data without one verified response and a set without answers cannot give a pair."""
    bare = replace(SMALL, train=(replace(SMALL.train[0], answer=""),))
    with pytest.raises(StageError, match="no record whose response"):
        candidates(data(tmp_path, record(SMALL.train[0], "I do not know.")), bare)


def test_pairs_are_the_models_own_failures() -> None:
    """Only distinct wrong samples are rejected, and every instruction has its turn first."""
    first, second, third = canonical(3)
    records = [
        *sampled(first, "one", "one", "two", "three", first.chosen),
        *sampled(second, second.chosen),
        *sampled(third, "four"),
    ]
    found = sampled_pairs([first, second, third], records, PARAMETERS)

    assert sorted(pair.rejected for pair in found) == ["four", "one", "two"]
    assert {pair.instruction for pair in found[:2]} == {
        first.instruction.text,
        third.instruction.text,
    }
    assert all(pair.source == SAMPLED and pair.reasons for pair in found)
    assert all(pair.prompt == pair.instruction + "\n" for pair in found)
    assert (
        len(sampled_pairs([first, third], records, replace(PARAMETERS, pairs=2, least_pairs=2)))
        == 2
    )


def test_a_sample_that_holds_what_is_measured_on_makes_no_pair() -> None:
    """The model ran on into a held-out instruction: that text is learned from on neither side."""
    one, measured = canonical(1)[0], SMALL.held_out[0].text
    records = sampled(one, "Something else.", f"It is so.\n{measured}", f"{measured} is so.")

    assert [record.response for record in usable_samples(records, SMALL)] == ["Something else."]


def test_enough_failures_are_not_filled_up() -> None:
    """Nothing is made up where the model failed often enough."""
    asked = canonical(10)
    pairs = sampled_pairs(asked, [one for c in asked for one in sampled(c, "wrong")], PARAMETERS)

    assert fill_with_corruptions(pairs, asked, PARAMETERS) == pairs


def test_gap_is_filled_with_marked_corruptions() -> None:
    """Made-up failures are wrong by the verifier, of the right kind, and marked."""
    asked = canonical(200)
    pairs = sampled_pairs(asked, sampled(asked[0], "wrong"), PARAMETERS)
    found = fill_with_corruptions(pairs, asked, replace(PARAMETERS, least_pairs=40))
    made = [pair for pair in found if pair.source == CORRUPTED]
    by_text = {one.instruction.text: one.instruction for one in asked}

    assert len(found) == 40
    assert len(made) == 39
    assert found[0] == pairs[0]
    for pair in made:
        assert by_text[pair.instruction].reasons(pair.rejected)
        assert not by_text[pair.instruction].reasons(pair.chosen)
        assert pair.temperature is None
    assert summary(found)["source"] == {CORRUPTED: 39, SAMPLED: 1}


def test_corruptions_are_fluent_and_of_the_same_kind() -> None:
    """The first ones are right answers to other instructions of the kind; none is right here."""
    asked = canonical(300)
    one = next(c for c in asked if c.instruction.kind == "sum")
    sums = {c.chosen for c in asked if c.instruction.kind == "sum"}
    found = list(corruptions(one, asked, random.Random(0)))

    assert found[0] in sums - {one.chosen}
    assert all(one.instruction.reasons(text) for text in found)


def test_fewer_failures_than_needed_is_an_error() -> None:
    """Without corruption the stage ends with both numbers and what to change."""
    asked = canonical(20)
    pairs = sampled_pairs(asked, sampled(asked[0], "wrong"), PARAMETERS)
    with pytest.raises(StageError, match=r"1 failures .* 10 pairs are needed") as caught:
        fill_with_corruptions(pairs, asked, replace(PARAMETERS, corruption=False))

    assert "temperature" in caught.value.remedy
    with pytest.raises(StageError, match="could be made up"):
        fill_with_corruptions(pairs, asked[:1], replace(PARAMETERS, least_pairs=30))


def test_seed_decides_and_nothing_else() -> None:
    """The same samples give the same pairs; another seed draws other ones."""
    asked = canonical(60)
    records = [one for c in asked for one in sampled(c, "wrong")]
    few = replace(PARAMETERS, pairs=10)

    assert sampled_pairs(asked, records, few) == sampled_pairs(asked, records, few)
    other = sampled_pairs(asked, records, replace(few, seed=1))
    assert [pair.instruction for pair in other] != [
        pair.instruction for pair in sampled_pairs(asked, records, few)
    ]
