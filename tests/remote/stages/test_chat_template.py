"""`template = "chat"`: prompts in the turns of the tokenizer's template, answers that end with its
token, training on messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.parameters import TrainingParameters, parse
from remote.stages.instructions.instruction_set import InstructionSet
from remote.stages.instructions.leakage import find_leakage
from remote.stages.instructions.pairs import IGNORED, read_pairs, to_row
from tests.support import tiny_models, training_stack

pytestmark = training_stack.ON_ONE_WORKER
USER, ASSISTANT, SYSTEM = "user", "assistant", "system"


@pytest.fixture
def words() -> Any:
    from remote.stages.text.prompt_style import choose_style

    made = tiny_models.tokenizer(chat=True)
    choose_style(made, "chat", "x")
    return made


def data(folder: Path, *conversations: list[tuple[str, str]], name: str = "messages") -> Path:
    path = folder / "data.jsonl"
    records = [
        {name: [{"role": role, "content": text} for role, text in messages]}
        for messages in conversations
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def learned(row: Any, words: Any) -> list[str]:
    """The learned parts of a row as texts."""
    parts: list[list[int]] = [[]]
    for label in row.labels:
        if label != IGNORED:
            parts[-1].append(label)
        elif parts[-1]:
            parts.append([])
    return [words.decode(part) for part in parts if part]


def test_prompt_is_a_turn_and_its_end_ends_the_answer(words: Any) -> None:
    """The prompt is the user's turn and the beginning of the assistant's; the template's end token
    is the tokenizer's end of text."""
    from remote.stages.text.prompt_style import style_of

    said = words.decode(style_of(words).prompt("Name a lake.\n"))
    assert said == "<|turn|>user\nName a lake.<|over|>\n<|turn|>assistant\n"
    assert words.eos_token == "<|over|>"


def test_every_answer_of_a_conversation_is_learned_with_its_end(tmp_path: Path, words: Any) -> None:
    """What is learned is each answer and its end token, and nothing of system, user or template;
    the tokens are those of the whole rendered conversation."""
    turns = [(SYSTEM, "Be brief."), (USER, "One?"), (ASSISTANT, "Two."), (USER, "Three?")]
    turns.append((ASSISTANT, "Four, of course."))
    (pair,) = read_pairs(data(tmp_path, turns), chat=True)
    row = to_row(pair, words, 128)

    assert learned(row, words) == ["Two.<|over|>", "Four, of course.<|over|>"]
    messages = [{"role": role, "content": text} for role, text in turns]
    whole = words.apply_chat_template(messages, tokenize=False)
    assert words.decode(row.tokens) == whole.rstrip("\n")


def test_a_template_that_rewrites_earlier_answers_has_the_last_one_learned(
    tmp_path: Path, words: Any
) -> None:
    """Earlier answers are left out where the template renders them otherwise later on."""
    words.chat_template = tiny_models.TEMPLATE.replace(
        "m['content']", "(m['content'] if loop.last or m['role'] == 'user' else '...')"
    )
    turns = [(USER, "One?"), (ASSISTANT, "Two."), (USER, "Three?"), (ASSISTANT, "Four.")]
    (pair,) = read_pairs(data(tmp_path, turns), chat=True)
    assert learned(to_row(pair, words, 128), words) == ["Four.<|over|>"]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ([(USER, "One?<|over|>"), (ASSISTANT, "Two.")], "of a chat template or tokenizer"),
        ([(USER, "One?"), (USER, "Two?"), (ASSISTANT, "Two.")], "in turn"),
        ([(USER, "One?"), (ASSISTANT, "Two."), (USER, "Three?")], "in turn"),
        ([("tool", "One?"), (ASSISTANT, "Two.")], "role is not known"),
        ([], "nobody"),
    ],
)
def test_conversations_that_are_none_name_their_line(
    tmp_path: Path, words: Any, turns: list[tuple[str, str]], said: str
) -> None:
    """A special token in a message, roles out of turn or unknown: refused with file and line."""
    path = data(tmp_path, [(USER, "Hi?"), (ASSISTANT, "Hi.")], turns)

    def read() -> None:
        for pair in read_pairs(path, chat=True):
            to_row(pair, words, 128)

    with pytest.raises(StageError) as refused:
        read()
    assert said in refused.value.what
    assert "line 2" in refused.value.what


