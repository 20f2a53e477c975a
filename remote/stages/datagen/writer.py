"""Generates responses with the base model, which is loaded for the first batch."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common.metrics import MetricsLog
from ..common.oom_retry import with_halved_batches
from ..text.prompts import CompletionStylePrompts, solved
from ..verification.instruction import Instruction
from .journal import Entry
from .parameters import GenerateParameters

if TYPE_CHECKING:  # torch is heavy
    from ..model.sampling import Generated

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

    def write(
        self,
        tasks: Sequence[Task],
        store: Callable[[list[Entry]], None],
        stopped: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Gives one entry a task to `store`, as they come; returns False when stopped.

        What a task draws is decided by its instruction, its attempt and the stage's seed. Raises:
        StageError when a single prompt is out of memory.
        """
        model, tokenizer = self._load()  # before torch is imported: weights are read meanwhile
        from ..model.sampling import Generation, Request, seed_of

        parameters, last = self.parameters, time.monotonic()
        generation = Generation(
            model,
            tokenizer,
            parameters.max_new_tokens,
            parameters.batch,
            parameters.engine,
            self.log.message,
        )
        requests = [
            Request(
                task.prompt,
                parameters.temperature,
                seed_of(parameters.seed, task.attempt, task.instruction.text),
            )
            for task in tasks
        ]

        def add(responses: list[tuple[int, Generated]]) -> None:
            nonlocal last
            entries = [_entry(tasks[place], response) for place, response in responses]
            if parameters.critic:
                entries = with_halved_batches(
                    partial(self._with_margins, model, tokenizer, entries),
                    len(entries),
                    self.log.message,
                )
            share = (time.monotonic() - last) / len(entries)
            store([replace(entry, seconds=round(share, 4)) for entry in entries])
            last = time.monotonic()

        return generation.run(requests, add, stopped)

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            self.log.message(f"loading {self.parameters.model}")
            from ..model import base_model_check, base_weights

            parameters = self.parameters
            base_weights.begin(
                self.source, parameters.quantize, parameters.four_bit_copy, self.log.message
            )
            from ..model.loading import load_model, load_tokenizer

            warnings.filterwarnings("ignore", message="Could not find a config file in")  # "small"
            tokenizer = load_tokenizer(self.source, self.parameters.template)
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


def _entry(task: Task, response: Generated) -> Entry:
    return Entry(
        task.instruction.text,
        task.attempt,
        task.seed,
        task.prompt,
        response.text,
        response.finished,
        response.tokens,
        seconds=0.0,  # known when it is stored
    )
