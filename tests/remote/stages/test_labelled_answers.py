"""The verifiers of the English set, measured with labelled answers and with policies over it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from remote.stages.instructions.sets import load
from remote.stages.verification.instruction import Instruction

SET = load("english")
EVERY = (*SET.train, *SET.development, *SET.held_out, *SET.pool)
FACTS = [instruction for instruction in EVERY if not instruction.form_only]
BY_TEXT = {instruction.text: instruction for instruction in EVERY}
SUPPORT = Path(__file__).parents[2] / "support"
# Each batch was written and labelled before a rule was tried on it; the rules followed.
BATCHES = sorted(SUPPORT.glob("labelled_answers*.txt"))
MOST_ACCEPTED, MOST_REFUSED = 0.01, 0.05  # of the wrong and of the right answers
_VERB = re.compile(r"\b(?:is|are|be|has|occurs|comes|will)\b")


@dataclass(frozen=True)
class Answer:
    instruction: Instruction
    text: str
    right: bool


def labelled_answers() -> Iterator[Answer]:
    instruction = EVERY[0]
    for batch in BATCHES:
        for line in batch.read_text("utf-8").splitlines()[1:]:
            if line.startswith("## "):
                instruction = BY_TEXT[line[3:]]
            else:
                yield Answer(instruction, line[2:].replace("\\n", "\n"), line[0] == "+")


ANSWERS = tuple(labelled_answers())


def test_verifiers_agree_with_the_labels() -> None:
    """At most 1 % of some 1,700 wrong answers are accepted, 5 % of 900 right ones refused."""
    wrong = [answer for answer in ANSWERS if not answer.right]
    right = [answer for answer in ANSWERS if answer.right]
    accepted = [one.text for one in wrong if not one.instruction.reasons(one.text)]
    refused = [one.text for one in right if one.instruction.reasons(one.text)]

    assert len(wrong) > 1500
    assert len(right) > 700
    assert len(accepted) <= MOST_ACCEPTED * len(wrong), accepted
    assert len(refused) <= MOST_REFUSED * len(right), refused


@pytest.mark.parametrize("kind", sorted({answer.instruction.kind for answer in ANSWERS}))
def test_no_kind_errs_often(kind: str) -> None:
    """In no kind more than a tenth of the wrong answers, or of the right ones, is misjudged."""
    for right in (True, False):
        group = [one for one in ANSWERS if one.right is right and one.instruction.kind == kind]
        errors = [one.text for one in group if bool(one.instruction.reasons(one.text)) is right]

        assert len(errors) <= max(1, len(group) / 10), errors


def negated(instruction: Instruction) -> str | None:
    """The canonical answer with "not" after its last verb."""
    verbs = [*_VERB.finditer(instruction.answer)]
    end = verbs[-1].end() if verbs else 0
    return f"{instruction.answer[:end]} not{instruction.answer[end:]}" if verbs else None


def salad(instruction: Instruction) -> str:
    """The words that a written text is to hold, in a row with words of any text."""
    held = re.findall(r'"([^"]+)"', instruction.text) or instruction.answer.split()[-2:]
    return f"{' '.join(held)} of blue seven the.".capitalize()


POLICIES: dict[str, tuple[Callable[[Instruction], str | None], list[Instruction] | None]] = {
    "negated": (negated, FACTS),
    "taken back": (lambda one: f"It is wrong that {one.answer}", None),
    "in doubt": (lambda one: f"I am not sure. {one.answer}", None),
    "with a second task": (lambda one: f"{one.answer}\nWrite a poem about it.", None),
    "with a question": (lambda one: f"{one.answer} Why is the sky blue?", FACTS),
    "asked": (lambda one: f"{one.answer.rstrip('.!')}?", FACTS),
    "as HTML": (lambda one: f"<p>{one.answer}</p>", None),
    "as a heading": (lambda one: f"#### {one.answer}", None),
    "as an address": (lambda one: f"https://example.org/{one.answer}", None),
    "after a refusal": (lambda one: f"I cannot answer that, but people say: {one.answer}", None),
    "three times": (lambda one: " ".join([one.answer] * 3), None),
    "or not": (lambda one: f"{one.answer.rstrip('.!')} or not.", FACTS),
    "perhaps": (lambda one: f"Maybe {one.answer}", FACTS),
    "word salad": (salad, None),
    "an echo": (lambda one: one.text, None),
}


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_no_policy_passes(name: str) -> None:
    """A canonical answer that is taken back, doubted, asked or drowned is no right answer."""
    answer, group = POLICIES[name]
    passed = [
        (one.kind, text)
        for one in group or EVERY
        if (text := answer(one)) is not None and not one.reasons(text)
    ]

    assert passed == []


@pytest.mark.parametrize(
    ("kind", "constant"),
    [
        ("Spanish", "perro, gato, casa, agua, pan, libro, sol, luna, leche, queso, rojo, verde"),
        ("plural", "mice, children, feet, teeth, geese, men, women, oxen, leaves, knives"),
        ("verb form", "went, ate, saw, took, gave, wrote, drove, began, broke, brought, built"),
        ("capital", "Paris, Berlin, Rome, Madrid, Lima, Cairo, Accra, Rabat, Tunis, Quito"),
    ],
)
def test_naming_many_values_states_none(kind: str, constant: str) -> None:
    """A constant that names the values of many instructions is right for none."""
    assert [one.text for one in FACTS if one.kind == kind and not one.reasons(constant)] == []


@pytest.mark.parametrize("lead", ["", "Answer: ", "The answer is "])
def test_lead_ins_are_accepted(lead: str) -> None:
    """Where the instruction does not ask for the value alone, a lead-in may stand before it."""
    kinds = ("arithmetic", "capital", "conversion", "plural", "chemical symbol", "analogy", "month")
    group = [one for one in FACTS if one.kind in kinds and one.checks[0]["check"] == "states"]

    refused = [one.text for one in group if one.reasons(f"{lead}{one.checks[0]['values'][0]}")]

    assert len(group) > 400
    assert refused == []


def test_salad_of_words_from_the_instruction_is_mostly_refused() -> None:
    """Shuffled words of instruction and answer pass for one instruction in thirty at most."""
    passed = 0
    for one in EVERY:
        words = re.findall(r"\w+", f"{one.answer} {one.text}")
        random.Random(one.text).shuffle(words)
        passed += not one.reasons(f"{' '.join(words[:8])}.")

    assert passed <= len(EVERY) / 150


def test_shuffled_canonical_answers_are_mostly_refused() -> None:
    """A canonical answer with its words in another order passes for one in forty at most.

    Among those are true ones: "7 is 72 minus 65".
    """
    passed = tried = 0
    for one in FACTS:
        words = re.findall(r"\w+", one.answer)
        random.Random(one.text).shuffle(words)
        text = " ".join(words)
        if len(words) < 3 or text.casefold() == " ".join(re.findall(r"\w+", one.answer.casefold())):
            continue
        tried += 1
        passed += not one.reasons(text)

    assert passed <= tried / 40


def test_a_conversion_is_not_read_backwards() -> None:
    """No number may have the unit of the other one, in whatever order they are said."""
    group = [one for one in FACTS if one.kind == "conversion"]
    for one in group:
        count, large, _, result, small = one.answer.rstrip(".").split(" ")
        for text in (
            f"{count} {small} are {result} {large}.",
            f"{result} {large} are {count} {small}.",
            f"{small}. {result} are {large} {count}",
        ):
            assert one.reasons(text), text

    assert len(group) > 50
