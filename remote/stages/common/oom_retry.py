"""What is done where the GPU's memory is short: half as much at once, as often as it takes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

from .failure import StageError

T = TypeVar("T")


def with_halved_batches(ask: Callable[[int], T], batch: int, say: Callable[[str], None]) -> T:
    """`ask(batch)`, and again with half as many prompts at once for as long as memory is short.

    Raises: StageError when it does not hold a single one.
    """
    import torch

    while True:
        try:
            return ask(batch)
        except torch.OutOfMemoryError:
            pass  # the error would keep the batch in memory until it is left
        free_gpu_memory()
        if batch == 1:
            raise StageError(
                "the GPU's memory does not hold a single prompt",
                remedy="lower max_new_tokens or shots, or accept only GPUs with more memory",
            )
        half = (batch + 1) // 2
        say(f"out of GPU memory with {batch} prompts at once: trying {half}")
        batch = half


def free_gpu_memory() -> None:
    """Give back the GPU memory of what is no longer used."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
