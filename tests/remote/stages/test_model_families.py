"""What is special of a family of models is kept, in answers and in training.

Tied embeddings, a beginning-of-text token, embedding scaling, norms of queries and keys, attention
windows and softcapped logits: on tiny random models.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support import tiny_models, training_stack
from tests.support.tiny_models import FAMILIES, KNOWN_TO_ENGINE

pytestmark = training_stack.ON_ONE_WORKER
PROMPTS = (
    "A word\n",
    "List two birds.\n owl, tit\n###\nName a colour.\n red\n###\nName a lake near a hill.\n",
    "x\n",
)
MOST = 8


def step_by_step(model: Any, words: Any, prompt: str) -> list[int]:
    """The likeliest next tokens, each by a whole pass over one row: no cache, no padding."""
    import torch

    tokens = words(prompt)["input_ids"]
    for _ in range(MOST):
        with torch.inference_mode():
            logits = model(torch.tensor([tokens]), use_cache=False).logits
        tokens = [*tokens, int(logits[0, -1].argmax())]
        if tokens[-1] == words.eos_token_id:
            break
    answer: list[int] = tokens[-MOST:] if tokens[-1] != words.eos_token_id else tokens
    return answer


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_the_model_s_own_after_its_beginning_of_text(family: str) -> None:
    """Batched, padded and cached answers are those of one whole pass a token, from the token that
    the tokenizer begins a text with; the engine's are the same, and where it does not know a
    family, or its window, it says so and leaves it to `generate`."""
    from remote.stages.model.sampling import Generation, Request
    from remote.stages.text.prompt_style import choose_style
    from remote.stages.text.prompts import cut

    words = tiny_models.tokenizer(begins=True)
    choose_style(words, "plain", family)
    model = tiny_models.random_model(family, words)
    requests = [Request(prompt) for prompt in PROMPTS]
    notices: list[str] = []

    plain = Generation(model, words, MOST, 3, "plain").all_of(requests)
    for prompt, answer in zip(PROMPTS, plain, strict=True):
        own = step_by_step(model, words, prompt)
        if own[-1] != words.eos_token_id:
            assert answer.text == cut(words.decode(own, skip_special_tokens=True))
    engine = Generation(model, words, MOST, 3, "continuous", notices.append).all_of(requests)
    assert engine == plain
    assert bool(notices) == (family not in KNOWN_TO_ENGINE)


@pytest.mark.parametrize("family", FAMILIES)
def test_sft_then_dpo_of_an_adapter(family: str, tmp_path: Path) -> None:
    """LoRA learns: the loss falls; DPO goes on from it with itself as the reference; the adapter
    that was saved fits its base and changes what the model says."""
    from remote.stages.common.parameters import DpoParameters, SftParameters
    from remote.stages.instructions.pairs import Pair, to_row
    from remote.stages.model.adapters import BaseModel
    from remote.stages.model.loading import load_model, load_tokenizer
    from remote.stages.training import dpo_trainer, sft_trainer

    words = tiny_models.tokenizer(begins=True)
    folder = str(tiny_models.write(tmp_path / "model", family, words))
    tokenizer, model = load_tokenizer(folder), load_model(folder, "none")
    pairs = [Pair(f"Name colour {n}.\n", f" It is colour {n}.", f"x, line {n}") for n in range(4)]
    shared: dict[str, Any] = {"model": folder, "batch": 2, "accumulation": 1, "log_steps": 1}
    shared |= {"max_length": 64, "save_steps": 1000, "learning_rate": 2e-2}
    rows = [to_row(pair, tokenizer, 64) for pair in pairs]
    assert all(row.tokens[0] == tokenizer.bos_token_id for row in rows)

    wanted = SftParameters(**shared, out=str(tmp_path / "sft"), max_steps=4, packing="never")
    trainer = sft_trainer.make_trainer(model, tokenizer, rows, [], wanted, [])
    sft_trainer.check_first_batch(trainer, tokenizer)
    trainer.train()
    losses = [record["loss"] for record in trainer.state.log_history if "loss" in record]
    assert losses[-1] < losses[0]
    trainer.save_model(wanted.out)

    base = BaseModel(folder, "none")
    adapted = base.with_adapters({dpo_trainer.TRAINED: tmp_path / "sft"}, trainable=True)
    preferences = [
        dpo_trainer.Preference(row.tokens[:-3], row.tokens[-3:], (5, 6, tokenizer.eos_token_id))
        for row in rows
    ]
    asked = DpoParameters(**shared, out=str(tmp_path / "dpo"), max_steps=1)
    preferring = dpo_trainer.make_trainer(adapted, tokenizer, preferences, asked, [])
    assert dpo_trainer.check_reference(preferring.model) > 0
    preferring.train()
    dpo_trainer.save(preferring, tokenizer, tmp_path / "dpo")
    base.with_adapters({"dpo": tmp_path / "dpo"})


def test_dora_and_chosen_layers_are_trained_and_loaded(tmp_path: Path) -> None:
    """DoRA with rsLoRA on two layers of each block has no other weights; the estimate of its size
    is theirs but for the magnitudes; the engine leaves it to `generate`."""
    from remote.stages.common.parameters import SftParameters, parse
    from remote.stages.instructions.pairs import Pair, to_row
    from remote.stages.model.adapters import BaseModel, described_lora
    from remote.stages.model.engine.decoding import why_plain
    from remote.stages.model.loading import load_model, load_tokenizer
    from remote.stages.training import adapter_size, sft_trainer

    words = tiny_models.tokenizer()
    folder = str(tiny_models.write(tmp_path / "model", "Qwen3", words))
    tokenizer, model = load_tokenizer(folder), load_model(folder, "none")
    parameters = parse(
        SftParameters,
        b'{"lora_targets": ["q_proj", "down_proj"], "dora": true, "rslora": true, "lora_rank": 4,'
        b'"max_steps": 1, "packing": "never", "model": "x", "out": "%s"}'
        % str(tmp_path / "sft").encode(),
    )
    estimated = adapter_size.weights_of(model, parameters)
    rows = [to_row(Pair("Name one.\n", " Red.", "x, line 1"), tokenizer, 64)]
    trainer = sft_trainer.make_trainer(model, tokenizer, rows, [], parameters, [])
    trained = {
        name: weight.numel()
        for name, weight in trainer.model.named_parameters()
        if weight.requires_grad
    }
    assert all("q_proj" in name or "down_proj" in name for name in trained)
    assert estimated == sum(n for name, n in trained.items() if "magnitude" not in name)
    assert any("magnitude" in name for name in trained)
    trainer.train()
    trainer.save_model(parameters.out)

    described = described_lora(Path(parameters.out), SftParameters(lora_rank=4))
    assert (described["r"], described["use_dora"], described["use_rslora"]) == (4, True, True)
    adapted = BaseModel(folder, "none").with_adapters({"sft": tmp_path / "sft"})
    assert why_plain(adapted, 10) == "an adapter or a quantisation"
