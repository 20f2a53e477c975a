"""Build the small base model: `python -m remote.stages.small_model.build --out DIR` (2 minutes).

A Qwen2 of 525,696 parameters and a byte-level BPE of 768, trained from nothing on the small
world's documents. The folder it leaves loads like any model; `quality.json` beside it says how
often it answers the held-out instructions rightly, bare and few-shot, and how it was trained.
`make rebuild-small` builds one and compares it with the one that is shipped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # fastest at this size; before torch is imported

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from ..instructions.small.world import split
from ..model.sampling import generate
from ..text.prompts import CompletionStylePrompts, bare
from .compare import FEW_SHOT_FLOOR
from .documents import Library
from .muon import Muon

STEPS, WARM_UP, ROWS, LENGTH = 400, 30, 24, 160  # 1.5 million tokens in all
VOCABULARY = 768
END, PAD = "<|endoftext|>", "<|pad|>"
DOCUMENTS = 3000  # that the tokenizer is learned from, the first of the library
BEGINNING = 20  # losses that are recorded


def main() -> int:
    parser = argparse.ArgumentParser(description="build the small base model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()

    train, held = split()
    tokenizer, model, library = untrained(options.seed)
    print(f"{model.num_parameters():,} parameters, {len(train)} instructions", flush=True)
    began = time.monotonic()
    losses = []
    for step, loss in enumerate(fit(model, tokenizer, library, options.steps), 1):
        losses.append(loss)
        if step % 50 == 0:
            print(f"step {step}/{options.steps} loss {loss:.3f}", flush=True)

    model.to(torch.bfloat16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    quality = measure(model.float(), tokenizer, list(train), list(held)) | {
        "seed": options.seed,
        "steps": options.steps,
        "documents_sha256": digest(options.seed),
        "first_losses": [round(loss, 4) for loss in losses[:BEGINNING]],
        "seconds": round(time.monotonic() - began),
    }
    (options.out / "quality.json").write_text(json.dumps(quality, indent=1) + "\n")
    print(json.dumps(quality, indent=1))
    return 0 if quality["few_shot"] >= FEW_SHOT_FLOOR else 1


def untrained(seed: int) -> tuple[Any, Any, Library]:
    """Tokenizer, model with random weights, and the documents to train on."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    library = Library(split()[0], seed)
    tokenizer = make_tokenizer(library)
    model: Any = Qwen2ForCausalLM(make_config(tokenizer))
    return tokenizer, model, library


def digest(seed: int) -> str:
    """The sha256 of the first DOCUMENTS documents."""
    library = Library(split()[0], seed)
    text = "\0".join(library.document() for _ in range(DOCUMENTS))
    return hashlib.sha256(text.encode()).hexdigest()


def make_tokenizer(library: Library) -> Any:
    """A byte-level BPE learned from documents of `library`."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator((library.document() for _ in range(DOCUMENTS)), trainer)
    kind: Any = PreTrainedTokenizerFast
    return kind(tokenizer_object=bpe, eos_token=END, pad_token=PAD)


def make_config(tokenizer: Any) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def fit(model: Any, tokenizer: Any, library: Library, steps: int) -> Iterator[float]:
    """Trains `model` in place; yields the loss of each step, in nats a token."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=0.02),
        torch.optim.AdamW(others, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, steps))
        for optimizer in optimizers
    ]
    rows = _rows(tokenizer, library)
    model.train()
    for _ in range(steps):
        tokens = torch.tensor([next(rows) for _ in range(ROWS)])
        loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        yield loss.item()


def _share(step: int, steps: int) -> float:
    """The share of the peak learning rate: linear warm-up, then a cosine to 2 %."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


def _rows(tokenizer: Any, library: Library) -> Iterator[list[int]]:
    """Rows of LENGTH tokens, each beginning with a document."""
    while True:
        row: list[int] = []
        while len(row) < LENGTH:
            row += [*tokenizer.encode(library.document()), tokenizer.eos_token_id]
        yield row[:LENGTH]


def measure(model: Any, tokenizer: Any, train: list[Any], held: list[Any]) -> dict[str, Any]:
    """Greedy success on the held-out instructions, bare and few-shot, in all and by kind."""
    sheets = CompletionStylePrompts(train, shots=3)
    quality: dict[str, Any] = {}
    for name, prompt in (("bare", bare), ("few_shot", sheets.render)):
        answers = generate(model, tokenizer, [prompt(instruction.text) for instruction in held])
        right = [
            not instruction.reasons(answer)
            for instruction, answer in zip(held, answers, strict=True)
        ]
        quality[name] = sum(right) / len(right)
        kinds: dict[str, list[bool]] = {}
        for instruction, good in zip(held, right, strict=True):
            kinds.setdefault(instruction.kind, []).append(good)
        quality[f"{name}_by_kind"] = {k: f"{sum(v)}/{len(v)}" for k, v in kinds.items()}
    return quality


if __name__ == "__main__":
    sys.exit(main())
