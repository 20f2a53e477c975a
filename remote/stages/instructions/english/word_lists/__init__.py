"""The word lists that the English templates are filled with, one JSON file for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...word_lists import read_words


def word_list(name: str) -> Any:
    """The list in NAME.json of this folder."""
    return read_words(Path(__file__).with_name(f"{name}.json"))
