"""Tiny random models of the families that people fine-tune, as folders that a stage can load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# What is special of each, set so that it matters at this size: windows shorter than the prompts,
# caps that are reached, norms of queries and keys.
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": {"tie_word_embeddings": True},
    "Mistral": {"sliding_window": 8},
    "Qwen2": {},
    "Qwen3": {"head_dim": 16},
    "Gemma": {"head_dim": 16},
    "Gemma2": {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16}
    | {"final_logit_softcapping": 2.0, "attn_logit_softcapping": 1.0},
    "Gemma3Text": {"head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16},
}
KNOWN_TO_ENGINE = ("Llama", "Qwen2", "Qwen3")  # Mistral too, within its window
TEMPLATE = (
    "{% for m in messages %}{{ '<|turn|>' + m['role'] + '\\n' + m['content'] + '<|over|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|turn|>assistant\\n' }}{% endif %}"
)


def tokenizer(*, begins: bool = False, chat: bool = False) -> Any:
    """The small model's tokenizer; with `begins` it puts <s> before every text, with `chat` it has
    a template and the tokens of it."""
    from tokenizers import processors
    from transformers import AutoTokenizer

    from remote.stages.model.loading import SMALL, resolve

    made = AutoTokenizer.from_pretrained(resolve(SMALL))
    if begins:
        made.add_special_tokens({"bos_token": "<s>"})
        made.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.bos_token_id)]
        )
    if chat:
        made.add_special_tokens({"additional_special_tokens": ["<|turn|>", "<|over|>"]})
        made.chat_template = TEMPLATE
    return made


def random_model(family: str, words: Any, **more: Any) -> Any:
    """A model of `family` for the tokenizer `words`, with answers that differ."""
    import torch
    import transformers

    torch.manual_seed(5)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(words) + 24,  # padded, as published models are
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        initializer_range=0.4,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        **FAMILIES[family] | more,
    )
    name = "Gemma3" if family == "Gemma3Text" else family
    return getattr(transformers, f"{name}ForCausalLM")(config).eval()


def write(folder: Path, family: str, words: Any, **more: Any) -> Path:
    """`random_model` and its tokenizer in `folder`."""
    random_model(family, words, **more).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
