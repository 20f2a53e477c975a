"""The filters of stage 1B, tried on garbage of real models and on right answers that look odd."""

from __future__ import annotations

import pytest

from remote.stages.datagen.candidate import Candidate
from remote.stages.datagen.filters import FILTERS
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


def test_a_right_short_answer_stays() -> None:
    """What the verifier calls right is not too short, however long the canonical answer is."""
    question = next(one for one in SET.train if one.kind == "question")
    thing = question.checks[0]["values"][0]

    assert objections(question, f"Is this {thing} old?") == {}
    assert "short" in objections(
        Instruction("Explain rain.", "generation", "x", "A" * 80, question.checks), "Rain."
    )
