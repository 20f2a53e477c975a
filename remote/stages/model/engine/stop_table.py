"""Where a response ends, and what none begins with, as a table over token ids.

The delimiter may be spread over tokens, so its characters are followed by a state machine. A table
of its transitions, one row a state and one column a token, lets the device follow it. As long as a
response is blank, an end of text, the delimiter and its beginning are barred: they would leave it
blank for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

# States; 1 to 4: a line break and as many signs, less one. BLANK: whitespace or nothing so far.
PLAIN, BLANK, DELIMITED, ENDED = 0, 5, 6, 7
_LINE, _SIGNS = 1, 4
_STATES = 8
_MARK = "###"
_ANCHOR = "a"  # before a token, so that a tokenizer does not drop the token's leading space


@dataclass(frozen=True)
class StopTable:
    """`transitions` has the state after each token (column) in each state (row); `barred` are the
    tokens that no blank response goes on with."""

    transitions: Any
    barred: Any

    def to(self, device: Any) -> StopTable:
        return StopTable(self.transitions.to(device, torch.long), self.barred.to(device))

    def after(self, states: Any, tokens: Any) -> Any:
        """The state of each row after its token."""
        return self.transitions[states, tokens]

    def bar(self, logits: Any, states: Any) -> Any:
        """`logits` without the barred tokens in those rows that are blank so far; in place."""
        those = logits[:, self.barred]
        none = torch.full_like(those, -torch.inf)
        kept = torch.where((states == BLANK)[:, None], none, those)
        return logits.index_copy_(1, self.barred, kept)


def begins_delimiter(text: str) -> bool:
    """Whether a response that begins with `text` begins with the delimiter, or may go on to it."""
    visible = text.strip()
    return bool(visible) and (visible.startswith(_MARK) or _MARK.startswith(visible))


def follow(state: int, text: str) -> int:
    """The state after `text`; from DELIMITED and ENDED there is no way back."""
    if state == BLANK:
        if not text.strip():
            return BLANK
        state = PLAIN
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


def table_of(vocabulary: int, tokenizer: Any, ends_of_text: set[int]) -> StopTable:
    """The table of a model's vocabulary; made once for each tokenizer."""
    key = (vocabulary, tuple(sorted(ends_of_text)))
    made: dict[Any, StopTable] = vars(tokenizer).setdefault("_podctl_stop_tables", {})
    if key not in made:
        texts = token_texts(tokenizer, vocabulary)
        made[key] = make_table(texts, ends_of_text, tokenizer.all_special_ids)
    return made[key]


def make_table(texts: list[str], ends_of_text: Iterable[int], special: Iterable[int]) -> StopTable:
    """The table of a vocabulary. `special` tokens add no text, so no response begins with one."""
    ends = set(ends_of_text)
    table = torch.zeros(_STATES, len(texts), dtype=torch.uint8)  # PLAIN after ordinary text
    table[DELIMITED], table[ENDED] = DELIMITED, ENDED
    for token, text in enumerate(texts):
        if "\n" in text or "#" in text or not text.strip():
            after = [follow(state, text) for state in range(_STATES)]
            table[:, token] = torch.tensor(after, dtype=torch.uint8)
    for token in ends:
        table[:DELIMITED, token] = ENDED
    barred = ends | {token for token in special if token < len(texts)}
    barred |= {token for token, text in enumerate(texts) if begins_delimiter(text)}
    return StopTable(table, torch.tensor(sorted(barred), dtype=torch.long))
