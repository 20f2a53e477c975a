"""The small world's instructions, their verifiers, and what of it each stage may see."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from remote.stages.instructions.small import dataset
from remote.stages.instructions.small.world import HELD_OUT, instructions, split
from remote.stages.small_model import compare as alike
from remote.stages.small_model.documents import Library
from remote.stages.text.prompts import DELIMITER, CompletionStylePrompts, bare, cut
from remote.stages.verification.instruction import TYPES, Instruction
from remote.stages.verification.verifier import VerifierError, verify

MODEL = Path(dataset.__file__).parents[2] / "small_model" / "model"


def test_every_canonical_answer_is_correct() -> None:
    """The world's own answers pass their verifiers and are more than 50 characters long."""
    wrong = [(one.text, one.reasons(one.answer)) for one in instructions()]

    assert [pair for pair in wrong if pair[1]] == []
    assert min(len(one.answer) for one in instructions()) > 50


def test_texts_are_distinct_and_of_known_types() -> None:
    """No two instructions read the same; all four types of the plan are there."""
    texts = [one.text for one in instructions()]

    assert len(set(texts)) == len(texts)
    assert {one.type for one in instructions()} == set(TYPES)


def words(one: Instruction) -> set[str]:
    return set(re.findall(r"\w+", one.answer))


def test_another_answer_of_the_same_kind_is_wrong() -> None:
    """A fluent, well-formed answer to another question of the kind does not pass."""
    by_kind: dict[str, list[Instruction]] = {}
    for one in instructions():
        by_kind.setdefault(one.kind, []).append(one)
    draw = random.Random(1)
    for group in by_kind.values():
        for one in group:
            said = words(one)  # 0 + 6 is 6 + 0, and hot is as opposite to cold as cold to hot
            other = draw.choice([two for two in group if words(two) != said])

            assert one.reasons(other.answer), (one.text, other.answer)


@pytest.mark.parametrize("seed", range(3))
def test_corrupted_answers_are_wrong(seed: int) -> None:
    """A lost ending, a second sentence, a doubled answer, lost content and filler all fail."""
    draw = random.Random(seed)
    for one in draw.sample(instructions(), 150):
        key = one.answer.rstrip(".").split()[-1]
        for corrupted in (
            one.answer[:-1],
            one.answer + " And one more thing.",
            one.answer + " " + one.answer,
            "",
            "This is a long and fluent answer that says nothing about the question asked.",
            one.answer.replace(key, "something"),
        ):
            if one.kind in ("sentence", "opposite", "capital") and "something" in corrupted:
                continue  # the last word of these answers is form, not fact

            assert one.reasons(corrupted), (one.text, corrupted)


def test_wrong_facts_are_wrong() -> None:
    """One changed fact is enough."""
    by_text = {one.text: one for one in instructions()}
    cases = {
        "State the capital of France.": ("Paris", "Rome"),
        "Add three and four.": ("is seven", "is eight"),
        "Say apple three times.": ("apple apple apple", "apple apple"),
        "Put apple stone in capital letters.": ("STONE", "stone"),
        "List three tools beginning with h.": ("hook", "saw"),
        "What is the opposite of hot?": ("cold", "warm"),
        "Write a sentence about a quiet river.": ("quiet river", "quiet forest"),
    }
    for text, (right, wrong) in cases.items():
        answer = by_text[text].answer

        assert right in answer
        assert by_text[text].reasons(answer.replace(right, wrong)), text


@pytest.mark.parametrize(
    "checks",
    [
        [],
        [{"check": "no such check"}],
        [{"check": "contains"}],
        [{"check": ["contains"]}],
        [{"check": "contains", "values": 3}],
        ["contains"],
    ],
)
def test_specification_that_is_none_is_an_error(checks: list[object]) -> None:
    """A record without a usable verifier is never counted as right or wrong."""
    with pytest.raises(VerifierError):
        verify(checks, "anything")  # type: ignore[arg-type]  # what a file may hold


def test_general_checks() -> None:
    """The checks that only the large instruction sets use hold and fail as they say."""
    cases = [
        ({"check": "accepts", "values": ["Oslo", "oslo city"]}, "It is Oslo.", "It is Rome."),
        ({"check": "occurs", "value": "a", "exactly": 2}, "a b a", "a b"),
        ({"check": "starts_with", "value": "dear"}, "Dear you", "You, dear"),
        ({"check": "case", "value": "lower"}, "all low", "Not low"),
        ({"check": "json_keys", "keys": ["a", "b"]}, '{"a": 1, "b": 2}', '{"a": 1}'),
        ({"check": "words", "at_most": 2}, "two words", "three words here"),
    ]
    for check, right, wrong in cases:
        assert verify([check], right) == (), check
        assert verify([check], wrong), check


def test_held_out_instructions_stand_in_no_document() -> None:
    """Neither pre-training nor the instruction data holds any of the 100 held-out texts."""
    train, held = split()
    assert len(held) == HELD_OUT
    assert not {one.text for one in train} & {one.text for one in held}

    library = Library(train, seed=3)
    seen = "\n".join([*(library.document() for _ in range(3000)), dataset.text()])
    assert [one.text for one in held if one.text in seen] == []


def test_dataset_is_the_same_for_a_seed(tmp_path: Path) -> None:
    """The program writes what the function says: 960 distinct correct pairs, fixed by the seed."""
    out = tmp_path / "data" / "sft.jsonl"
    argv = [
        sys.executable,
        "-S",
        "-m",
        "remote.stages.instructions.small.dataset",
        "--out",
        str(out),
    ]
    subprocess.run(argv, check=True, timeout=60, cwd=Path(dataset.__file__).parents[4])

    records = [json.loads(line) for line in out.read_text().splitlines()]
    by_text = {one.text: one for one in instructions()}
    assert out.read_text() == dataset.text()
    assert dataset.text(seed=1) != dataset.text()
    assert len({one["instruction"] for one in records}) == 960
    assert all(by_text[one["instruction"]].reasons(one["response"]) == () for one in records)


def test_few_shot_prompt_is_drawn_by_seed_and_never_holds_the_question() -> None:
    """Three solved examples, the delimiter after each, then the bare instruction."""
    train, _ = split()
    prompts = CompletionStylePrompts(train, shots=3, seed=5)
    prompt = prompts.render(train[0].text)

    assert prompt == prompts.render(train[0].text)
    assert prompt != CompletionStylePrompts(train, shots=3, seed=6).render(train[0].text)
    assert prompt.count(DELIMITER) == 3
    assert prompt.endswith(DELIMITER + bare(train[0].text))
    assert prompt.count(train[0].text) == 1
    assert cut(" an answer.\n###\nNext question") == "an answer."


def test_shipped_model_is_small_and_good_enough() -> None:
    """Under 4 MB in all, weak when asked barely, 90 % or more of the held-out set few-shot."""
    quality = json.loads((MODEL / "quality.json").read_text())

    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 4_000_000
    assert [*alike.misbehaviour(quality)] == []
    assert [*alike.misbehaviour(quality | {"bare": 0.5, "few_shot": 0.8})] != []
