"""A record of training data as a stage reads it: of any form, checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .jsonl import line_of, text_of
from .records import TEXT_FIELDS


@dataclass(frozen=True)
class TrainingRecord:
    """One record of training data of any form. Each field is checked when it is read.

    Attributes:
        where: "<file>, line <n>", for errors.
        fields: the record as its file has it, fields that no stage reads included.
    """

    where: str
    fields: Mapping[str, Any]

    @property
    def line(self) -> int:
        """The number of its line in the file, from 1."""
        return line_of(self.where)

    @property
    def instruction(self) -> str | None:
        """None where the record has a prompt only. Raises: StageError for one that is no text."""
        if self.fields.get("instruction") is None:
            return None
        return text_of(self.fields, "instruction", self.where)

    @property
    def prompt(self) -> str:
        """Raises: StageError where it is missing or no text."""
        return text_of(self.fields, "prompt", self.where)

    @property
    def response(self) -> str:
        """`response`, or `completion` without one. Raises: StageError without either."""
        own = "response" in self.fields or "completion" not in self.fields
        return text_of(self.fields, "response" if own else "completion", self.where)

    @property
    def texts(self) -> dict[str, str]:
        """By name, those of `TEXT_FIELDS` that are texts."""
        named = ((name, self.fields.get(name)) for name in TEXT_FIELDS)
        return {name: text for name, text in named if isinstance(text, str)}
