"""Parameters of stage 1E."""

from __future__ import annotations

from dataclasses import dataclass

from ..common.failure import StageError
from ..common.layout import ARTIFACTS
from ..common.parameters import check_engine, check_template


@dataclass(frozen=True)
class EvaluateParameters:
    """Parameters of stage1e in podctl.toml."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    instructions: str = "english"  # or "small", or a folder of JSONL files
    out: str = ARTIFACTS.as_posix()
    batch: int = 32  # prompts generated for at once
    samples: int = 4  # answers an instruction at `temperature`; 0: greedy only
    temperature: float = 0.7
    minimum_lift: float = 0.05  # over the base that counts as an improvement
    margin: float = 0.05  # by which DPO may not be shown to be worse than SFT
    quantize: str = "auto"  # auto | nf4 | none
    four_bit_copy: bool = True  # keep the quantized base beside the model, for later stages
    engine: str = "auto"  # auto | plain: transformers' own generation | vllm
    template: str = "plain"  # plain | chat: the tokenizer's own template, for instruct models
    critic: bool = False  # the base model judges free text, whose form alone a rule sees
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("batch", 1), ("samples", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise _wrong(name, f"must be {least} or more")
        for name in ("minimum_lift", "margin"):
            if not 0 <= getattr(self, name) < 1:
                raise _wrong(name, "must be from 0 to below 1")
        if self.temperature <= 0:
            raise _wrong("temperature", "must be above 0; for greedy answers only set samples = 0")
        if self.quantize not in ("auto", "nf4", "none"):
            raise _wrong("quantize", 'must be "auto", "nf4" or "none"')
        check_engine(self.engine)
        check_template(self.template)
        if self.critic and self.template != "plain":
            raise _wrong("critic", 'needs template = "plain": it is calibrated on bare prompts')


def _wrong(name: str, problem: str) -> StageError:
    return StageError(
        f"parameter {name} {problem}", remedy="change [stages.stage1e.parameters] in podctl.toml"
    )
