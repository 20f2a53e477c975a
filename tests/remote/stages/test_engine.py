"""The engine says what `generate` says, whatever stands beside a row and however many slots."""

from __future__ import annotations

from typing import Any

import pytest

from remote.stages.common.failure import StageError
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER
FAMILIES = ("Qwen2", "Llama", "Mistral", "Qwen3")
SHEET = "List two birds.\n owl, tit\n###\nName a colour.\n red\n###\n" * 2
PROMPTS = [
    *(f"{SHEET}{text}\n" for text in ("Name a lake.", "Say three words about rain.", "Why?")),
    *(f"{SHEET}Question {number}: what is {number} and one?\n" for number in range(3)),
    "A word\n",
    "x\n",
]
MOST = 12


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from remote.stages.model.loading import SMALL, load_tokenizer, resolve

    return load_tokenizer(resolve(SMALL))


@pytest.fixture(scope="module")
def small(tokenizer: Any) -> tuple[Any, Any]:
    from remote.stages.model.loading import SMALL, load_model, resolve

    return load_model(resolve(SMALL), "none"), tokenizer


def random_model(family: str, tokenizer: Any) -> Any:
    """A tiny model of a family, with weights large enough for answers that differ."""
    import torch
    import transformers

    torch.manual_seed(5)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer) + 24,  # padded, as published models are
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return getattr(transformers, f"{family}ForCausalLM")(config).eval()


def asked(temperature: float = 0.0) -> list[Any]:
    from remote.stages.model.sampling import Request, seed_of

    return [Request(prompt, temperature, seed_of(3, prompt)) for prompt in PROMPTS]


def said(model: Any, tokenizer: Any, engine: str, temperature: float = 0.0, **more: Any) -> Any:
    from remote.stages.model.sampling import Generation

    generation = Generation(model, tokenizer, MOST, 3, engine, **more)
    return generation.all_of(asked(temperature))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_known_family_answers_as_generate_does(family: str, tokenizer: Any) -> None:
    """Greedily, texts, lengths and ends are those of `generate`; drawn answers are the same too,
    also where rows wait for slots, and their common beginning is computed once."""
    model = random_model(family, tokenizer)
    rates: list[Any] = []

    plain = said(model, tokenizer, "plain")
    assert said(model, tokenizer, "continuous", slots=3, rates=rates) == plain
    assert sum(rate.tokens for rate in rates) == sum(one.tokens for one in plain)
    whole = sum(len(ids) for ids in tokenizer(PROMPTS, add_special_tokens=False)["input_ids"])
    assert sum(rate.prompt_tokens for rate in rates) < whole / 2
    drawn = said(model, tokenizer, "plain", 0.9)
    assert said(model, tokenizer, "continuous", 0.9) == drawn != plain


def test_adapter_is_computed_unmerged(tokenizer: Any) -> None:
    """With a LoRA adapter that changes answers, the engine says what the adapted model says; with
    the adapter switched off, what the base says."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = random_model("Qwen2", tokenizer)
    base = said(model, tokenizer, "plain")
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)

    changed = said(adapted, tokenizer, "plain")
    assert said(adapted, tokenizer, "continuous") == changed != base
    with adapted.disable_adapter():
        assert said(adapted, tokenizer, "continuous") == base


def test_rows_end_at_the_delimiter(small: tuple[Any, Any]) -> None:
    """The small model's delimiter is spread over tokens; its table finds the same end."""
    from remote.stages.instructions.sets import load
    from remote.stages.model.sampling import Generation, Request
    from remote.stages.model.stop_reasons import DELIMITED
    from remote.stages.text.prompts import CompletionStylePrompts

    chosen = load("small")
    sheets = CompletionStylePrompts(chosen.pool)
    requests = [Request(sheets.render(one.text)) for one in chosen.train[:6]]
    ways = [Generation(*small, 48, 6, engine) for engine in ("plain", "continuous")]

    first, second = (way.all_of(requests) for way in ways)
    assert first == second
    assert {one.finished for one in second} == {DELIMITED}


def test_short_memory_halves_the_slots(tokenizer: Any) -> None:
    """Four rows at once do not fit: what had ended is kept, the rest is decoded in fewer slots."""
    import torch

    model = random_model("Qwen2", tokenizer)
    whole = said(model, tokenizer, "plain")
    told: list[str] = []
    limit = 3

    def hold(_: Any, inputs: Any) -> None:
        if len(inputs[0]) > limit:
            raise torch.OutOfMemoryError("out of memory")

    model.lm_head.register_forward_pre_hook(hold)
    assert said(model, tokenizer, "continuous", say=told.append) == whole
    assert [text.rpartition(": ")[2] for text in told] == ["trying 4", "trying 2"]
    limit = 0
    with pytest.raises(StageError, match="does not hold a single prompt"):
        said(model, tokenizer, "continuous", say=told.append)


