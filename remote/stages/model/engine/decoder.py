"""The decoders that the engine knows: Llama, Mistral, Qwen2 and Qwen3, with LoRA or without.

Their layers are computed here over rows of packed tokens, without padding, with an attention that
the caller gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from .projection import Projection, base_of, is_quantised, joined, read

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_ROTATIONS = ("default", "linear", "llama3", "yarn")  # those that do not depend on the length
_SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")

Attend = Callable[[int, Any, Any, Any], Any]  # layer, queries, keys, values -> what is attended to


def why_unknown(model: Any) -> str | None:
    """Why the engine cannot compute `model`; None where it can."""
    base = bare_model(model)
    config = base.config
    if config.model_type not in FAMILIES:
        return f"model type {config.model_type}"
    if config.hidden_act != "silu":
        return f"activation {config.hidden_act}"
    rotation = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if (rotation or {}).get("rope_type", "default") not in _ROTATIONS:
        return "its rotary embedding"
    if any(base_of(layer) is None for layer in _linear_layers(base)):
        return "an adapter or a quantisation"
    return None


def bare_model(model: Any) -> Any:
    """The causal language model under a peft model, or `model` itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def longest_window(model: Any) -> int | None:
    """Tokens beyond which the model attends to a window only; None without one."""
    config = bare_model(model).config
    uses = getattr(config, "use_sliding_window", config.model_type == "mistral")
    window = getattr(config, "sliding_window", None)
    return int(window) if uses and window else None


def dense_bytes(model: Any) -> int:
    """What the dequantised copies of `model`'s weights would take; 0 where none is quantised."""
    bases: list[Any] = [base_of(layer) for layer in _linear_layers(bare_model(model))]
    return sum(2 * base.in_features * base.out_features for base in bases if is_quantised(base))


def _linear_layers(base: Any) -> list[Any]:
    return [
        getattr(part, name)
        for layer in base.model.layers
        for part, names in zip((layer.self_attn, layer.mlp), _SEVEN, strict=True)
        for name in names
    ]


@dataclass(frozen=True)
class _Layer:
    norms: tuple[Any, Any]  # before attention, before the MLP
    inputs: list[Projection]  # query, key, value: joined or three
    output: Projection
    gates: list[Projection]  # gate, up: joined or two
    down: Projection
    head_norms: tuple[Any, Any] | None  # Qwen3's, of queries and keys


class Decoder:
    """A model's weights and how its layers are computed; adapters as they are active now."""

    def __init__(self, model: Any, length: int, *, dense: bool) -> None:
        base = bare_model(model)
        config = base.config
        self.heads = int(config.num_attention_heads)
        self.key_heads = int(config.num_key_value_heads)
        width = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.head_width = int(width)
        self.vocabulary = int(base.lm_head.out_features)
        self._embed, self._norm, self._head = base.model.embed_tokens, base.model.norm, base.lm_head
        self.device, self.dtype = self._embed.weight.device, self._embed.weight.dtype
        self.layers = [_read_layer(layer, self.dtype, dense) for layer in base.model.layers]
        places = torch.arange(length, device=self.device)[None]
        cos, sin = base.model.rotary_emb(self._embed.weight[:1, None], places)
        half = self.head_width // 2
        self._cos = cos[0].to(self.dtype)[:, None]
        self._sin = torch.cat((-sin[0, :, :half], sin[0, :, half:]), -1).to(self.dtype)[:, None]

    def hidden(self, tokens: Any, positions: Any, attend: Attend) -> Any:
        """The last layer's output for packed `tokens` at `positions`."""
        rows = self._embed(tokens)
        cos, sin = self._cos[positions], self._sin[positions]
        for number, layer in enumerate(self.layers):
            query, key, value = self._heads_of(layer, _normed(layer.norms[0], rows), cos, sin)
            seen = attend(number, query, key, value)
            rows = rows + layer.output(seen.reshape(len(rows), -1))
            gate, up = _split(layer.gates, _normed(layer.norms[1], rows), 2)
            rows = rows + layer.down(functional.silu(gate) * up)
        return rows

    def logits(self, rows: Any) -> Any:
        return self._head(_normed(self._norm, rows))

    def _heads_of(self, layer: _Layer, rows: Any, cos: Any, sin: Any) -> tuple[Any, Any, Any]:
        width = self.head_width
        sizes = [self.heads * width, self.key_heads * width, self.key_heads * width]
        parts = _split(layer.inputs, rows, sizes)
        query, key, value = (part.view(len(rows), -1, width) for part in parts)
        if layer.head_norms:
            query, key = _normed(layer.head_norms[0], query), _normed(layer.head_norms[1], key)
        return _rotated(query, cos, sin), _rotated(key, cos, sin), value


def _read_layer(layer: Any, dtype: Any, dense: bool) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp

    def group(part: Any, *names: str) -> list[Projection]:
        parts = [read(getattr(part, name), dtype, dense=dense) for name in names]
        whole = joined(parts) if len(parts) > 1 else None
        return parts if whole is None else [whole]

    norms = getattr(attention, "q_norm", None), getattr(attention, "k_norm", None)
    return _Layer(
        (layer.input_layernorm, layer.post_attention_layernorm),
        group(attention, "q_proj", "k_proj", "v_proj"),
        group(attention, "o_proj")[0],
        group(mlp, "gate_proj", "up_proj"),
        group(mlp, "down_proj")[0],
        None if norms[0] is None else norms,
    )


def _split(parts: list[Projection], rows: Any, sizes: Any) -> Any:
    if len(parts) > 1:
        return [part(rows) for part in parts]
    whole = parts[0](rows)
    return whole.chunk(sizes, -1) if isinstance(sizes, int) else whole.split(sizes, -1)


def _normed(norm: Any, rows: Any) -> Any:
    return functional.rms_norm(rows, norm.weight.shape, norm.weight, norm.variance_epsilon)


def _rotated(heads: Any, cos: Any, sin: Any) -> Any:
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)
