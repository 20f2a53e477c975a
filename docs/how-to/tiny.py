"""A tiny random Qwen2 and rows to train it on: `python tiny.py FOLDER` makes model/ and data/.

With them every how-to is tested on the emulator, without a GPU and without the model hub.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from pathlib import Path

ROWS = 400
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ m.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def rows(chance: random.Random) -> Iterable[tuple[str, str]]:
    """(question, answer) of a small world of fruit and their prices."""
    for _ in range(ROWS):
        fruit = chance.choice(("apples", "pears", "plums", "figs"))
        count, price = chance.randint(1, 9), chance.randint(1, 5)
        question = f"{count} {fruit} at {price} each: what do they cost?"
        yield question, f"{count} {fruit} cost {count * price}."


def write(path: Path, found: Iterable[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in found))


def message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def make_data(folder: Path) -> list[str]:
    """Rows for SFT, DPO, GRPO and an evaluation; returns every text."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = list(rows(random.Random(0)))
    chats = [[message("user", q), message("assistant", a)] for q, a in asked]
    write(folder / "chat.jsonl", ({"messages": chat} for chat in chats))
    write(
        folder / "preferences.jsonl",
        (
            {"prompt": chat[:1], "chosen": chat[1:], "rejected": [message("assistant", "Much.")]}
            for chat in chats
        ),
    )
    write(folder / "prompts.jsonl", ({"prompt": q} for q, _ in asked))
    write(
        folder / "fruit.jsonl",
        ({"question": q, "answer": a.split()[1]} for q, a in asked[:32]),
    )
    return [json.dumps(chat) for chat in chats]


def make_model(folder: Path, texts: Iterable[str]) -> None:
    """Random weights, two layers; a byte-level tokenizer with a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<|im_end|>", pad_token="<|endoftext|>"
    )
    tokenizer.chat_template = TEMPLATE
    set_seed(0)
    shape = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    Qwen2ForCausalLM(shape).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    place = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    make_model(place / "model", make_data(place / "data"))
