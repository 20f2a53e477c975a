"""The base model as the writer of responses: loaded when the first one is needed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..common.metrics import MetricsLog
from ..common.oom_retry import fitting
from ..text.prompts import CompletionStylePrompts, solved
from ..verification.instruction import Instruction
from .journal import Entry
from .parameters import GenerateParameters

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
        """One entry a task, in order. Raises: StageError when memory does not hold one."""
        model, tokenizer = self._load()
        began = time.monotonic()
        found = fitting(
            lambda rows: self._generate(model, tokenizer, tasks, seed, rows),
            len(tasks),
            self.log.say,
        )
        if self.parameters.critic:
            found = fitting(
                lambda rows: self._with_margins(model, tokenizer, found, rows),
                len(tasks),
                self.log.say,
            )
        share = (time.monotonic() - began) / len(tasks)
        return [Entry(**one, seconds=round(share, 4)) for one in found]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self.log.say(f"loading {self.parameters.model}")
            from ..model import base_model_check as sentinels
            from ..model.loading import load_model, load_tokenizer

            warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
            tokenizer = load_tokenizer(self.source)
            asked = [make_task(one, 0, self.parameters, self.pool).prompt for one in self.train]
            sentinels.check_tokens(tokenizer, [*asked, *map(solved, self.pool)])
            if self.parameters.critic:
                from ..model.critic import letter_tokens

                letter_tokens(tokenizer)  # before the model takes its time
            self._loaded = load_model(self.source, self.parameters.quantize), tokenizer
        return self._loaded

    def _generate(
        self, model: Any, tokenizer: Any, tasks: Sequence[Task], seed: int, batch: int
    ) -> list[dict[str, Any]]:
        from ..model.sampling import generate_finished

        said = generate_finished(
            model,
            tokenizer,
            [one.prompt for one in tasks],
            max_new_tokens=self.parameters.max_new_tokens,
            batch=batch,
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
        self, model: Any, tokenizer: Any, found: Sequence[dict[str, Any]], batch: int
    ) -> list[dict[str, Any]]:
        from ..model.critic import margins

        judged = margins(
            model,
            tokenizer,
            self.pool,
            [(one["instruction"], one["response"]) for one in found],
            batch,
            seed=self.parameters.seed,
        )
        return [
            one | {"margin": round(two.mean, 6)} for one, two in zip(found, judged, strict=True)
        ]
