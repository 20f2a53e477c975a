"""The decoding loop: slots are filled with prompts, stepped together, and refilled as rows end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...common.oom_retry import free_gpu_memory
from .attention import PromptAttention, StepAttention, has_flash
from .cache import Cache, free_bytes
from .choice import Truncation, choose, uniforms
from .decoder import Decoder
from .flags import Flags
from .prefixes import shared_prefixes
from .stop_table import BLANK, DELIMITED, StopTable

PROMPT_TOKENS = 8192  # of prompts that are computed at once
_REFILL = 16  # a refill waits until one slot in so many is free
_SMALLEST = 16  # rows of the smallest graph
_SPARE, _LEAST_FREE = 1.5, 2**29  # of what a step needs, and bytes, that a capture leaves free


@dataclass(frozen=True)
class Row:
    """One prompt in tokens, and how it is continued."""

    tokens: tuple[int, ...]
    temperature: float
    seed: int


@dataclass(frozen=True)
class Ended:
    """The tokens of one row's response, its end included."""

    place: int
    tokens: list[int]
    delimited: bool


class Slots:
    """What the device knows of each slot."""

    def __init__(self, slots: int, most: int, device: Any) -> None:
        def zeros(*shape: int, dtype: Any = torch.long) -> Any:
            return torch.zeros(shape, dtype=dtype, device=device)

        self.token, self.position, self.count = zeros(slots), zeros(slots), zeros(slots)
        self.state = zeros(slots) + DELIMITED  # an empty slot is one that has ended
        self.temperature = zeros(slots, dtype=torch.float32)
        self.draws = zeros(slots, most, dtype=torch.float32)
        self.output = zeros(slots, most)

    def gather(self, slots: Any) -> None:
        """Moves `slots`, in their order, to the front."""
        for part in vars(self).values():
            part[: len(slots)] = part[slots]


