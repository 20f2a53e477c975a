"""The verdict of the final comparison, on made-up answers to real held-out instructions."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from remote.stages.common.records import ResponseRecord
from remote.stages.evaluation.comparison import Rule, assess, looks_fluent, samples
from remote.stages.instructions.sets import NAMES, load
from remote.stages.verification.instruction import TYPES, Instruction
from remote.stages.verification.scoring import score
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER

HELD_OUT = load("small").held_out
CLEAN = {"disjoint": True, "held_out": len(HELD_OUT), "threshold": 0.8, "against": []}
FLUENT = (
    "That is a very good question, and there is a great deal to say about it. Experts have "
    "thought about it for many years, and their answer is as clear as it is well known."
)

Answerer = Callable[[int, Instruction], str]


def right(place: int, one: Instruction) -> str:
    return one.answer


def silent(place: int, one: Instruction) -> str:
    return ""


def fluent(place: int, one: Instruction) -> str:
    return FLUENT


def stuffed(place: int, one: Instruction) -> str:
    """The words that the verifier looks for, again and again, in the length and form asked for."""
    found = [check for check in one.checks if check["check"] != "any"]
    found += [check for any_ in one.checks if any_["check"] == "any" for check in any_["of"][0]]
    names = {check["check"]: check for check in found}
    start = names.get("starts_with", {}).get("value", "")
    words = [
        *names.get("contains", {}).get("values", ()),
        *names.get("accepts", {}).get("values", ())[:1],
    ]
    count = names.get("words", {})
    length = count.get("exactly") or max(count.get("at_least", 1), 3 * len(" ".join(words).split()))
    spoken = f"{start} {' '.join(words * length)}".split()
    if "characters" not in names:
        spoken = spoken[:length]
    sentences = names.get("sentences", {}).get("exactly", 1)
    cuts = [spoken[n::sentences] for n in range(sentences)]
    end = names.get("ends_with", {}).get("value", ".")
    return " ".join(" ".join(cut) + end for cut in cuts if cut)[:110].rstrip(" .?") + end


def every(divisor: int, yes: Answerer = right, no: Answerer = silent) -> Answerer:
    """`yes` for each `divisor`-th instruction, `no` for the others."""
    return lambda place, one: (yes if place % divisor == 0 else no)(place, one)


def almost(divisor: int) -> Answerer:
    """Right but for each `divisor`-th instruction."""
    return every(divisor, silent, right)


A_FIFTH, NEARLY_ALL = every(5), almost(20)


def answers(
    *,
    sft: Answerer,
    dpo: Answerer,
    base: Answerer = A_FIFTH,
    few_shot: Answerer = NEARLY_ALL,
    held_out: Sequence[Instruction] = HELD_OUT,
) -> dict[str, list[ResponseRecord]]:
    systems = {"base": base, "few_shot": few_shot, "sft": sft, "dpo": dpo}
    return {
        name: score(held_out, [say(place, one) for place, one in enumerate(held_out)])
        for name, say in systems.items()
    }


def judge(found: dict[str, list[ResponseRecord]], **changes: Any) -> dict[str, Any]:
    return assess(found, {}, CLEAN | changes, Rule())


def test_a_real_lift_passes() -> None:
    """20 % on bare prompts before, 95 % after both trainings: PASS, with every gate's numbers."""
    found = judge(answers(sft=almost(20), dpo=almost(25)))

    assert found["verdict"] == "PASS"
    assert found["comparisons"]["dpo_vs_base"]["lift"] == pytest.approx(0.76)
    assert found["comparisons"]["dpo_vs_base"]["p"] < 1e-15
    assert all(gate["verdict"] == "PASS" for gate in found["gates"])
    assert found["n_to_settle"] is None


def test_useless_training_fails() -> None:
    """Models that answer exactly as the base does have no lift: FAIL on 100, never PASS."""
    found = judge(answers(sft=every(5), dpo=every(5)))

    assert found["verdict"] == "FAIL"
    assert "lift +0.0%" in found["why"][0]


def test_length_gaming_fails() -> None:
    """Long fluent wrong answers would pass a rule of length and punctuation, and fail here."""
    found = judge(answers(base=every(5), sft=fluent, dpo=fluent))

    assert found["systems"]["dpo"]["looks_fluent"] == 1.0
    assert found["systems"]["base"]["looks_fluent"] < 0.3
    assert found["systems"]["dpo"]["overall"]["correct"] == 0
    assert found["verdict"] == "FAIL"


@pytest.mark.parametrize("name", NAMES)
def test_keyword_stuffing_fails(name: str) -> None:
    """A model that says the words that are looked for over and over has learned nothing: FAIL,
    with no instruction of any kind right."""
    held_out = load(name).held_out
    found = answers(base=silent, few_shot=silent, sft=stuffed, dpo=stuffed, held_out=held_out)
    kinds = {record.kind for record in found["dpo"] if record.correct}

    assert judge(found)["verdict"] == "FAIL"
    assert kinds == set()


