"""Generates responses with the base model, which is loaded for the first batch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..common.metrics import MetricsLog
from ..common.oom_retry import with_halved_batches
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
    """Generates responses with the model at `source`.

    Attributes:
        train: all instructions that may be generated for; their prompts are checked first.
        pool: the solved examples of the prompts, and of the critic.
    """

    parameters: GenerateParameters
    source: str
    train: Sequence[Instruction]
    pool: Sequence[Instruction]
    log: MetricsLog
    _loaded: tuple[Any, Any] | None = field(default=None, repr=False)

    def write(self, tasks: Sequence[Task], seed: int) -> list[Entry]:
        """One entry a task, in order. Raises: StageError when a single prompt is out of memory."""
        model, tokenizer = self._load()
        began = time.monotonic()
        entries = with_halved_batches(
            lambda rows: self._generate(model, tokenizer, tasks, seed, rows),
            len(tasks),
            self.log.message,
        )
        if self.parameters.critic:
            entries = with_halved_batches(
                partial(self._with_margins, model, tokenizer, entries),
                len(tasks),
                self.log.message,
            )
        share = (time.monotonic() - began) / len(tasks)
        return [replace(entry, seconds=round(share, 4)) for entry in entries]

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self.log.message(f"loading {self.parameters.model}")
            from ..model import base_model_check
            from ..model.loading import load_model, load_tokenizer

            warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
            tokenizer = load_tokenizer(self.source)
            prompts = [
                make_task(instruction, 0, self.parameters, self.pool).prompt
                for instruction in self.train
            ]
            base_model_check.check_tokens(tokenizer, [*prompts, *map(solved, self.pool)])
            if self.parameters.critic:
                from ..model.critic import letter_tokens

                letter_tokens(tokenizer)  # before the model takes its time
            self._loaded = load_model(self.source, self.parameters.quantize), tokenizer
        return self._loaded

    def _generate(
        self, model: Any, tokenizer: Any, tasks: Sequence[Task], seed: int, batch: int
    ) -> list[Entry]:
        from ..model.sampling import generate_finished

        responses = generate_finished(
            model,
            tokenizer,
            [task.prompt for task in tasks],
            max_new_tokens=self.parameters.max_new_tokens,
            batch=batch,
            temperature=self.parameters.temperature,
            seed=seed,
        )
        return [
            Entry(
                task.instruction.text,
                task.attempt,
                task.seed,
                task.prompt,
                response.text,
                response.finished,
                response.tokens,
                seconds=0.0,  # known when the batch is over
            )
            for task, response in zip(tasks, responses, strict=True)
        ]

    def _with_margins(
        self, model: Any, tokenizer: Any, entries: Sequence[Entry], batch: int
    ) -> list[Entry]:
        from ..model.critic import margins

        judged = margins(
            model,
            tokenizer,
            self.pool,
            [(entry.instruction, entry.response) for entry in entries],
            batch,
            seed=self.parameters.seed,
        )
        return [
            replace(entry, margin=round(margin.mean, 6))
            for entry, margin in zip(entries, judged, strict=True)
        ]