def test_stopped_generation_keeps_what_ended(tokenizer: Any) -> None:
    """A stop gives up rows under way; those that ended were stored, and the rest comes out the
    same when it is asked for again."""
    from remote.stages.model.sampling import Generation

    model = random_model("Llama", tokenizer)
    generation = Generation(model, tokenizer, MOST, 2, "continuous", slots=2)
    whole, stored = said(model, tokenizer, "plain"), {}

    assert not generation.run(asked(), stored.update, lambda: len(stored) >= 3)
    assert 3 <= len(stored) < len(PROMPTS)
    left = [place for place in range(len(PROMPTS)) if place not in stored]
    more = generation.all_of([asked()[place] for place in left])
    assert stored | dict(zip(left, more, strict=True)) == dict(enumerate(whole))


def test_nothing_is_asked_and_what_is_unknown_stays_plain(tokenizer: Any) -> None:
    """No request gives no answer; a model of another family is answered by `generate`, and why is
    said."""
    import transformers

    from remote.stages.model.engine.decoding import why_plain
    from remote.stages.model.sampling import Generation

    model = random_model("Qwen2", tokenizer)
    assert Generation(model, tokenizer, MOST, 2, "continuous").all_of([]) == []
    model.generation_config.repetition_penalty = 1.3
    assert why_plain(model, 10) == "repetition_penalty in its generation config"
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=1, n_head=2)
    other = transformers.GPT2LMHeadModel(config).eval()
    told: list[str] = []
    other.generation_config.eos_token_id = tokenizer.eos_token_id
    assert len(said(other, tokenizer, "continuous", say=told.append)) == len(PROMPTS)
    assert "model type gpt2" in told[0]


def test_blank_response_does_not_end(tokenizer: Any) -> None:
    """A model that would begin with an end of text, the delimiter or a part of it, or a blank and
    then one of those, says something instead; with the engine the same as without, greedily and
    drawn. Behind the first word all of them end a response as before."""
    from remote.stages.model.engine.stop_table import begins_delimiter, token_texts
    from remote.stages.model.stop_reasons import ENDED

    model = random_model("Qwen2", tokenizer)
    texts = token_texts(tokenizer, len(tokenizer) + 24)
    signs = [token for token, text in enumerate(texts) if begins_delimiter(text)]
    assert signs
    spaces = [token for token, text in enumerate(texts) if text and not text.strip()]
    assert spaces
    for pushed in ([tokenizer.eos_token_id], signs, [*spaces, tokenizer.eos_token_id]):

        def push(_: Any, __: Any, logits: Any, tokens: list[int] = pushed) -> Any:
            logits = logits.clone()
            logits[..., tokens] += 50.0
            return logits

        hook = model.lm_head.register_forward_hook(push)
        for temperature in (0.0, 0.9):
            plain = said(model, tokenizer, "plain", temperature)
            assert said(model, tokenizer, "continuous", temperature, slots=3) == plain
            if not set(pushed) & set(spaces):
                assert all(response.text for response in plain)
            if pushed == [tokenizer.eos_token_id]:
                assert {response.finished for response in plain} == {ENDED}
        hook.remove()


def test_state_machine_is_the_delimiter(tokenizer: Any) -> None:
    """Character by character the machine completes exactly where the delimiter does."""
    from remote.stages.model.engine.stop_table import DELIMITED, follow, token_texts
    from remote.stages.text.prompts import delimited

    texts = ["\n###\n", "a\n### \t\nb", "\n####\n", "\n ###\n", "\n## #\n", "\n###", "\n\n###\n",
             "\n##\n###\n", "###\n", "\n###x\n", "\n### ##\n###\n"]  # fmt: skip
    for text in texts:
        assert (follow(0, text) == DELIMITED) is delimited(text), text
    known = token_texts(tokenizer, len(tokenizer) + 2)
    assert known[-2:] == ["", ""]
    ids = tokenizer(SHEET, add_special_tokens=False)["input_ids"]
    assert "".join(known[token] for token in ids) == SHEET


def test_long_rows_do_not_take_the_memory_of_short_ones() -> None:
    """Where a long row leaves few slots, rows are decoded in groups of similar length; where all
    fit, or the number is limited for another reason, together."""
    from remote.stages.model.engine.cache import by_length, rounded

    assert by_length([64, 64, 1024], {64: 400, 1024: 25}) == [[0, 1, 2]]
    needs = [64] * 40 + [1024]
    assert by_length(needs, {64: 400, 1024: 25}) == [list(range(40)), [40]]
    assert by_length(needs, {64: 7, 1024: 7}) == [list(range(41))]
    assert [rounded(length) for length in (1, 64, 65)] == [64, 64, 128]


def test_shared_beginning_leaves_a_token_of_each_prompt() -> None:
    """Four prompts with 30 equal tokens share them, and none is a prefix as a whole."""
    from remote.stages.model.engine.prefixes import shared_prefixes

    sheet = list(range(60))
    prompts = [[*sheet, 90 + number] for number in range(4)] + [[1, 2, 3], sheet[:50]]
    assert [len(prefix) for prefix in shared_prefixes(prompts)] == [49] * 4 + [0, 49]
    assert shared_prefixes(prompts[:3]) == [()] * 3