def test_an_overlap_fails_whatever_was_measured() -> None:
    """The same lift is no improvement when held-out items were learned from."""
    found = judge(answers(sft=almost(20), dpo=almost(20)), disjoint=False)

    assert found["verdict"] == "FAIL"
    assert found["disjoint"] is False
    assert found["why"] == ["held-out items are in the data"]


def test_too_few_instructions_are_inconclusive_and_say_how_many_would_do() -> None:
    """A lift of a quarter on eight instructions settles nothing."""
    few = HELD_OUT[:8]
    found = judge(answers(base=every(4), sft=every(2), dpo=every(2), few_shot=right, held_out=few))

    assert found["verdict"] == "INCONCLUSIVE"
    assert 8 < found["n_to_settle"] < 1000


def test_dpo_that_broke_the_model_fails() -> None:
    """SFT's lift is real; DPO that loses most of it is shown to be worse than SFT."""
    found = judge(answers(sft=almost(20), dpo=every(3)))

    assert found["comparisons"]["sft_vs_base"]["verdict"] == "PASS"
    assert found["verdict"] == "FAIL"
    assert any("worse than SFT" in why for why in found["why"])


def test_training_below_what_examples_give_fails() -> None:
    """A gain over bare prompts that stays far under the few-shot base is not an improvement."""
    found = judge(answers(base=every(10), sft=every(2), dpo=every(2), few_shot=right))

    assert found["comparisons"]["dpo_vs_base"]["verdict"] == "PASS"
    assert found["verdict"] == "FAIL"
    assert "less than solved examples" in found["finding"]


def test_a_gain_that_examples_give_too_is_called_so() -> None:
    """The second control is in the finding: nothing beyond it was shown."""
    found = judge(answers(sft=almost(20), dpo=almost(20)))

    assert "beyond what they give is not shown" in found["finding"]
    more = judge(answers(sft=right, dpo=right, few_shot=every(2)))
    assert "more than solved examples" in more["finding"]


def test_sampling_counts_by_instruction() -> None:
    """DPO that is shown to be worse when sampled fails; better is reported."""
    both = answers(sft=almost(20), dpo=almost(20))
    better = assess(both, {"sft": [0.5] * 100, "dpo": [1.0] * 100}, CLEAN, Rule())
    worse = assess(both, {"sft": [1.0] * 100, "dpo": [0.5, 1.0] * 50}, CLEAN, Rule())

    assert better["verdict"] == "PASS"
    assert better["sampling"]["dpo_vs_sft"]["lift"] == 0.5
    assert worse["verdict"] == "FAIL"


def test_every_type_is_reported_and_adjusted_together() -> None:
    """Four types in four comparisons; no adjusted p is below its own."""
    found = judge(answers(sft=almost(20), dpo=almost(20)))
    rows = found["by_type"]

    assert {row["type"] for row in rows} == set(TYPES)
    assert len(rows) == 16
    assert all(row["p_adjusted"] >= row["p"] for row in rows)
    assert all(
        found["systems"][name]["types"][kind]["n"] for name in found["systems"] for kind in TYPES
    )


def test_what_only_a_critic_can_judge_is_counted_nowhere() -> None:
    """Records without a verdict are in no pair and no sample."""
    found = answers(sft=almost(20), dpo=almost(20))
    for rows in found.values():
        rows[:30] = [replace(row, correct=None) for row in rows[:30]]

    assert judge(found)["n"] == 70
    shown = {one["instruction"] for rows in samples(found).values() for one in rows}
    assert shown.isdisjoint(one.text for one in HELD_OUT[:30])


def test_samples_show_gains_and_losses() -> None:
    """Best: DPO right where the base was wrong, types mixed. Worst: DPO wrong, lost ones first."""
    found = samples(answers(sft=right, dpo=almost(10), base=every(10)))

    assert len(found["best"]) == len(found["worst"]) == 6
    assert all(one["answers"]["dpo"]["correct"] for one in found["best"])
    assert len({one["type"] for one in found["best"]}) == 4
    assert not any(one["answers"]["dpo"]["correct"] for one in found["worst"])
    assert found["worst"][0]["answers"]["sft"]["correct"]


def test_fluency_is_length_and_a_full_stop() -> None:
    """What the old rule counted, as it counted it."""
    assert looks_fluent(FLUENT)
    assert not looks_fluent("Paris.")
    assert not looks_fluent(FLUENT.rstrip("."))


def test_the_rule_stands_in_the_report_with_its_numbers() -> None:
    """Who reads the verdict can read what it is made of."""
    rule = dataclasses.replace(Rule(), minimum_lift=0.1)
    found = assess(answers(sft=right, dpo=right), {}, CLEAN, rule)

    assert "above 0.1" in found["rule"]["PASS"]
    assert set(found["rule"]) == {"PASS", "FAIL", "INCONCLUSIVE"}
