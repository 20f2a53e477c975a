"""Parameters of stage 1A."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.layout import ARTIFACTS
from ..common.parameters import at_least, check_engine, check_template, invalid_parameter
from ..model import base_model_check


@dataclass(frozen=True)
class BaselineParameters:
    """Parameters of stage1a in podctl.toml."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    instructions: str = "english"  # or "small", or a folder of JSONL files
    out: str = ARTIFACTS.as_posix()
    explicit: int = 100  # held-out instructions that the assessment reports on
    shots: int = 3  # solved examples in a few-shot prompt
    max_new_tokens: int = 128
    batch: int = 32  # prompts generated for at once
    quantize: str = "auto"  # auto | nf4 | none
    four_bit_copy: bool = True  # keep the quantized base beside the model, for later stages
    engine: str = "auto"  # auto | plain: transformers' own generation | vllm
    template: str = "plain"  # plain | chat: the tokenizer's own template, for instruct models
    tolerated: int = (
        base_model_check.TOLERATED
    )  # sentinel instructions that the base model may obey
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("explicit", 4), ("shots", 1), ("max_new_tokens", 8), ("batch", 1)):
            at_least(name, getattr(self, name), least)
        for name in ("tolerated", "seed"):
            at_least(name, getattr(self, name), 0)
        obeyed = sum(
            not sentinel.passes for sentinel in base_model_check.sentinels_for(self.instructions)
        )
        if self.tolerated > obeyed // 2:
            raise invalid_parameter(
                "tolerated", f"is above half of the {obeyed} sentinel instructions"
            )
        if self.quantize not in ("auto", "nf4", "none"):
            raise invalid_parameter("quantize", 'must be "auto", "nf4" or "none"')
        check_engine(self.engine)
        check_template(self.template)
