"""Parameters of stage 1B."""

from __future__ import annotations

from dataclasses import dataclass

from ..common import layout
from ..common.parameters import at_least, check_engine, check_template, invalid_parameter


@dataclass(frozen=True)
class GenerateParameters:
    """Parameters of stage1b in podctl.toml; pairs are counted after the filters."""

    model: str = "Qwen/Qwen2.5-32B"  # a hub id, a folder of the project, or "small"
    instructions: str = "english"  # or "small", or a folder of JSONL files
    out: str = layout.DATA.as_posix()
    wanted: int = 1000  # pairs
    at_least: int = 800  # pairs, below which the stage fails
    samples_per_instruction: int = 4  # responses at most
    max_attempts: int = 12_000  # responses generated in all
    max_minutes: float = 0.0  # of generating in all; 0: no limit but the stage's own
    shots: int = 3  # solved examples in a prompt
    temperature: float = 0.7
    max_new_tokens: int = 256
    batch: int = 64  # prompts generated for at once
    quantize: str = "auto"  # auto | nf4 | none
    four_bit_copy: bool = True  # keep the quantized base beside the model, for later stages
    engine: str = "auto"  # auto | plain: transformers' own generation | vllm
    template: str = "plain"  # plain | chat: the tokenizer's own template, for instruct models
    verified_only: bool = True  # False: wrong ones fill up to at_least where the right are too few
    critic: bool = False  # ask the model itself, by the log-probabilities of two letters
    critic_margin: float = 0.0  # nats by which "right" must be ahead of "wrong"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (
            "wanted",
            "at_least",
            "max_attempts",
            "shots",
            "batch",
            "samples_per_instruction",
        ):
            at_least(name, getattr(self, name), 1)
        at_least("max_new_tokens", self.max_new_tokens, 8)
        for name in ("max_minutes", "temperature", "seed"):
            at_least(name, getattr(self, name), 0)
        if self.at_least > self.wanted:
            raise invalid_parameter("at_least", f"is above wanted, {self.wanted}")
        if self.wanted > self.max_attempts:
            raise invalid_parameter("max_attempts", f"is below wanted, {self.wanted}")
        if self.quantize not in ("auto", "nf4", "none"):
            raise invalid_parameter("quantize", 'must be "auto", "nf4" or "none"')
        check_engine(self.engine)
        check_template(self.template)
        if self.critic and self.template != "plain":
            raise invalid_parameter("critic", 'needs template = "plain": it reads solved examples')
