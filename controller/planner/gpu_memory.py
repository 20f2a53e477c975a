"""How much GPU memory a stage of podctl's own programs needs, from its parameters. Pure.

Peak = weights + adapter with its optimiser + activations + logits (training), or
       weights + key/value cache + one layer's work (generation); the larger of the two.

The coefficients were measured on an H200 with a Qwen2 model of the 32B's shape, LoRA of rank 16 on
all linear layers (peak GiB, measured / by this formula):

    NF4, checkpointing, rows x tokens 1 x 2,048   25 / 24.9    2 x 2,048   30 / 30.0
                                      4 x 2,048   41 / 40.0    16 x 102    24 / 23.9
    NF4 without checkpointing         1 x 2,048   80 / 79.5    the weights alone   17.9 / 17.9
    bf16, 1 x 2,048, checkpointing    68 / 68.0   without   124 / 122.6    the weights   61 / 61.0
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.builtin_program import runs_shipped_program
from jobs.stage import Stage

GIB = 1024.0**3
GB = 1e9  # GPUs are sold in decimal GB
CONTEXT_GIB = 0.6  # CUDA's context and fragmentation
NF4_BYTES = 0.5 + 0.127 / 8  # a weight in 4 bits with doubly quantised scales
BF16_BYTES = 2.0
ADAPTER_BYTES = 16.0  # fp32 weight, gradient and both moments of Adam
LOGIT_BYTES = 10.0  # a token and word: bf16 logit, its fp32 copy and the gradient
HIDDEN_BYTES, INNER_BYTES = 26.0, 12.0  # a token, what backward keeps of one layer
SHOT_TOKENS = 110  # of one solved example in a few-shot prompt
_ALL_LINEAR = "all-linear"
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Architecture:
    """The shape of a decoder with gated MLPs; `head` is the size of one attention head."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    inner: int
    words: int
    tied: bool = False
    head: int = 128

    @property
    def linear(self) -> int:
        """Weights of all linear layers, which are what is quantised."""
        return self.layers * sum(a * b for a, b in self._shapes)

    @property
    def embedding(self) -> int:
        """Weights of the embedding and, when it is not the same, of the output layer."""
        return self.words * self.hidden * (1 if self.tied else 2)

    def adapter(self, rank: int, targets: str = _ALL_LINEAR) -> int:
        """Weights of a LoRA on the linear layers that `targets` names, with commas between them."""
        named = _LINEAR if targets == _ALL_LINEAR else targets.split(",")
        shapes = dict(zip(_LINEAR, self._shapes, strict=True))
        return self.layers * rank * sum(sum(shapes[name]) for name in named if name in shapes)

    @property
    def _shapes(self) -> tuple[tuple[int, int], ...]:
        attention, keys = self.heads * self.head, self.kv_heads * self.head
        return (
            # In the order of _LINEAR.
            (self.hidden, attention), (self.hidden, keys), (self.hidden, keys),
            (attention, self.hidden),
            (self.hidden, self.inner), (self.hidden, self.inner), (self.inner, self.hidden),
        )  # fmt: skip


_QWEN = {  # Qwen2.5 as published: hidden, layers, heads, kv heads, inner, words
    "0.5b": Architecture(896, 24, 14, 2, 4864, 151_936, tied=True, head=64),
    "1.5b": Architecture(1536, 28, 12, 2, 8960, 151_936, tied=True),
    "3b": Architecture(2048, 36, 16, 2, 11_008, 151_936, tied=True),
    "7b": Architecture(3584, 28, 28, 4, 18_944, 152_064),
    "14b": Architecture(5120, 48, 40, 8, 13_824, 152_064),
    "32b": Architecture(5120, 64, 40, 8, 27_648, 152_064),
    "72b": Architecture(8192, 80, 64, 8, 29_568, 152_064),
}

SHIPPED = {
    "small": Architecture(128, 2, 4, 4, 384, 768, tied=True, head=32),
    "smollm2": Architecture(576, 30, 9, 3, 1536, 49_152, tied=True, head=64),
}


def architecture(model: str) -> Architecture | None:
    """The shape of a model by its name; None for an unknown model."""
    if model in SHIPPED:
        return SHIPPED[model]
    found = re.fullmatch(r"Qwen/Qwen2\.5(?:-Coder|-Math)?-([0-9.]+b)(?:-Instruct)?", model, re.I)
    return _QWEN.get(found[1].lower()) if found else None


