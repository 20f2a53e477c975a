"""Attention over the static cache: FlashAttention inside torch where it works, else SDPA."""

from __future__ import annotations

from functools import cache
from itertools import accumulate
from typing import Any

import torch
from torch.nn import functional

from .cache import Cache

_TOLERATED = 5e-2  # of the largest value, in bf16; a wrong result is further off


def flash(
    query: Any, key: Any, value: Any, of_queries: Any, of_keys: Any, longest: tuple[int, int],
    scale: float, causal: bool, used: Any = None,
) -> Any:  # fmt: skip
    """Attention of packed sequences through torch's own FlashAttention."""
    return torch.ops.aten._flash_attention_forward(
        query, key, value, of_queries, of_keys, *longest, 0.0, causal, False,
        scale=scale, seqused_k=used,
    )[0]  # fmt: skip


@cache
def has_flash(device: Any, dtype: Any, heads: int, key_heads: int, width: int) -> bool:
    """Whether `flash` works here."""
    known = device.type == "cuda" and dtype in (torch.bfloat16, torch.float16)
    return known and computes_as_dense(device, dtype, heads, key_heads, width)


def computes_as_dense(device: Any, dtype: Any, heads: int, key_heads: int, width: int) -> bool:
    """Tries `flash` against SDPA: torch has it as no public function, and not in every version."""
    make = {"device": device, "dtype": dtype}
    draw: Any = torch.randn(2, 5, heads + 2 * key_heads, width, **make)
    query, key, value = draw.split([heads, key_heads, key_heads], 2)
    ends = torch.tensor([0, 1, 2], dtype=torch.int32, device=device)
    starts = torch.tensor([0, 5, 10], dtype=torch.int32, device=device)
    try:
        seen = flash(
            query[:, 0].contiguous(), key.reshape(10, key_heads, width),
            value.reshape(10, key_heads, width), ends, starts, (1, 5), width**-0.5, False,
            torch.tensor([3, 4], dtype=torch.int32, device=device),
        )  # fmt: skip
        mask = torch.arange(5, device=device)[None] < torch.tensor([[3], [4]], device=device)
        wanted = _dense(query[:, :1], key, value, mask[:, None, None], width**-0.5)[:, 0]
    except (RuntimeError, TypeError, AttributeError, NotImplementedError):
        return False
    return bool((seen - wanted).abs().max() < _TOLERATED * wanted.abs().max())


def _dense(query: Any, key: Any, value: Any, mask: Any, scale: float) -> Any:
    """SDPA of [rows, tokens, heads, width]; `mask` is true where a query sees a key."""
    group = query.shape[2] // key.shape[2]
    key, value = (part.transpose(1, 2).repeat_interleave(group, 1) for part in (key, value))
    seen = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key, value, attn_mask=mask, scale=scale
    )
    return seen.transpose(1, 2)


class StepAttention:
    """One new token for each of the first `rows` slots."""

    def __init__(self, cache_: Cache, rows: int, positions: Any, *, uses_flash: bool) -> None:
        device = positions.device
        self._cache, self._rows, self._positions = cache_, rows, positions
        self._places = torch.arange(rows, device=device)
        self._flash = uses_flash
        self._ends = torch.arange(rows + 1, dtype=torch.int32, device=device)
        self._starts = self._ends * cache_.length
        self._keys = torch.arange(cache_.length, device=device)
        self.scale = cache_.width**-0.5
        self._used: Any = None

    def begin(self) -> None:
        """To be called at the beginning of each step: the positions have moved on."""
        positions = self._positions[: self._rows]
        if self._flash:
            self._used = (positions + 1).int()
        else:
            self._used = (self._keys[None] <= positions[:, None])[:, None, None]

    def __call__(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        at = (self._places, self._positions[: self._rows])
        keys.index_put_(at, key)
        values.index_put_(at, value)
        keys, values = keys[: self._rows], values[: self._rows]
        if not self._flash:
            return _dense(query[:, None], keys, values, self._used, self.scale)[:, 0]
        return flash(
            query, keys.flatten(0, 1), values.flatten(0, 1), self._ends, self._starts,
            (1, self._cache.length), self.scale, False, self._used,
        )  # fmt: skip


class PromptAttention:
    """The tokens of several prompts, packed; each prompt goes into a slot, after its prefix."""

    def __init__(
        self, cache_: Cache, slots: list[int], lengths: list[int], skipped: list[int],
        device: Any, *, uses_flash: bool,
    ) -> None:  # fmt: skip
        self._cache, self._lengths, self._skipped = cache_, lengths, skipped
        self._flash, self._device = uses_flash, device
        self.scale = cache_.width**-0.5
        self.slots = torch.tensor(slots, device=device)
        counts = torch.tensor(lengths, device=device)
        self.of_token = torch.repeat_interleave(self.slots, counts)
        self.positions = self._ranges(skipped, lengths)
        self.ends = self._sums(lengths)
        whole = [skip + length for skip, length in zip(skipped, lengths, strict=True)]
        self._whole = max(whole)
        self._key_ends = self._sums(whole)
        self._key_slots = torch.repeat_interleave(self.slots, torch.tensor(whole, device=device))
        self._key_positions = self._ranges([0] * len(whole), whole)

    def _ranges(self, starts: list[int], counts: list[int]) -> Any:
        parts = [torch.arange(s, s + c) for s, c in zip(starts, counts, strict=True)]
        return torch.cat(parts).to(self._device)

    def _sums(self, counts: list[int]) -> Any:
        return torch.tensor([0, *accumulate(counts)], dtype=torch.int32, device=self._device)

    def __call__(self, layer: int, query: Any, key: Any, value: Any) -> Any:
        keys, values = self._cache.keys[layer], self._cache.values[layer]
        at = (self.of_token, self.positions)
        keys.index_put_(at, key)
        values.index_put_(at, value)
        if not self._flash:
            return self._padded(query, keys, values)
        if any(self._skipped):
            at = (self._key_slots, self._key_positions)
            key, value = keys[at], values[at]
        return flash(
            query, key, value, self.ends, self._key_ends, (max(self._lengths), self._whole),
            self.scale, True,
        )  # fmt: skip

    def _padded(self, query: Any, keys: Any, values: Any) -> Any:
        rows, longest = len(self._lengths), max(self._lengths)
        first = self.ends[:-1].long()
        counts = torch.tensor(self._lengths, device=self._device)
        row = torch.repeat_interleave(torch.arange(rows, device=self._device), counts)
        column = torch.arange(len(query), device=self._device) - first[row]
        padded = query.new_zeros(rows, longest, *query.shape[1:])
        padded[row, column] = query
        places = query.new_zeros(rows, longest, dtype=torch.long)
        places[row, column] = self.positions
        mask = torch.arange(self._whole, device=self._device) <= places[..., None]
        keys, values = (part[self.slots, : self._whole] for part in (keys, values))
        return _dense(padded, keys, values, mask[:, None], self.scale)[row, column]
