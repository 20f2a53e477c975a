"""Stage 1D looks for failures where the model fails, prefers its own answers, and knows when to
stop: by numbers alone, without a model."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from remote.stages.common.parameters import DpoParameters
from remote.stages.common.records import SystemResponse
from remote.stages.instructions.sets import load
from remote.stages.text.prompts import bare
from remote.stages.training.failure_search import ENOUGH, FailureSearch, failure_rates
from remote.stages.training.preference_pairs import (
    Candidate,
    TooFewFailures,
    fill_with_corruptions,
)
from remote.stages.verification.instruction import Instruction
from remote.stages.verification.scoring import judge

SMALL = load("small")
ASKED = [Candidate(one, one.answer, "canonical") for one in SMALL.train]
KINDS = sorted({one.kind for one in SMALL.train})
HARD = KINDS[0]


def parameters(**changes: int | bool) -> DpoParameters:
    return DpoParameters(**({"pairs": 60, "least_pairs": 30, "sample_budget": 2000} | changes))


class Model:
    """Fails with a probability a kind; what it says depends on instruction and sample alone."""

    def __init__(self, rates: dict[str, float], otherwise: float) -> None:
        self.rates, self.otherwise = rates, otherwise
        self.calls: list[tuple[int, int]] = []  # answers, sample

    def ask(self, asked: Sequence[Instruction], sample: int) -> list[SystemResponse]:
        self.calls.append((len(asked), sample))
        return [self.answer(one, sample) for one in asked]

    def answer(self, one: Instruction, sample: int) -> SystemResponse:
        luck = random.Random(f"{one.text}/{sample}").random()
        wrong = luck < self.rates.get(one.kind, self.otherwise)
        record = judge(one, f"no {sample}" if wrong else one.answer)
        return SystemResponse.of(
            record, bare(one.text), system="sft", temperature=0.8, sample=sample
        )

    @property
    def asked(self) -> int:
        return sum(count for count, _ in self.calls)


def search(model: Model, rates: dict[str, float] | None = None, **changes: int) -> FailureSearch:
    found = FailureSearch(ASKED, parameters(**changes), rates or {})
    assert found.run(model.ask, SMALL, lambda _: None)
    return found


def test_hard_kinds_are_asked_first() -> None:
    """Where the development set was hard, failures are looked for before anywhere else."""
    model = Model({HARD: 0.9}, 0.02)
    known = search(model, {kind: 0.9 if kind == HARD else 0.02 for kind in KINDS}, pairs=30)
    first = Counter(record.kind for record in known.records[: model.calls[0][0]])
    blind = Model({HARD: 0.9}, 0.02)
    search(blind, pairs=30)

    assert first.most_common(1)[0][0] == HARD
    assert model.asked < blind.asked


def test_the_model_is_not_asked_more_than_the_budget_allows() -> None:
    """A model that hardly fails costs the budget, not twelve rounds over everything; what was
    found is said."""
    model = Model({}, 0.004)
    found = search(model, sample_budget=700)

    assert model.asked == 700
    document = found.summary(found.pairs(), ENOUGH)
    assert document["answers"] == 700
    assert "the budget of answers is spent" in document["finding"]
    assert max(found._samples.values()) <= 12


def test_a_weak_model_is_asked_about_as_often_as_it_has_to_fail() -> None:
    """Every second answer is wrong: 60 pairs take far fewer answers than one of each."""
    model = Model({}, 0.5)
    search(model)

    assert model.asked < 350 < len(ASKED)


def test_the_models_own_right_answer_is_chosen_over_a_canonical_one() -> None:
    """Instructions of pairs are sampled for one; only where none came the canonical one is left."""
    model = Model({}, 0.5)
    found = search(model)
    sources = Counter(pair.chosen_source for pair in found.pairs())
    right = {one.instruction for one in found.usable if one.correct and not one.form_only}

    assert len(found.pairs()) == 60
    assert sources["sampled"] > 50
    assert all(
        pair.instruction not in right or pair.chosen_source == "sampled" for pair in found.pairs()
    )


def test_the_course_follows_from_the_answers_alone() -> None:
    """A search that is begun again with the same answers asks the same."""
    first, second = Model({HARD: 0.4}, 0.1), Model({HARD: 0.4}, 0.1)
    assert search(first).pairs() == search(second).pairs()
    assert first.calls == second.calls


def test_too_few_failures_are_an_outcome_with_its_numbers() -> None:
    """The pairs that there are come along, and the document says why they are too few."""
    found = search(Model({}, 0.0), sample_budget=300)
    with pytest.raises(TooFewFailures, match="0 failures of the SFT model") as caught:
        fill_with_corruptions(found.pairs(), ASKED, parameters(corruption=False))
    document = found.summary(caught.value.pairs, f"too few: {caught.value.what}")

    assert caught.value.pairs == ()
    assert "too good for preferences to improve it" in caught.value.remedy
    assert document["outcome"].startswith("too few: 0 failures")
    assert document["finding"].startswith("0 of 300 sampled answers are wrong (0.0%)")


@pytest.mark.parametrize(
    "text", ["", "[" * 10_000, "[]", '{"kinds": [1]}', '{"kinds": {"a": {"n": "x"}}}']
)
def test_rates_of_no_table_are_no_rates(tmp_path: Path, text: str) -> None:
    """Of a missing or broken development.json nothing is taken; the search learns by asking."""
    assert failure_rates(tmp_path / "none.json") == {}
    (tmp_path / "development.json").write_text(text)
    assert failure_rates(tmp_path / "development.json") == {}


def test_rates_are_those_of_the_development_set(tmp_path: Path) -> None:
    """Smoothed, so that a kind without a failure is not never asked."""
    kinds = {"sum": {"n": 9, "correct": 9}, "plural": {"n": 9, "correct": 0}}
    (tmp_path / "development.json").write_text(json.dumps({"kinds": kinds}))
    rates = failure_rates(tmp_path / "development.json")

    assert 0 < rates["sum"] < 0.1 < 0.9 < rates["plural"] < 1
