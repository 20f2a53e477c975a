"""The base model as the writer of responses: loaded when the first one is needed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .failure import StageError
from .generate_parameters import GenerateParameters
from .generation_journal import Entry
from .instruction import Instruction
from .metrics import MetricsLog
from .prompts import CompletionStylePrompts, solved

_SEEDS = 1000  # prompt seeds of one seed of the stage: one an attempt


@dataclass(frozen=True)
class Task:
    """One attempt at an instruction, with the prompt that `seed` draws for it."""

    instruction: Instruction
    attempt: int
    seed: int
    prompt: str


def make_task(
    instruction: Instruction,
    attempt: int,
    parameters: GenerateParameters,
    pool: Sequence[Instruction],
) -> Task:
    seed = parameters.seed * _SEEDS + attempt % _SEEDS
    prompts = CompletionStylePrompts(pool, parameters.shots, seed)
    return Task(instruction, attempt, seed, prompts.render(instruction.text))


@dataclass
class Writer:
    """Answers tasks with the model at `source`. `train` is all that may be asked; `pool` stands
    solved above it, and is what the critic is shown."""

    parameters: GenerateParameters
    source: str
    train: Sequence[Instruction]
    pool: Sequence[Instruction]
    log: MetricsLog
    _loaded: tuple[Any, Any] | None = field(default=None, repr=False)

    def write(self, tasks: Sequence[Task], seed: int) -> list[Entry]:
        """One entry a task, in order. Raises: StageError when memory is too small for a few."""
        model, tokenizer = self._load()
        began = time.monotonic()
        found = self._answer(model, tokenizer, tasks, seed)
        if self.parameters.critic:
            found = self._with_margins(model, tokenizer, found)
        share = (time.monotonic() - began) / len(tasks)
        return [Entry(**one, seconds=round(share, 4)) for one in found]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self.log.say(f"loading {self.parameters.model}")
            from . import sentinels
            from .model import load_model, load_tokenizer

            warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
            tokenizer = load_tokenizer(self.source)
            asked = [make_task(one, 0, self.parameters, self.pool).prompt for one in self.train]
            sentinels.check_tokens(tokenizer, [*asked, *map(solved, self.pool)])
            if self.parameters.critic:
                from .critic import letter_tokens

                letter_tokens(tokenizer)  # before the model takes its time
            self._loaded = load_model(self.source, self.parameters.quantize), tokenizer
        return self._loaded

    def _answer(
        self, model: Any, tokenizer: Any, tasks: Sequence[Task], seed: int
    ) -> list[dict[str, Any]]:
        """The entries' fields; in two halves when the GPU's memory does not hold all at once."""
        import torch

        try:
            return self._generate(model, tokenizer, tasks, seed)
        except torch.OutOfMemoryError:
            pass  # the error would keep the batch in memory until it is left
        if len(tasks) == 1:
            raise StageError(
                "the GPU's memory does not hold a single prompt",
                remedy="lower max_new_tokens or shots, or accept only GPUs with more memory",
            )
        half = (len(tasks) + 1) // 2
        self.log.say(
            f"out of GPU memory with {len(tasks)} prompts at once: trying {half}; lower batch"
        )
        torch.cuda.empty_cache()
        return [
            one
            for place in (0, half)
            for one in self._answer(model, tokenizer, tasks[place : place + half], seed + place)
        ]

    def _generate(
        self, model: Any, tokenizer: Any, tasks: Sequence[Task], seed: int
    ) -> list[dict[str, Any]]:
        from .generation import generate_finished

        said = generate_finished(
            model,
            tokenizer,
            [one.prompt for one in tasks],
            max_new_tokens=self.parameters.max_new_tokens,
            batch=len(tasks),
            temperature=self.parameters.temperature,
            seed=seed,
        )
        return [
            {
                "instruction": task.instruction.text,
                "attempt": task.attempt,
                "seed": task.seed,
                "prompt": task.prompt,
                "response": one.text,
                "finished": one.finished,
                "tokens": one.tokens,
            }
            for task, one in zip(tasks, said, strict=True)
        ]

    def _with_margins(
        self, model: Any, tokenizer: Any, found: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        from .critic import margins

        judged = margins(
            model,
            tokenizer,
            self.pool,
            [(one["instruction"], one["response"]) for one in found],
            batch=len(found),
            seed=self.parameters.seed,
        )
        return [
            one | {"margin": round(two.mean, 6)} for one, two in zip(found, judged, strict=True)
        ]
