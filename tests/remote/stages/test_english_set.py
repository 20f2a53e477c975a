"""The English instruction set: sizes, parts, and verifiers that cannot be talked into a yes."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache

import pytest

from remote.stages.instructions.english.splits import make_splits
from remote.stages.instructions.sets import load
from remote.stages.text.near_duplicates import near_duplicates, normalised
from remote.stages.verification.instruction import CRITIC, TYPES, Instruction
from remote.stages.verification.specification import check_specification
from tests.support.english_examples import EXAMPLES, Labelled

SET = load("english")
EVERY = (*SET.train, *SET.development, *SET.held_out, *SET.pool)
BY_TEXT = {one.text: one for one in EVERY}

RAMBLE = (
    "This is a fascinating question that deserves a careful and thorough answer. Throughout "
    "history many people have thought about it, and experts agree that it depends on several "
    "important factors. First of all, one should consider the context in which it arises. "
    "Furthermore, it is helpful to look at it from different perspectives, since each of them "
    "offers valuable insight. In conclusion, there is no doubt that a balanced view of the "
    "matter leads to a better understanding for everyone who is involved."
)
FLUENT = (
    RAMBLE,
    "Certainly! " + RAMBLE,
    "Sure, here is everything that you need to know about the subject, explained step by step.",
    "- It is important to plan ahead.\n- It is helpful to ask others.\n- It pays to be patient.",
    "1. Begin with the basics.\n2. Practise every day.\n3. Review what you have learned.",
    "Dear friend, thank you for your message, I was very happy to hear from you again today.",
    "The answer to this can be found by thinking about it carefully and writing it down clearly.",
    "WHAT A GREAT DAY THIS IS!",
    "How does one best answer a thing like this?",
    '{"answer": "It depends.", "confidence": 0.99}',
)


@cache
def kinds() -> dict[str, list[Instruction]]:
    found: dict[str, list[Instruction]] = {}
    for one in EVERY:
        found.setdefault(one.kind, []).append(one)
    return found


def test_set_is_large_enough() -> None:
    """1,500 to train on, 300 held out, 100 for development, a pool, each of all four types."""
    for part, least in ((SET.train, 1500), (SET.held_out, 300), (SET.development, 100)):
        assert len(part) >= least
        assert set(Counter(one.type for one in part)) == set(TYPES)
    assert {one.type for one in SET.pool} == set(TYPES)
    assert {one.kind for one in SET.held_out} == set(kinds())


def test_texts_are_distinct() -> None:
    """No two instructions read the same when case and punctuation are ignored."""
    texts = [normalised(one.text) for one in (*EVERY, *SET.critic)]

    assert len(set(texts)) == len(texts)


def test_parts_are_not_near_each_other() -> None:
    """Nothing that is measured on is nearly something that is learned from or shown."""
    measured = [one.text for one in (*SET.held_out, *SET.development)]
    learned = [one.text for one in (*SET.train, *SET.pool, *SET.critic)]

    assert near_duplicates(measured, learned) == ()
    assert near_duplicates(measured[: len(SET.held_out)], measured[len(SET.held_out) :]) == ()


def test_division_is_the_same_in_every_process() -> None:
    """The parts depend on nothing but the code: built anew they are equal."""
    again = make_splits.__wrapped__()

    assert again == make_splits()


def test_seed_orders_training_and_moves_nothing() -> None:
    """Stages with different seeds still hold out the same instructions."""
    other = load("english", seed=7)

    assert other.train != SET.train
    assert {one.text for one in other.train} == {one.text for one in SET.train}
    assert other.held_out == SET.held_out
    assert other.development == SET.development


def test_every_canonical_answer_is_right() -> None:
    """Each instruction's own answer passes its verifier."""
    assert [(one.text, one.answer) for one in EVERY if one.reasons(one.answer)] == []


def test_every_specification_is_sound() -> None:
    """Each verifier checks content, not form alone, with known fields."""
    for one in EVERY:
        check_specification(list(one.checks))


@pytest.mark.parametrize("response", FLUENT)
def test_long_fluent_answers_are_wrong(response: str) -> None:
    """Length, politeness, lists and good grammar pass no verifier of the set."""
    assert [one.text for one in EVERY if not one.reasons(response)] == []


def test_right_answers_drowned_in_text_are_wrong() -> None:
    """A right answer followed by a page of fluent text is no right answer."""
    drowned = [one for one in EVERY if not one.reasons(f"{one.answer} {RAMBLE}")]

    assert [one.text for one in drowned] == []
    assert [one.text for one in EVERY if not one.reasons(f"{one.answer}\n{RAMBLE}")] == []


def test_everything_at_once_is_wrong() -> None:
    """All answers of a kind in one response pass for none of it."""
    for group in kinds().values():
        shotgun = " ".join(dict.fromkeys(one.answer for one in group))
        if len(shotgun.split()) <= len(group[0].answer.split()) + 1:
            continue

        assert [one.text for one in group if not one.reasons(shotgun)] == []


def test_the_question_is_not_its_answer() -> None:
    """Repeating the instruction, or nothing at all, is wrong everywhere."""
    assert [one.text for one in EVERY if not one.reasons(one.text)] == []
    assert [one.text for one in EVERY if not one.reasons("")] == []


def test_another_answer_of_the_same_kind_is_wrong() -> None:
    """A well-formed answer to another question of the kind does not pass."""
    draw = random.Random(1)
    for kind, group in kinds().items():
        for one in group:
            others = [two for two in group if two.answer.casefold() != one.answer.casefold()]
            if kind.endswith("list") or kind in ("list by letter", "forbidden word"):
                others = [two for two in others if two.checks[0] != one.checks[0]]
            for two in draw.sample(others, min(3, len(others))):
                if not _ask_for_the_same(one, two):
                    assert one.reasons(two.answer), (one.text, two.answer)


def _ask_for_the_same(one: Instruction, two: Instruction) -> bool:
    """The answers differ in words but not in what is checked: 3 letters here, 3 letters there."""
    first, second = one.checks[0], two.checks[0]
    if first["check"] == second["check"] == "states":
        return bool(first["values"] == second["values"])
    if first["check"] == second["check"] == "decides":
        return bool(first["value"] == second["value"])
    return first == second


def test_labelled_examples_cover_every_kind() -> None:
    """Each kind of the set has hand-labelled right and wrong responses."""
    assert {one.kind for one in EXAMPLES} == set(kinds())
    assert all(one.right and len(one.wrong) >= 2 for one in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.kind)
def test_labelled_examples(example: Labelled) -> None:
    """The verifier agrees with every label."""
    instruction = BY_TEXT[example.text]

    assert instruction.kind == example.kind
    assert [(text, instruction.reasons(text)) for text in example.right] == [
        (text, ()) for text in example.right
    ]
    assert [text for text in example.wrong if not instruction.reasons(text)] == []


def test_explanations_stand_apart() -> None:
    """What only a critic can judge is in no other part, and no response makes it a success."""
    assert {one.kind for one in SET.critic} == {CRITIC}
    assert CRITIC not in kinds()
    assert [one.text for one in SET.critic if not one.reasons(one.answer)] == []
