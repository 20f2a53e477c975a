"""A Qwen2 that knows nothing, in a shape of one's choice, with the small model's tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "remote/stages/small_model/model"


@dataclass(frozen=True)
class Shape:
    """What decides a Qwen2's size. `vocabulary` 0 is that of the tokenizer."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int = 0
    tied: bool = True


SHAPES = {
    "tiny": Shape(64, 2, 4, 2, 128),  # for a look without a CUDA device
    "half": Shape(896, 24, 14, 2, 4864),  # Qwen2.5-0.5B without its vocabulary
    "32b": Shape(5120, 64, 40, 8, 27648, 152064, tied=False),  # Qwen2.5-32B
}
IN_FOUR_BITS = ("32b",)  # too large to be written down in bf16


def make(name: str, folder: Path, ends: int = 0) -> None:
    """A model of `SHAPES[name]` in `folder`, which any stage loads as it loads every other.

    With `ends` it writes texts of the tokenizer's tokens, of which one in so many ends a text.
    """
    import torch
    from transformers import AutoTokenizer, Qwen2ForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(SMALL)
    torch.manual_seed(0)
    config = configuration(name, tokenizer)
    if name in IN_FOUR_BITS:
        model = quantised(config)
    else:
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
    if ends:
        _end_texts(model, tokenizer, ends)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _end_texts(model: Any, tokenizer: Any, every: int) -> None:
    """One token in `every` is an end of text; tokens that the tokenizer lacks are never chosen."""
    known = len(tokenizer)
    head = model.get_output_embeddings().weight.data
    head[known:] = 0
    if not model.config.tie_word_embeddings:
        head[:known] *= 4  # well above the zeros of the others
    ends = [tokenizer.eos_token_id, *range(known // 10, known, every)]
    model.generation_config.eos_token_id = ends


def configuration(name: str, tokenizer: Any) -> Any:
    """The configuration of `SHAPES[name]`."""
    from transformers import Qwen2Config

    shape = SHAPES[name]
    return Qwen2Config(
        vocab_size=shape.vocabulary or len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        max_position_embeddings=1024,
        tie_word_embeddings=shape.tied,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def weights(name: str) -> int:
    """The weights that a token meets, the embedding left out."""
    shape = SHAPES[name]
    width = shape.hidden // shape.heads
    attention = 2 * shape.hidden * shape.hidden + 2 * shape.hidden * shape.kv_heads * width
    layer = attention + 3 * shape.hidden * shape.intermediate
    return shape.layers * layer + shape.hidden * (shape.vocabulary or 1000)


def quantised(config: Any) -> Any:
    """The model in NF4; its layers share their random numbers, of which one layer's are made."""
    import torch
    from transformers import Qwen2ForCausalLM

    from remote.stages.model.loading import four_bits

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device("meta"):
        shapes = {key: one.shape for key, one in Qwen2ForCausalLM(config).state_dict().items()}
    made: dict[Any, Any] = {}
    for shape in set(shapes.values()):
        ones = len(shape) == 1  # the scale of a norm, or a bias, which may be anything
        kind = {"device": device, "dtype": torch.bfloat16}
        made[shape] = torch.ones(shape, **kind) if ones else torch.randn(shape, **kind) * 0.02
    model: Any = Qwen2ForCausalLM.from_pretrained(
        None,
        config=config,
        state_dict={key: made[shape] for key, shape in shapes.items()},
        quantization_config=four_bits(torch.bfloat16),
        dtype=torch.bfloat16,
        device_map={"": 0 if device == "cuda" else "cpu"},
    )
    for weight in (one for one in model.parameters() if one.is_floating_point()):
        weight.data = weight.data.clone()  # what is not quantised is shared no more
    return model
