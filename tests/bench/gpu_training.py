"""How fast SFT and DPO train at a shape with random weights, as a stage sets its trainer up."""

from __future__ import annotations

import gc
import random
import time
from pathlib import Path
from typing import Any

from tests.bench.gpu_clock import CARD, Rate, card_of, median_of

ROW, SHORTEST, LONGEST = 512, 70, 200  # tokens of a packed row, and of a pair


def rates(model: Any, tokenizer: Any, repeats: int, folder: Path, *, plain: bool) -> list[Rate]:
    """SFT and DPO, plain and accelerated, with the losses of both."""
    results = []

    def add(what: str, times: int, measure: Any) -> None:
        results.append(median_of(what, times, measure))
        _free()

    if plain:
        add("SFT, plain, tokens/s", 1, lambda: _sft(model, tokenizer, folder, "plain"))
    add("SFT, tokens/s", repeats, lambda: _sft(model, tokenizer, folder, "auto"))
    add("SFT in 48 GB, tokens/s", repeats, lambda: _capped(model, tokenizer, folder))
    if plain:
        add("DPO, plain, tokens/s", 1, lambda: _dpo(model, tokenizer, folder, "plain"))
    add("DPO, tokens/s", repeats, lambda: _dpo(model, tokenizer, folder, "auto"))
    return results


def _free() -> None:
    import torch

    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


def _clock() -> Any:
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        """Seconds and losses of the steps after the first."""

        def __init__(self) -> None:
            self.began, self.ended, self.losses = 0.0, 0.0, []

        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            torch.cuda.synchronize()
            self.ended = time.monotonic()
            self.began = self.began or self.ended

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if "loss" in (more.get("logs") or {}):
                self.losses.append(round(float(more["logs"]["loss"]), 4))

    return Clock()


def _note(clock: Any, acceleration: Any, tokens: int) -> str:
    import torch

    peak = torch.cuda.max_memory_allocated() / 2**30
    plan = acceleration.plan
    how = "plain"
    if plan:
        how = f"{plan.batch} x {plan.accumulation}, {plan.recomputed:.0%} recomputed"
        how += ", packed attention" if acceleration.packed_attention else ""
        how += ", Liger" if acceleration.liger else ""
    return f"{how}; {tokens:,} tokens a step, peak {peak:.1f} GiB, losses {clock.losses}"


def _rows(vocabulary: int) -> list[Any]:
    from remote.stages.instructions.pairs import IGNORED, Row

    draw = random.Random(1)
    rows = []
    for _ in range(300):
        length = draw.randint(SHORTEST, LONGEST)
        tokens = tuple(draw.randrange(3, vocabulary) for _ in range(length))
        prompt = draw.randint(20, 60)
        rows.append(Row(tokens, (*[IGNORED] * prompt, *tokens[prompt:])))
    return rows


def _sft(model: Any, tokenizer: Any, folder: Path, engine: str) -> tuple[float, str]:
    from transformers import set_seed

    from remote.stages.common.parameters import SftParameters
    from remote.stages.training import sft_trainer
    from remote.stages.training.acceleration import accelerate

    _free()
    parameters = SftParameters(
        model="random", batch=4, accumulation=2, max_length=ROW, max_steps=5, packing="always",
        eval_share=0.0, log_steps=1, save_steps=1000, out=str(folder / "sft"), engine=engine,
    )  # fmt: skip
    acceleration = accelerate(model, parameters, ROW, packed=True)
    if acceleration.plan:
        parameters = acceleration.plan.applied(parameters)
    set_seed(0)
    rows = _rows(model.config.vocab_size)
    clock = _clock()
    trainer = sft_trainer.make_trainer(
        model, tokenizer, rows, [], parameters, [clock], acceleration
    )
    return _measured(trainer, clock, acceleration, lambda state: state.num_input_tokens_seen)


def _measured(trainer: Any, clock: Any, acceleration: Any, seen: Any) -> tuple[float, str]:
    try:
        trainer.train()
        steps = trainer.state.global_step
        tokens = seen(trainer.state) / steps
        rate = tokens * (steps - 1) / (clock.ended - clock.began)
        return rate, _note(clock, acceleration, round(tokens))
    finally:
        acceleration.undo()
        adapted = trainer.model
        adapted.get_base_model().gradient_checkpointing_disable()
        adapted.unload()
        base = adapted.get_base_model()
        vars(base).pop("peft_config", None)
        vars(base).pop("forward", None)


def _capped(model: Any, tokenizer: Any, folder: Path) -> tuple[float, str]:
    _free()
    with card_of(CARD):
        return _sft(model, tokenizer, folder, "auto")


def _dpo(model: Any, tokenizer: Any, folder: Path, engine: str) -> tuple[float, str]:
    from transformers import set_seed

    from remote.stages.common.parameters import DpoParameters
    from remote.stages.model.adapters import BaseModel
    from remote.stages.training import dpo_trainer
    from remote.stages.training.acceleration import accelerate

    _free()
    parameters = DpoParameters(
        model="random", batch=2, accumulation=4, max_length=1024, max_steps=4, log_steps=1,
        save_steps=1000, out=str(folder / "dpo"), engine=engine,
    )  # fmt: skip
    rows = [row for row in _rows(model.config.vocab_size) if len(row.tokens) < 180][:64]
    pairs = []
    for row, other in zip(rows[:32], rows[32:], strict=True):
        prompt, mine = row.tokens[:40], (*row.tokens[40:], tokenizer.eos_token_id)
        pairs.append(dpo_trainer.Preference(prompt, mine, other.tokens[40:]))
    base = BaseModel("random", "nf4", model)
    adapted = base.with_adapters({"default": _adapter(model, folder)}, trainable=True)
    longest = max(len(p.prompt) + max(len(p.chosen), len(p.rejected)) for p in pairs)
    acceleration = accelerate(adapted, parameters, 2 * longest, packed=False)
    if acceleration.plan:
        parameters = acceleration.plan.applied(parameters)
    set_seed(0)
    clock = _clock()
    began = time.monotonic()
    trainer = dpo_trainer.make_trainer(adapted, tokenizer, pairs, parameters, [clock], acceleration)
    made = time.monotonic() - began
    total = sum(2 * len(p.prompt) + len(p.chosen) + len(p.rejected) for p in pairs)
    result = _measured(trainer, clock, acceleration, lambda _: total)  # four steps: every pair
    return result[0], f"{result[1]}; trainer and reference made in {made:.1f} s"


def _adapter(model: Any, folder: Path) -> Path:
    """A LoRA adapter that is not zero, made once."""
    from peft import LoraConfig, get_peft_model

    path = folder / "adapter"
    if not path.exists():
        config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config)
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(0, 0.002)
        model.config._name_or_path = "random"
        adapted.save_pretrained(str(path))
        adapted.unload()
        vars(model).pop("peft_config", None)
    return path
