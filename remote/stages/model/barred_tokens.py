"""Keeps `generate` from ending a response while it is blank, as the engine does."""

from __future__ import annotations

from typing import Any

from transformers import LogitsProcessor

from .engine.stop_table import BLANK, StopTable, table_of


class BarredTokens(LogitsProcessor):
    """For one call of `generate`: takes the barred tokens from rows that are blank so far."""

    def __init__(self, tokenizer: Any, ends_of_text: set[int]) -> None:
        self._tokenizer, self._ends_of_text = tokenizer, ends_of_text
        self._table: StopTable | None = None
        self._states: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._table is None:
            table = table_of(scores.shape[-1], self._tokenizer, self._ends_of_text)
            self._table = table.to(scores.device)
            self._states = input_ids.new_full((len(input_ids),), BLANK)
        else:
            self._states = self._table.after(self._states, input_ids[:, -1])
        return self._table.bar(scores, self._states)
