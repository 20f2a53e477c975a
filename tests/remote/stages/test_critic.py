"""The critic of one token: what is compared, that positions cancel, what it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.instructions.sets import load
from remote.stages.model.critic import LETTERS, letter_tokens, margins, render
from remote.stages.model.loading import SMALL, load_model, load_tokenizer, resolve
from tests.support import training_stack
from tests.support.small_generation import generate_here, lines_of, records_of, report_of

pytestmark = training_stack.ON_ONE_WORKER
POOL = load("small").pool
PAIRS = [(one.text, one.answer) for one in load("small").train[:5]]


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    source = resolve(SMALL)
    return load_model(source, "none"), load_tokenizer(source)


def logs(small: tuple[Any, Any], prompt: str) -> tuple[float, float]:
    """log p of both letters after `prompt`, alone and without padding."""
    import torch

    model, tokenizer = small
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        found = torch.log_softmax(model(input_ids=inputs["input_ids"]).logits[0, -1], dim=-1)
    first, second = letter_tokens(tokenizer)
    return float(found[first]), float(found[second])


def test_margins_are_differences_of_two_log_probabilities(small: tuple[Any, Any]) -> None:
    """Batched and padded as computed one by one: log p(right) - log p(wrong), in both orders."""
    found = margins(*small, POOL, PAIRS, batch=3)

    for (instruction, response), margin in zip(PAIRS, found, strict=True):
        a, b = logs(small, render(POOL, instruction, response, good_first=True))
        assert margin.good_first == pytest.approx(a - b, abs=1e-3)
        a, b = logs(small, render(POOL, instruction, response, good_first=False))
        assert margin.good_second == pytest.approx(b - a, abs=1e-3)
        assert margin.mean == pytest.approx((margin.good_first + margin.good_second) / 2)


def test_a_preference_for_a_letter_cancels_out(small: tuple[Any, Any]) -> None:
    """A model that adds a constant to letter A has the same mean margin."""
    model, tokenizer = small
    first, _ = letter_tokens(tokenizer)
    before = margins(model, tokenizer, POOL, PAIRS)

    def prefer(_module: Any, _inputs: Any, scores: Any) -> Any:
        changed = scores.clone()
        changed[..., first] += 3.0
        return changed

    handle = model.get_output_embeddings().register_forward_hook(prefer)
    try:
        after = margins(model, tokenizer, POOL, PAIRS)
    finally:
        handle.remove()

    for one, other in zip(before, after, strict=True):
        assert other.good_first == pytest.approx(one.good_first + 3, abs=1e-3)
        assert other.mean == pytest.approx(one.mean, abs=1e-3)


def test_prompts_swap_the_meaning_and_end_where_the_letter_is_due() -> None:
    """Both orders show the same examples; as many of them are right as wrong."""
    instruction, response = PAIRS[0]
    one, other = (render(POOL, instruction, response, good_first) for good_first in (True, False))

    assert one.endswith("A: right. B: wrong.\n")
    assert other.endswith("A: wrong. B: right.\n")
    assert one.count(" A\n###") == one.count(" B\n###") == 2
    assert shown(one) == shown(other)
    assert shown(one)[-2:] == [instruction, f" {response}"]


def shown(prompt: str) -> list[str]:
    """The lines of instructions and responses, without options and letters."""
    lines = [one for one in prompt.split("\n") if one and not one.startswith("Is this")]
    return [one for one in lines if one not in ("###", " A", " B")]


def test_a_letter_of_several_tokens_is_an_error() -> None:
    """The error names the letter and how to go without the critic."""

    def two_tokens(text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(one) for one in text]}

    with pytest.raises(StageError, match=f"no single token for ' {LETTERS[0]}'") as caught:
        letter_tokens(two_tokens)

    assert "critic = false" in caught.value.remedy


def test_the_stage_records_margins_and_removes_what_is_doubted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the critic every record has its margin; a stated margin decides, from the journal."""
    monkeypatch.delenv("PODCTL_METRICS", raising=False)
    monkeypatch.delenv("PODCTL_RUN_DIR", raising=False)
    options: dict[str, Any] = {"critic": True, "wanted": 40, "max_attempts": 40, "at_least": 1}
    options["verified_only"] = False  # the first objection is the one that is counted

    assert generate_here(tmp_path, **options, critic_margin=-99.0) == 0
    entries = [json.loads(line) for line in lines_of(tmp_path / "data/stage1/generation.jsonl")[1:]]
    found = sorted(one["margin"] for one in entries)
    assert all("critic_margin" in one for one in records_of(tmp_path))
    assert report_of(tmp_path)["filters"]["doubted"]["objected"] == 0
    middle = found[20]
    assert generate_here(tmp_path, **options, critic_margin=middle) == 0
    assert report_of(tmp_path)["filters"]["doubted"]["objected"] == sum(o < middle for o in found)
    assert min(one["critic_margin"] for one in records_of(tmp_path)) >= middle
