"""A model on a device whose memory holds only so many prompts at once."""

from __future__ import annotations

from typing import Any


class Short:
    """`model`, which is out of memory with more than `rows` prompts."""

    def __init__(self, model: Any, rows: int) -> None:
        self._model, self._rows = model, rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, **inputs: Any) -> Any:
        self._hold(inputs)
        return self._model.generate(**inputs)

    def __call__(self, **inputs: Any) -> Any:
        self._hold(inputs)
        return self._model(**inputs)

    def _hold(self, inputs: dict[str, Any]) -> None:
        import torch

        if len(inputs["input_ids"]) > self._rows:
            raise torch.OutOfMemoryError("out of memory")
