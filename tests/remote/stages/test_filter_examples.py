"""The filters of stage 1B, tried on garbage of real models and on right answers that look odd."""

from __future__ import annotations

import pytest

from remote.stages.datagen.answer_label import without_label
from remote.stages.datagen.candidate import Candidate
from remote.stages.datagen.filters import FILTERS
from remote.stages.datagen.selection import Policy, Selection
from remote.stages.instructions.sets import load
from remote.stages.model.stop_reasons import DELIMITED
from remote.stages.verification.instruction import Instruction

SET = load("english")
BY_KIND = {one.kind: one for one in SET.train}
SUM = BY_KIND["arithmetic"]
GARBAGE = (
    "#### 10\n\nA little problem for the afternoon.",
    "########",
    " ###\nWrite something else",
    "##\nThe answer is 12.",
    "### Heading of nothing",
    "\uff03\uff03\uff03\n12",
    "\\#\\#\\#\n12",
    "12 ###",
    "Question: what comes now?",
    "Exercise 4\nName a lake.",
    "Problem 2: add the numbers.",
    "<html><body>12</body></html>",
    "<p>12</p>",
    "\\boxed{12}",
    "https://example.org/12",
    "I'm not sure.",
    "N/A",
    "None of the above.",
    "Not enough information.",
)


def objections(instruction: Instruction, response: str) -> dict[str, str]:
    candidate = Candidate(instruction, f"{instruction.text}\n", response, DELIMITED)
    judged = {name: rule(candidate) for name, rule in FILTERS.items()}
    return {name: why for name, why in judged.items() if why}


@pytest.mark.parametrize("response", GARBAGE)
def test_garbage_is_removed(response: str) -> None:
    """Look-alike delimiters, scaffolds, markup and empty phrases go, on the first line too."""
    assert objections(SUM, response)


def test_the_instruction_again_is_removed() -> None:
    """A response that is its own instruction answers nothing."""
    assert objections(SUM, SUM.text)


def test_canonical_answers_stay() -> None:
    """No filter removes the right answer that comes with an instruction."""
    lost = [(one.text, objections(one, one.answer)) for one in SET.train[:800]]

    assert [entry for entry in lost if entry[1]] == []


@pytest.mark.parametrize(
    "label", ["Answer: ", "A: ", "Final answer: ", "**Answer:** ", "Answer:\n"]
)
def test_a_label_before_an_answer_is_cut(label: str) -> None:
    """What stands behind the label is kept, without it; nothing of the answer is lost."""
    candidate = Candidate(SUM, f"{SUM.text}\n", f"{label}{SUM.answer}", DELIMITED)

    (judged,) = Selection(Policy(())).add([candidate])

    assert objections(SUM, candidate.response) == {}
    assert judged.removed_by is None
    assert judged.candidate.response == SUM.answer
    assert judged.reasons == ()


@pytest.mark.parametrize(
    "response",
    [
        "Answer:",
        "Assistant: 12",
        "A: 12\nB: 13",
        "Answer: 12\nQuestion: What is 3 plus 4?",
        "AI: 12",
    ],
)
def test_labels_of_turns_and_choices_are_not_cut(response: str) -> None:
    """A role, a choice among several and a second question stay visible to the filters."""
    candidate = Candidate(SUM, f"{SUM.text}\n", response, DELIMITED)

    assert without_label(candidate) == candidate


def test_a_right_short_answer_stays() -> None:
    """What the verifier calls right is not too short, however long the canonical answer is."""
    question = next(one for one in SET.train if one.kind == "question")
    thing = question.checks[0]["values"][0]

    assert objections(question, f"Is this {thing} old?") == {}
    assert "short" in objections(
        Instruction("Explain rain.", "generation", "x", "A" * 80, question.checks), "Rain."
    )
