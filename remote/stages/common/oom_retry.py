"""Retries generation with smaller batches when the GPU runs out of memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

from .failure import StageError

T = TypeVar("T")

NO_PROMPT = "the GPU's memory does not hold a single prompt"
NO_PROMPT_REMEDY = "lower max_new_tokens or shots, or accept only GPUs with more memory"


def with_halved_batches(ask: Callable[[int], T], batch: int, say: Callable[[str], None]) -> T:
    """The result of `ask(batch)`; after an out-of-memory error, of half as many prompts at once.

    `say` reports each retry. Raises: StageError when a single prompt is out of memory.
    """
    import torch

    while True:
        try:
            return ask(batch)
        except torch.OutOfMemoryError:
            pass  # the error would keep the batch in memory until it is left
        free_gpu_memory()
        if batch == 1:
            raise StageError(NO_PROMPT, remedy=NO_PROMPT_REMEDY)
        half = (batch + 1) // 2
        say(f"out of GPU memory with {batch} prompts at once: trying {half}")
        batch = half


def free_gpu_memory() -> None:
    """Releases the GPU memory of objects that are no longer used."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
