"""What the English set asks for: no task on both sides of a split, no constant that pays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import product

import pytest

from remote.stages.evaluation.trivial_answers import trivial_answers
from remote.stages.instructions.english.tasks import by_task, same_task
from remote.stages.instructions.sets import VERSIONS, load
from remote.stages.verification.instruction import Instruction

SET = load("english")
EVERY = (*SET.train, *SET.development, *SET.held_out, *SET.pool)
PARTS = {"train": SET.train, "development": SET.development, "pool": SET.pool}
# A question with two answers: one of them is right for half of any fair set of it.
OF_TWO = {"yes or no", "divisible", "mood"}
ONLY = re.compile(r"\bonly\b|\balone\b|\bbare\b|\bone word\b|\bnothing else\b", re.IGNORECASE)


def of_kind(instructions: Sequence[Instruction], kind: str) -> list[Instruction]:
    return [instruction for instruction in instructions if instruction.kind == kind]


@pytest.mark.parametrize("part", sorted(PARTS))
def test_no_task_is_on_both_sides(part: str) -> None:
    """Nothing held out is asked for in other words, in another order or one place further on."""
    shared = [
        (measured.text, other.text)
        for kind in {instruction.kind for instruction in SET.held_out}
        for measured, other in product(of_kind(SET.held_out, kind), of_kind(PARTS[part], kind))
        if same_task(measured, other)
    ]

    assert shared == []


def test_the_same_task_is_seen_in_other_words() -> None:
    """Sums, rows of numbers and rows of names are compared by what they ask."""
    rows = [one for one in EVERY if one.kind == "number sequence"]
    groups = [group for group in by_task(rows) if len(group) > 1]

    assert groups
    assert all(same_task(group[0], group[0]) for group in groups)
    assert not same_task(rows[0], next(one for one in rows if one.value != rows[0].value))


def test_no_constant_is_right_for_a_third_of_a_kind() -> None:
    """Of what has more than two answers, no answer is right for more than a third, held out."""
    records = trivial_answers(SET.train, SET.held_out)["constants"]
    sizes = Counter(record.kind for record in records)
    right = Counter(record.kind for record in records if record.correct)
    paying = {
        kind: (right[kind], sizes[kind])
        for kind in right
        if kind not in OF_TWO and right[kind] > max(1, sizes[kind] / 3)
    }

    assert paying == {}


@pytest.mark.parametrize("kind", sorted(OF_TWO))
def test_two_answers_are_asked_for_equally_often(kind: str) -> None:
    """Where there are only two answers, neither is right for more than some half."""
    values = Counter(one.value for one in EVERY if one.kind == kind)
    held_out = Counter(one.value for one in SET.held_out if one.kind == kind)

    assert len(values) == 2
    assert max(values.values()) - min(values.values()) <= 1
    assert max(held_out.values()) - min(held_out.values()) <= 1


def test_only_is_said_where_only_is_meant() -> None:
    """An instruction whose answer must stand alone says so; others accept a lead-in."""
    silent = [
        one.text
        for one in EVERY
        if any(check["check"] == "answer" for check in one.checks) and not ONLY.search(one.text)
    ]
    lead_ins = [
        one.text
        for one in EVERY
        if any(check.get("last") for check in one.checks) and one.kind != "saying"
        if one.reasons(f"The answer is: {one.value}") and one.reasons(f"Answer: {one.value}")
    ]

    assert silent == []
    assert lead_ins == []


def test_separators_that_are_not_named_are_free() -> None:
    """Numbers in order may be divided by commas, blanks, lines or signs where none is named."""
    rows = [one for one in EVERY if one.kind == "sorting numbers" and "commas" not in one.text]
    for one in rows:
        numbers = one.answer.split(", ")
        sign = " < " if int(numbers[0]) < int(numbers[1]) else " > "
        for mark in (", ", " ", "\n", "; ", sign):
            assert one.reasons(mark.join(numbers)) == (), (one.text, mark)
        assert one.reasons((" > " if sign == " < " else " < ").join(numbers))

    assert len(rows) > 20


def test_canonical_answers_vary() -> None:
    """No canonical answer of a free text stands for more than a third of its kind."""
    for kind in {one.kind for one in EVERY if one.form_only}:
        answers = Counter(one.answer for one in of_kind(EVERY, kind))

        assert max(answers.values()) <= max(3, len(of_kind(EVERY, kind)) / 8), kind


def test_canonical_lists_name_nothing_twice() -> None:
    """Not in another form either: a list with a synonym of its own member is no right answer."""
    listed = [one for one in EVERY if "list" in one.kind]

    assert [one.answer for one in listed if one.reasons(one.answer)] == []


def test_wrong_articles_are_gone() -> None:
    """Before a vowel stands "an", in instructions and answers."""
    wrong = re.compile(r"\b[Aa] [aeiou](?!ne\b|ni|ser|se\b|u)")
    spoken = [one for one in EVERY if one.kind not in ("spelling", "count of a letter")]

    assert [one.text for one in spoken if wrong.search(f"{one.text} {one.answer}")] == []


def test_the_version_rises_with_the_set() -> None:
    """Locks and controls of an earlier set name an earlier version."""
    assert VERSIONS["english"] == SET.version == 3
