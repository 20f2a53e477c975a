"""Where a response ends, as a table over token ids.

The delimiter may be spread over tokens, so its characters are followed by a state machine. A table
of its transitions, one row a state and one column a token, lets the device follow it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

PLAIN, DELIMITED, ENDED = 0, 5, 6  # states; 1 to 4: a line break and as many signs, less one
_LINE, _SIGNS = 1, 4
_STATES = 7
_ANCHOR = "a"  # before a token, so that a tokenizer does not drop the token's leading space


def follow(state: int, text: str) -> int:
    """The state after `text`; from DELIMITED and ENDED there is no way back."""
    for character in text:
        if state >= DELIMITED:
            return state
        state = _next(state, character)
    return state


def _next(state: int, character: str) -> int:
    if character == "\n":
        return DELIMITED if state == _SIGNS else _LINE
    if character == "#":
        return state + 1 if _LINE <= state < _SIGNS else PLAIN
    return _SIGNS if state == _SIGNS and character in " \t" else PLAIN


def token_texts(tokenizer: Any, vocabulary: int) -> list[str]:
    """The text that each token adds to a response; none for ids that the tokenizer lacks."""
    known = min(len(tokenizer), vocabulary)
    anchor = tokenizer(_ANCHOR, add_special_tokens=False)["input_ids"]
    before = len(tokenizer.decode(anchor))
    texts = tokenizer.batch_decode([[*anchor, token] for token in range(known)])
    return [text[before:] for text in texts] + [""] * (vocabulary - known)


def make_table(texts: list[str], ends_of_text: Iterable[int]) -> Any:
    """The state after each token (column) in each state (row)."""
    rows = [[follow(state, text) for text in texts] for state in range(_STATES)]
    table = torch.tensor(rows, dtype=torch.uint8)
    for token in ends_of_text:
        table[:DELIMITED, token] = ENDED
    return table


def first_state(prompt: str) -> int:
    """The state before the first token: a prompt's line break may begin a delimiter."""
    state = follow(PLAIN, prompt[-1:])
    return PLAIN if state >= DELIMITED else state
