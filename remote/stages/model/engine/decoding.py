"""Decodes rows with the engine: chooses slots by memory, and goes on with half when it is short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...common.failure import StageError
from ...common.oom_retry import NO_PROMPT, NO_PROMPT_REMEDY, free_gpu_memory
from .cache import (
    MOST,
    by_length,
    free_bytes,
    rounded,
    slot_bytes,
    slots_in,
    uses_dense,
)
from .choice import Truncation
from .decoder import Decoder, bare_model, dense_bytes, longest_window, why_unknown
from .loop import Ended, Loop, Row
from .stop_table import StopTable

# Values of a generation config that the engine computes; any other is left to transformers.
_UNUSED = {
    "repetition_penalty": 1.0, "encoder_repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
    "min_p": 0, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None,
    "bad_words_ids": None, "suppress_tokens": None, "begin_suppress_tokens": None,
    "forced_bos_token_id": None, "forced_eos_token_id": None, "sequence_bias": None,
    "guidance_scale": 1.0, "min_length": 0, "min_new_tokens": None,
    "exponential_decay_length_penalty": None,
}  # fmt: skip


def why_plain(model: Any, longest: int) -> str | None:
    """Why `model` is not for the engine with rows of `longest` tokens; None where it is."""
    settings = bare_model(model).generation_config
    for name, unused in _UNUSED.items():
        if getattr(settings, name, None) not in (None, unused):
            return f"{name} in its generation config"
    window = longest_window(model)
    if window is not None and longest > window:
        return f"its attention window of {window} tokens"
    return why_unknown(model)


@dataclass(frozen=True)
class Rates:
    """What a decoding did, for its report."""

    slots: int
    steps: int
    tokens: int
    prompt_tokens: int
    dense: bool


@dataclass
class Decoding:
    """The decoding of `rows`, at most `most` new tokens each, in at most `slots` slots."""

    model: Any
    rows: Sequence[Row]
    table: StopTable
    most: int
    say: Callable[[str], None]
    slots: int = MOST
    rates: list[Rates] | None = None  # of each group of rows, where a list is given

    @torch.inference_mode()
    def run(self, done: Callable[[list[Ended]], None], stopped: Callable[[], bool]) -> bool:
        """Decodes all rows; `done` gets each once, as they end. Returns False when stopped.

        Raises: StageError when memory does not hold a single row.
        """
        left = dict.fromkeys(range(len(self.rows)))

        def store(ended: list[Ended]) -> None:
            for row in ended:
                del left[row.place]
            done(ended)

        while left:
            try:
                finished = self._attempt(list(left), store, stopped)
            except torch.OutOfMemoryError:
                pass  # the error would keep the cache in memory until it is left
            else:
                free_gpu_memory()
                return finished
            if self.slots == 1:
                raise StageError(NO_PROMPT, remedy=NO_PROMPT_REMEDY)
            half = (min(self.slots, len(left)) + 1) // 2
            self.say(f"out of GPU memory with {min(self.slots, len(left))} prompts at once: "
                     f"trying {half}")  # fmt: skip
            self.slots = half
        return True

    def _attempt(
        self, places: list[int], done: Callable[[list[Ended]], None], stopped: Callable[[], bool]
    ) -> bool:
        free_gpu_memory()  # what an earlier decoding or a training left is in the way
        config = bare_model(self.model).config
        needs = [rounded(len(self.rows[place].tokens) + self.most + 1) for place in places]
        sizes = {need: slot_bytes(config, need) for need in needs}
        free = free_bytes()
        dense = uses_dense(self.model, free, sizes[max(needs)], len(places))
        if dense and free is not None:
            free -= dense_bytes(self.model)
        slots_at = {need: min(self.slots, slots_in(free, size)) for need, size in sizes.items()}
        decoder = Decoder(self.model, max(needs), dense=dense)
        for group in by_length(needs, slots_at):
            need = max(needs[number] for number in group)
            chosen = [places[number] for number in group]
            free_gpu_memory()  # cache and graphs of the group before
            slots = max(1, min(len(group), slots_at[need]))
            if not self._group(decoder, chosen, slots, need, dense, done, stopped):
                return False
        return True

    def _group(
        self, decoder: Decoder, places: list[int], slots: int, length: int, dense: bool,
        done: Callable[[list[Ended]], None], stopped: Callable[[], bool],
    ) -> bool:  # fmt: skip
        rows = [self.rows[place] for place in places]
        settings = bare_model(self.model).generation_config
        loop = Loop(
            decoder, self.table, Truncation.of(settings, decoder.vocabulary), slots, length,
            self.most, sampled=any(row.temperature for row in rows),
        )  # fmt: skip

        def store(ended: list[Ended]) -> None:
            done([Ended(places[row.place], row.tokens, row.delimited) for row in ended])

        finished = loop.run(rows, store, stopped)
        if self.rates is not None:
            self.rates.append(Rates(slots, loop.steps, loop.useful, loop.prompt_tokens, dense))
        return finished
