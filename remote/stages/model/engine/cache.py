"""The static key-value cache, and how many slots of it memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .decoder import Decoder, dense_bytes

MOST = 512  # slots; more than that gained 5 % where it was measured
GRAIN = 64  # tokens by which the length of a slot grows
_RESERVE = 6 * 2**30  # for what prompts and a step need, and graphs
_LOGITS = 16  # bytes of a step for each token of the vocabulary and row


class Cache:
    """Keys and values of every layer: `slots` rows of `length` tokens."""

    def __init__(self, decoder: Decoder, slots: int, length: int) -> None:
        shape = (slots, length, decoder.key_heads, decoder.head_width)
        make = {"device": decoder.device, "dtype": decoder.dtype}
        self.slots, self.length, self.width = slots, length, decoder.head_width
        # Zeros: what a mask hides must still be finite.
        self.keys = [torch.zeros(shape, **make) for _ in decoder.layers]
        self.values = [torch.zeros(shape, **make) for _ in decoder.layers]

    def copy(self, slot: int, length: int) -> list[Any]:
        """The first `length` keys and values of a slot, by layer."""
        return [
            torch.stack((keys[slot, :length], values[slot, :length]))
            for keys, values in zip(self.keys, self.values, strict=True)
        ]

    def fill(self, slots: Any, prefix: Sequence[Any]) -> None:
        """Puts a `copy` at the beginning of every slot of `slots`."""
        length = prefix[0].shape[1]
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            keys[slots, :length] = prefix[layer][0]
            values[slots, :length] = prefix[layer][1]

    def gather(self, slots: Any) -> None:
        """Moves `slots`, in their order, to the front."""
        for part in (*self.keys, *self.values):
            part[: len(slots)] = part[slots]


def slot_bytes(config: Any, length: int, item: int = 2) -> int:
    """What one slot of `length` tokens takes, with its share of a step's logits."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cached: int = 2 * config.num_hidden_layers * config.num_key_value_heads * width * item * length
    return cached + int(config.vocab_size) * _LOGITS


def free_bytes() -> int | None:
    """GPU memory that can be had in large pieces; None where there is no GPU.

    To be called when what is not used was given back: what is reserved then is in use or in pieces.
    """
    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    share = getattr(torch.cuda.memory, "get_per_process_memory_fraction", lambda: 1.0)()
    return int(min(free, share * total - torch.cuda.memory_reserved()))


def uses_dense(model: Any, free: int | None, slot: int, rows: int) -> bool:
    """Whether quantised weights are dequantised once: where enough slots fit beside the copy.

    The copy has the very values that every step would compute again, so answers are the same.
    """
    size = dense_bytes(model)
    return bool(size) and free is not None and slots_in(free - size, slot) >= min(rows, MOST // 4)


def slots_in(free: int | None, slot: int) -> int:
    """The slots of `slot` bytes for `free` bytes of memory, at most MOST; may be 0."""
    return MOST if free is None else max(0, min(MOST, (free - _RESERVE) // slot))


def rounded(length: int) -> int:
    return -(-length // GRAIN) * GRAIN


def by_length(needs: Sequence[int], slots_at: dict[int, int]) -> list[list[int]]:
    """The places of `needs` (tokens of a row, in all) in groups that are decoded one after another.

    One group where the longest need, by `slots_at`, leaves slots for all or as many as the
    shortest; else one for each power of two, so that a few long rows do not take the memory of
    many short ones.
    """
    longest, shortest = slots_at[max(needs)], slots_at[min(needs)]
    if longest >= min(len(needs), shortest):
        return [list(range(len(needs)))]
    groups: dict[int, list[int]] = {}
    for place, need in enumerate(needs):
        groups.setdefault((need - 1).bit_length(), []).append(place)
    return [groups[size] for size in sorted(groups)]