class Loop:
    """Decodes rows in `slots` slots of `length` tokens, `most` new ones each."""

    def __init__(
        self, decoder: Decoder, table: StopTable, truncation: Truncation, slots: int, length: int,
        most: int, *, sampled: bool,
    ) -> None:  # fmt: skip
        self._decoder, self._most, self._sampled = decoder, most, sampled
        self._table = table.to(decoder.device)
        self._truncation = truncation
        self._cache = Cache(decoder, slots, length)
        self._slots = Slots(slots, most, decoder.device)
        heads = (decoder.heads, decoder.key_heads, decoder.head_width)
        self._flash = has_flash(decoder.device, decoder.dtype, *heads)
        self._size = slots  # the slots that a step computes
        self._steps: dict[int, Callable[[], None]] = {}
        self._pool: Any = None  # of the graphs' memory
        self._captured: list[Callable[[], None]] = []
        self._prefixes: dict[tuple[int, ...], list[Any]] = {}
        self._in_slot: dict[int, int] = {}  # place of the row, by slot
        self._since: dict[int, int] = {}  # step at which the slot was filled
        self._number = 0
        self._flags = Flags(slots, decoder.device)
        self.steps, self.useful, self.prompt_tokens = 0, 0, 0

    def run(
        self, rows: Sequence[Row], done: Callable[[list[Ended]], None], stopped: Callable[[], bool]
    ) -> bool:
        """Decodes all `rows`; `done` gets those that ended, in the order of time.

        Returns False, with the rows that had ended given to `done`, once `stopped` is true.
        """
        prefixes = shared_prefixes([row.tokens for row in rows])
        pending = deque(range(len(rows)))
        over: list[int] = []
        while pending or self._in_slot:
            if stopped():
                self._collect(over, done)
                return False
            if len(over) >= max(1, len(self._in_slot) // _REFILL):
                self._collect(over, done)
                over = []
            free = self._size - len(self._in_slot)
            if pending and free >= min(len(pending), max(1, self._size // _REFILL)):
                self._admit(pending, rows, prefixes)
            elif not pending:
                self._shrink(over)
            if self._in_slot:
                self._step()
                over = self._ended()
        return True

    def _ended(self) -> list[int]:
        """The slots whose rows have ended, as of the last step but one that was launched."""
        number, flags = self._flags.read()
        return [slot for slot in self._in_slot if self._since[slot] <= number and flags[slot]]

    def _collect(self, over: list[int], done: Callable[[list[Ended]], None]) -> None:
        if not over:
            return
        at = torch.tensor(over, device=self._decoder.device)
        counts, states = self._slots.count[at].tolist(), self._slots.state[at].tolist()
        outputs = self._slots.output[at].tolist()
        self.useful += sum(counts)
        ended = []
        for slot, count, state, output in zip(over, counts, states, outputs, strict=True):
            place = self._in_slot.pop(slot)
            ended.append(Ended(place, output[:count], state == DELIMITED))
        done(ended)

    def _shrink(self, over: list[int]) -> None:
        """Halves the slots that a step computes when no more than half of them are in use."""
        live, size = list(self._in_slot), self._size
        while size > _SMALLEST and len(live) <= size // 2:
            size //= 2
        if size == self._size or over or not live:
            return
        at = torch.tensor(live, device=self._decoder.device)
        self._cache.gather(at)
        self._slots.gather(at)
        self._slots.state[len(live) :] = DELIMITED
        self._in_slot = {new: self._in_slot[old] for new, old in enumerate(live)}
        self._number += 1  # flags of earlier steps are about other slots
        self._since = dict.fromkeys(self._in_slot, self._number)
        self._size = size

    def _admit(
        self, pending: deque[int], rows: Sequence[Row], prefixes: Sequence[tuple[int, ...]]
    ) -> None:
        empty = [slot for slot in range(self._size) if slot not in self._in_slot]
        while empty and pending:
            places: list[int] = []
            tokens = 0
            while pending and len(places) < len(empty) and tokens < PROMPT_TOKENS:
                places.append(pending.popleft())
                tokens += len(rows[places[-1]].tokens) - len(prefixes[places[-1]])
            slots, empty = empty[: len(places)], empty[len(places) :]
            self._prefix(slots, [prefixes[place] for place in places])
            self._prompts(slots, [rows[place] for place in places], [
                len(prefixes[place]) for place in places
            ])  # fmt: skip
            self._in_slot |= zip(slots, places, strict=True)
            self._since |= dict.fromkeys(slots, self._number + 1)

    def _prefix(self, slots: Sequence[int], prefixes: Sequence[tuple[int, ...]]) -> None:
        """Fills the slots with their prefixes, each computed at its first use."""
        for prefix in dict.fromkeys(prefixes):
            if not prefix:
                continue
            those = [slot for slot, mine in zip(slots, prefixes, strict=True) if mine == prefix]
            if prefix not in self._prefixes:
                self._compute(those[:1], [prefix], [0])
                self._prefixes[prefix] = self._cache.copy(those[0], len(prefix))
            at = torch.tensor(those, device=self._decoder.device)
            self._cache.fill(at, self._prefixes[prefix])

    def _compute(
        self, slots: Sequence[int], prompts: Sequence[Sequence[int]], skipped: Sequence[int]
    ) -> Any:
        """The last hidden state of each prompt; its keys and values go into its slot."""
        parts = [list(prompt[skip:]) for prompt, skip in zip(prompts, skipped, strict=True)]
        device = self._decoder.device
        attend = PromptAttention(
            self._cache, list(slots), [len(part) for part in parts], list(skipped), device,
            uses_flash=self._flash,
        )  # fmt: skip
        tokens = torch.tensor([token for part in parts for token in part], device=device)
        self.prompt_tokens += len(tokens)
        hidden = self._decoder.hidden(tokens, attend.positions, attend)
        return hidden[(attend.ends[1:] - 1).long()]

    def _prompts(self, slots: list[int], rows: list[Row], skipped: list[int]) -> None:
        hidden = self._compute(slots, [row.tokens for row in rows], skipped)
        device, state = self._decoder.device, self._slots
        at = torch.tensor(slots, device=device)
        lengths = torch.tensor([len(row.tokens) for row in rows], device=device)
        state.position[at], state.count[at], state.state[at] = lengths - 1, 0, BLANK
        if self._sampled:
            heats = [row.temperature for row in rows]
            draws = [uniforms(row.seed, self._most) for row in rows]
            state.temperature[at] = torch.tensor(heats, device=device, dtype=torch.float32)
            state.draws[at] = torch.tensor(draws, device=device, dtype=torch.float32)
        self._accept(at, self._decoder.logits(hidden))

    def _accept(self, at: Any, logits: Any) -> None:
        """Adds one token to each slot of `at` that has not ended."""
        slots = self._slots
        count = slots.count[at]
        column = count.clamp(max=self._most - 1)
        logits = self._table.bar(logits, slots.state[at])
        if self._sampled:
            draws = slots.draws[at, column]
            token = choose(logits, slots.temperature[at], draws, self._truncation)
        else:
            token = logits.argmax(-1)
        live = (slots.state[at] < DELIMITED) & (count < self._most)
        slots.output[at, column] = torch.where(live, token, slots.output[at, column])
        slots.state[at] = torch.where(
            live, self._table.after(slots.state[at], token), slots.state[at]
        )
        slots.token[at] = torch.where(live, token, slots.token[at])
        slots.count[at] = count + live
        slots.position[at] = slots.position[at] + live

    def _step(self) -> None:
        if self._size not in self._steps:
            self._steps[self._size] = self._make_step(self._size)
        self._steps[self._size]()
        self._number += 1
        self.steps += 1
        over = (self._slots.state >= DELIMITED) | (self._slots.count >= self._most)
        self._flags.write(self._number, over)

    def _make_step(self, size: int) -> Callable[[], None]:
        attend = StepAttention(self._cache, size, self._slots.position, uses_flash=self._flash)
        at = torch.arange(size, device=self._decoder.device)

        def step() -> None:
            attend.begin()
            positions = self._slots.position[:size].clone()
            hidden = self._decoder.hidden(self._slots.token[:size], positions, attend)
            self._accept(at, self._decoder.logits(hidden))

        if self._decoder.device.type != "cuda":
            return step
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        self._captured.append(step)  # its tensors are the graph's too
        return captured(step, self._slots, self._pool) or step


def captured(step: Callable[[], None], slots: Slots, pool: Any) -> Callable[[], None] | None:
    """`step` as a CUDA graph, which is launched at once; its trial run leaves `slots` as it was.

    Graphs share a memory pool: they run one after another, and nothing of one outlives it. None
    where memory is short: an allocation that fails in a capture leaves torch unable to free any.
    """
    before = {name: part.clone() for name, part in vars(slots).items()}
    torch.cuda.reset_peak_memory_stats()
    used = torch.cuda.memory_allocated()
    make_stream: Any = torch.cuda.Stream
    stream = make_stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        step()
    torch.cuda.current_stream().wait_stream(stream)
    for name, part in before.items():
        getattr(slots, name).copy_(part)
    needed = torch.cuda.max_memory_allocated() - used
    free_gpu_memory()
    if (free_bytes() or 0) < _SPARE * needed + _LEAST_FREE:
        return None
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        step()
    return graph.replay
