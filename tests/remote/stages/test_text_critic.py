"""The critic of free text: what is compared, how its threshold is chosen, when it abstains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from remote.stages.evaluate import judge_free_text
from remote.stages.evaluation.free_text import assess_free_text, instructions_of_free_text, verdicts
from remote.stages.evaluation.parameters import EvaluateParameters
from remote.stages.instructions.sets import load
from remote.stages.model.loading import SMALL, load_model, load_tokenizer, resolve
from remote.stages.model.log_probabilities import log_probabilities
from remote.stages.text.prompts import bare, completion
from remote.stages.verification.scoring import judge
from remote.stages.verification.text_critic import (
    MOST_ACCEPTED,
    Likelihood,
    area,
    calibrate,
    calibrate_on,
    labelled,
    likelihoods,
    shuffles,
)
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER
ENGLISH = load("english")
WRITTEN = instructions_of_free_text(ENGLISH.development)
CANONICAL = {one.text: one.answer for one in ENGLISH.train + ENGLISH.development}


def one_who_knows(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """A stand-in for a model: it finds the canonical answer likely and all else unlikely."""
    return [-1.0 if CANONICAL.get(text) == response else -3.0 for text, response in pairs]


def one_who_does_not(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """A stand-in for a model to which every text of a length is alike."""
    return [-float(len(response) % 7) for _, response in pairs]


def test_the_margin_is_the_smaller_difference() -> None:
    """A text that fits its instruction but has no order, or the other way round, has none."""
    assert Likelihood(-1.0, (-3.0, -2.0), (-4.0, -5.0)).margin == 1.0
    assert Likelihood(-1.0, (-3.0, -2.5), (-0.5, -5.0)).margin == -0.5


def test_the_threshold_accepts_few_of_the_wrong() -> None:
    """At most one wrong response in twenty is accepted, and no more right ones are lost for it."""
    right = [n / 10 for n in range(10, 110)]
    wrong = [n / 10 for n in range(-90, 10)]
    wrong[-3:] = [20.0, 30.0, 40.0]

    found = calibrate(right, wrong)

    assert found.false_accepts <= MOST_ACCEPTED
    assert found.false_rejects == 0.0
    assert not found.abstains


def test_equal_margins_are_no_evidence() -> None:
    """Ties count half: a model to which all is alike has an AUC of 0.5 and abstains."""
    found = calibrate([0.0] * 20, [0.0] * 20)

    assert found.auc == area([1.0], [1.0]) == 0.5
    assert found.abstains
    assert found.agrees(Likelihood(0.0, (-9.0,), (-9.0,))) is None
    assert found.false_accepts == 0.0


def test_no_labels_are_no_calibration() -> None:
    """Without right or wrong responses the critic abstains."""
    assert calibrate([], [1.0]).abstains
    assert calibrate([1.0], []).abstains


def test_a_model_that_knows_is_a_critic_and_another_abstains() -> None:
    """The calibration itself finds out which of the two the model is."""
    assert not calibrate_on(WRITTEN, one_who_knows).abstains
    assert calibrate_on(WRITTEN, one_who_does_not).abstains


def test_labels_are_as_their_names_say() -> None:
    """Right ones are canonical; of the wrong ones none is right by the verifier but by chance."""
    pairs, count = labelled(WRITTEN)

    assert all(instruction.answer == response for instruction, response in pairs[:count])
    assert len(pairs) > 2 * count
    assert all(sorted(text.split()) == sorted(["a", "b", "c"]) for text in shuffles("a b c"))


def systems() -> dict[str, Any]:
    right = [judge(one, one.answer) for one in WRITTEN]
    wrong = [judge(one, "No.") for one in WRITTEN]
    return {"base": wrong, "dpo": right}


def test_verdicts_follow_from_what_is_recorded() -> None:
    """Without a model the recorded log-probabilities give the same verdicts, and no others."""
    train = instructions_of_free_text(ENGLISH.train)
    document = assess_free_text(systems(), WRITTEN, train, one_who_knows)

    assert document["systems"]["dpo"]["agreed"] == len(WRITTEN)
    assert document["systems"]["base"]["form"] == 0
    assert verdicts(document) == [True] * len(WRITTEN)
    document["responses"][0]["own"] = -9.0
    assert verdicts(document)[0] is False


def test_where_the_critic_abstains_free_text_is_form_only() -> None:
    """No response is agreed to by a model that cannot tell; the form is still counted."""
    train = instructions_of_free_text(ENGLISH.train)
    document = assess_free_text(systems(), WRITTEN, train, one_who_does_not)

    assert document["calibration"]["abstains"]
    cell = document["systems"]["dpo"]
    assert (cell["form"], cell["agreed"], cell["rate"]) == (len(WRITTEN), None, None)


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    source = resolve(SMALL)
    return load_model(source, "none"), load_tokenizer(source)


def test_log_probabilities_are_those_of_each_alone(small: tuple[Any, Any]) -> None:
    """Batched and padded as computed one by one; a blank response has none."""
    import torch

    model, tokenizer = small
    pairs = [(one.text, one.answer) for one in load("small").train[:5]]
    batched = log_probabilities(model, tokenizer, [*pairs, ("Say no.", " ")], 4)

    for (instruction, response), value in zip(pairs, batched, strict=False):
        prompt = tokenizer(bare(instruction), add_special_tokens=False)["input_ids"]
        said = tokenizer(completion(response), add_special_tokens=False)["input_ids"]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*prompt, *said]])).logits[0].float()
        logs = torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)
        alone = logs[range(len(said)), said].mean()
        assert value == pytest.approx(float(alone), abs=1e-4)
    assert batched[-1] == float("-inf")


def test_the_small_model_is_a_critic_of_its_own_world_only(small: tuple[Any, Any]) -> None:
    """It tells its own answers from shuffled ones, and abstains on English, which it never saw."""
    model, tokenizer = small

    def of_pairs(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return log_probabilities(model, tokenizer, pairs, 64)

    own = [one for one in load("small").train if len(one.answer.split()) > 4][:40]
    pairs = [(one, one.answer) for one in own] + [(one, shuffles(one.answer)[0]) for one in own]
    values = [value.order for value in likelihoods(pairs, own, of_pairs)]

    assert area(values[:40], values[40:]) > 0.9
    assert calibrate_on(WRITTEN, of_pairs).abstains
    assert replace(WRITTEN[0], kind="note").form_only


def test_stage_1e_asks_the_base_and_not_an_adapter() -> None:
    """The adapter that answered last does not judge: the base's own log-probabilities count."""
    from peft import LoraConfig, get_peft_model

    source = resolve(SMALL)
    base, tokenizer = load_model(source, "none"), load_tokenizer(source)
    pairs = [(WRITTEN[0].text, WRITTEN[0].answer)]
    (alone,) = log_probabilities(base, tokenizer, pairs, 1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(base, config, adapter_name="dpo")
    (adapted,) = log_probabilities(model, tokenizer, pairs, 1)
    parameters = EvaluateParameters(model=SMALL, critic=True, batch=16)
    measured = replace(ENGLISH, held_out=ENGLISH.development, development=())

    document = judge_free_text(model, tokenizer, systems(), measured, parameters, lambda _: None)

    assert adapted != pytest.approx(alone, abs=1e-3)
    assert document["responses"][0]["own"] == pytest.approx(alone, abs=1e-4)
    assert document["calibration"]["abstains"]


def test_too_few_free_texts_make_the_critic_abstain() -> None:
    """Without an instruction that asks for free text, or with two, nothing is asked of the model,
    and the report is a JSON document without infinite numbers."""

    def never(_: object) -> list[float]:
        raise AssertionError("the model was asked")

    free = [entry for entry in load("english", 0).held_out if entry.form_only][:2]
    for written in ([], free):
        found = assess_free_text({"base": ()}, written, written, never)
        text = json.dumps(found, allow_nan=False)

        assert found["calibration"]["abstains"]
        assert found["systems"]["base"]["agreed"] is None
        assert verdicts(found) == []
        assert "fewer than 3" in text