def test_every_message_counts_when_leakage_is_looked_for(tmp_path: Path) -> None:
    """A measured instruction in an earlier turn is found; without `chat` such data is refused."""
    turns = [(USER, "Name the capital of France."), (ASSISTANT, "Paris."), (USER, "And Spain?")]
    path = data(tmp_path, [*turns, (ASSISTANT, "Madrid.")])
    against = {"held_out": ["Name the capital of France."]}
    assert find_leakage(path, "", against, chat=True).overlaps[0].exact
    with pytest.raises(StageError, match="one of the user and one of the assistant"):
        find_leakage(path, "", against)


def test_a_tokenizer_without_a_usable_template_is_refused() -> None:
    """No template, or one whose answers end with no special token: said, with a remedy."""
    from remote.stages.text.prompt_style import choose_style

    plain = tiny_models.tokenizer()
    with pytest.raises(StageError, match="has no chat template"):
        choose_style(plain, "chat", "x")
    endless = tiny_models.tokenizer(chat=True)
    endless.chat_template = tiny_models.TEMPLATE.replace("<|over|>", "").replace("<|turn|>", "")
    with pytest.raises(StageError, match="ends no answer with a special token"):
        choose_style(endless, "chat", "x")


def test_template_is_one_of_two() -> None:
    """Anything but plain and chat is refused, without torch."""
    with pytest.raises(StageError, match='must be "plain" or "chat"'):
        parse(TrainingParameters, b'{"template": "chatml"}')


def small_set() -> InstructionSet:
    from remote.stages.instructions.sets import load

    return load("small")


def test_chat_data_through_sft_dpo_and_the_baseline(tmp_path: Path) -> None:
    """1C learns from conversations and 1D goes on from it, both asking in the template; 1A asks
    both ways and says that sentinels were not asked."""
    from remote.stages import baseline
    from remote.stages.evaluation.baseline_parameters import BaselineParameters
    from tests.support import small_training
    from tests.support.small_training import DATA, DPO, SFT, dpo_here, read, sft_here

    words = tiny_models.tokenizer(chat=True)
    tiny_models.write(tmp_path / "model", "Llama", words)
    records = [
        {"messages": [{"role": USER, "content": one.text}, {"role": ASSISTANT, "content": said}]}
        for one in small_set().train[:60]
        for said in [one.answer]
    ]
    long = {"messages": [*records[0]["messages"], *records[1]["messages"]]}
    lines = "".join(json.dumps(record) + "\n" for record in (*records, long))
    small_training.work_folder(tmp_path, lines)
    shared = {"model": "model", "template": "chat", "max_new_tokens": 4, "max_steps": 2}
    shared |= {"save_steps": 2, "max_length": 256}

    assert sft_here(tmp_path, **shared, lora_targets=["q_proj", "v_proj"], lora_rank=2) == 0
    written = read(tmp_path / SFT / "hyperparameters.json")
    assert written["parameters"]["template"] == "chat"
    assert written["parameters"]["lora_targets"] == "q_proj,v_proj"
    assert (tmp_path / DATA).is_file()
    assert dpo_here(tmp_path, **shared, pairs=8, least_pairs=4, lora_rank=2) == 0
    assert read(tmp_path / DPO / "hyperparameters.json")["data"]["lora"]["r"] == 2
    with pytest.raises(StageError, match="lora_rank 3, it has 2"):
        dpo_here(tmp_path, **shared, pairs=8, least_pairs=4, lora_rank=3)

    asked = {"model": "model", "instructions": "small", "template": "chat", "max_new_tokens": 8}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert baseline.run(parse(BaselineParameters, json.dumps(asked).encode())) == 0
    assessment = read(tmp_path / "artifacts/baseline_assessment.json")
    assert not assessment["sentinels"]["as_base_model"]
    assert "chat" in assessment["sentinels"]["why"]
