"""Runs one coroutine to its end, also inside a running event loop, as that of a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")


def run_to_end(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """The result of `work`. Within a running loop it runs in a loop of another thread.

    `work` ends within `seconds` by itself.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, "podctl-request") as pool:
        return pool.submit(asyncio.run, work).result(seconds)