@dataclass(frozen=True)
class Training:
    """One optimiser step's batch on one GPU."""

    rows: int  # sequences held at once
    tokens: int  # of one sequence, at most
    rank: int = 16  # of the LoRA
    checkpointing: bool = True
    targets: str = _ALL_LINEAR  # the layers that have the LoRA


@dataclass(frozen=True)
class Generation:
    """A batch of responses."""

    rows: int
    tokens: int  # of one prompt with its response, at most


def weights_gib(shape: Architecture, quantize: str) -> float:
    """The base model: embeddings in bf16, linear layers in bf16 or, unless "none", in NF4."""
    linear = BF16_BYTES if quantize == "none" else NF4_BYTES
    return (shape.linear * linear + shape.embedding * BF16_BYTES) / GIB


def training_gib(shape: Architecture, quantize: str, work: Training) -> float:
    """Peak GiB while a LoRA is trained."""
    kept = HIDDEN_BYTES * shape.hidden + INNER_BYTES * shape.inner
    inside = kept * shape.layers
    if work.checkpointing:  # the input of each layer, and one layer recomputed
        inside = BF16_BYTES * shape.hidden * shape.layers + kept
    activations = work.rows * work.tokens * (inside + LOGIT_BYTES * shape.words)
    adapter = shape.adapter(work.rank, work.targets) * ADAPTER_BYTES
    return weights_gib(shape, quantize) + (adapter + activations) / GIB


def generation_gib(shape: Architecture, quantize: str, work: Generation) -> float:
    """Peak GiB of generating a batch: keys and values in bf16, one layer's work."""
    cache = 2 * BF16_BYTES * shape.layers * shape.kv_heads * shape.head
    layer = BF16_BYTES * (4 * shape.hidden + 3 * shape.inner)
    return weights_gib(shape, quantize) + work.rows * work.tokens * (cache + layer) / GIB


def stage_gib(stage: Stage) -> float | None:
    """Peak of the stage's program; None when program or model are unknown."""
    given = stage.parameters
    shape = architecture(str(given.get("model", "")))
    if shape is None or not runs_shipped_program(stage):
        return None
    quantize = str(given.get("quantize", "auto"))
    peak = generation_gib(shape, quantize, _generation(given))  # every program generates
    if _trains(given):
        peak = max(peak, training_gib(shape, quantize, _training(given)))
    return peak + CONTEXT_GIB


def _trains(given: Mapping[str, object]) -> bool:
    return any(name in given for name in ("lora_rank", "max_length", "beta"))


def _training(given: Mapping[str, object]) -> Training:
    """DPO holds the chosen and the rejected response of every pair."""
    each = 2 if "beta" in given else 1
    rows = _number(given, "batch", 4) * each
    targets = given.get("lora_targets", _ALL_LINEAR)
    if isinstance(targets, list):
        targets = ",".join(map(str, targets))
    return Training(
        rows,
        _number(given, "max_length", 2048),
        _number(given, "lora_rank", 16),
        targets=targets if isinstance(targets, str) else _ALL_LINEAR,
    )


def _generation(given: Mapping[str, object]) -> Generation:
    """Training programs generate without examples, in batches of their own size."""
    trains = _trains(given)
    prompt = SHOT_TOKENS * (_number(given, "shots", 0 if trains else 3) + 1)
    rows = _number(given, "ask_batch", 50) if trains else _number(given, "batch", 32)
    return Generation(rows, prompt + _number(given, "max_new_tokens", 128))


def _number(given: Mapping[str, object], name: str, otherwise: int) -> int:
    """A positive integer parameter; the stage itself rejects invalid values."""
    value = given.get(name, otherwise)
    return value if type(value) is int and value > 0 else otherwise


def needed_gb(stage: Stage) -> int:
    """GB, as GPUs are sold, that one GPU must have for `stage`; 0: any amount.

    The estimate, never below the stage's own `min_gpu_memory_gb`; without an
    estimate that, else its `unknown_model_gb`.
    """
    need = stage.hardware
    if need.cpu is not None:
        return 0
    peak = stage_gib(stage)
    if peak is None:
        return need.min_gpu_memory_gb or need.unknown_model_gb
    return max(need.min_gpu_memory_gb, math.ceil(peak * GIB / GB))
