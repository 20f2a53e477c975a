"""Generates from completion-style prompts; each row stops at its own end.

Two ways, with the same texts: the engine, which refills the slots of rows that ended, on CUDA and
for the models that it knows; and transformers' `generate` in batches, everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria
from transformers.generation.stopping_criteria import StoppingCriteriaList

from ..common.oom_retry import with_halved_batches
from ..text.prompt_style import style_of
from ..text.prompts import cut, delimited
from .barred_tokens import BarredTokens
from .engine.choice import Truncation, choose, uniforms
from .engine.decoding import Decoding, Rates, why_plain
from .engine.loop import Ended, Row
from .engine.stop_table import table_of
from .stop_reasons import CUT_OFF, DELIMITED, ENDED

PLAIN, CONTINUOUS, VLLM = "plain", "continuous", "vllm"
_WINDOW = 12  # newest tokens in which a delimiter can have become whole; it has 5 characters
_SLOTS = 512  # rows at once, where memory holds them

Store = Callable[[list[tuple[int, "Generated"]]], None]


@dataclass(frozen=True)
class Request:
    """A prompt and how it is continued: greedily at temperature 0, else with `seed`'s numbers.

    What a seed draws does not depend on the requests beside it.
    """

    prompt: str
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Generated:
    """One response, cut at the delimiter. `finished` says what ended it."""

    text: str
    finished: str  # DELIMITED, ENDED, or CUT_OFF at max_new_tokens
    tokens: int  # generated, the end included


def seed_of(*parts: object) -> int:
    """The seed of what `parts` name."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    batch: int = 50,
    temperature: float = 0.0,
    seed: int = 0,
    engine: str = "auto",
) -> list[str]:
    """One response for each prompt, in order, cut at the delimiter; greedy at temperature 0."""
    responses = generate_finished(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens,
        batch=batch,
        temperature=temperature,
        seed=seed,
        engine=engine,
    )
    return [response.text for response in responses]


def generate_finished(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    max_new_tokens: int = 64,
    batch: int = 50,
    temperature: float = 0.0,
    seed: int = 0,
    engine: str = "auto",
) -> list[Generated]:
    """Like `generate`, and returns what ended each response. A prompt and `seed` decide what is
    drawn."""
    requests = [Request(prompt, temperature, seed_of(seed, prompt)) for prompt in prompts]
    generation = Generation(model, tokenizer, max_new_tokens, batch, engine)
    return generation.all_of(requests)


@dataclass
class Generation:
    """Generates with `model`; `engine` is "auto", or PLAIN, CONTINUOUS or VLLM to insist.

    `batch` is how many prompts the plain way takes at once; the engine takes what memory holds.
    """

    model: Any
    tokenizer: Any
    max_new_tokens: int
    batch: int
    engine: str = "auto"
    say: Callable[[str], None] = print
    slots: int = _SLOTS
    rates: list[Rates] | None = None

    def all_of(self, requests: Sequence[Request]) -> list[Generated]:
        """The responses to all `requests`, in order. Raises: torch.OutOfMemoryError, StageError."""
        by_place: dict[int, Generated] = {}
        if self._continuous(requests):
            self._decode(requests, by_place.update, lambda: False)
        else:
            order = sorted(range(len(requests)), key=lambda n: len(requests[n].prompt))
            for start in range(0, len(order), self.batch):
                places = order[start : start + self.batch]
                rows = self._batch([requests[place] for place in places])
                by_place |= zip(places, rows, strict=True)
        return [by_place[place] for place in range(len(requests))]

    def run(self, requests: Sequence[Request], store: Store, stopped: Callable[[], bool]) -> bool:
        """Gives (place, response) of every request to `store`, as they come.

        Returns False once `stopped` is true, with the rest left out. Raises: StageError when memory
        does not hold one prompt.
        """
        if self._continuous(requests):
            return self._decode(requests, store, stopped)
        for start in range(0, len(requests), self.batch):
            if stopped():
                return False
            chunk = requests[start : start + self.batch]
            rows = with_halved_batches(partial(self._in_batches, chunk), len(chunk), self.say)
            store(list(enumerate(rows, start)))
        return True

    def _continuous(self, requests: Sequence[Request]) -> bool:
        if self.engine == PLAIN or not requests:
            return False
        if self.engine == VLLM:
            return True
        if self.engine != CONTINUOUS and not torch.cuda.is_available():
            return False
        longest = max(len(request.prompt) for request in requests) + self.max_new_tokens
        reason = why_plain(self.model, longest)
        if reason:
            self.say(f"answers are generated in plain batches because of {reason}")
        return reason is None

    def _decode(
        self, requests: Sequence[Request], store: Store, stopped: Callable[[], bool]
    ) -> bool:
        style = style_of(self.tokenizer)
        tokens = [style.prompt(request.prompt) for request in requests]
        rows = [
            Row(tuple(ids), request.temperature, request.seed)
            for ids, request in zip(tokens, requests, strict=True)
        ]
        over = _ends_of_text(self.model, self.tokenizer)
        self.model.eval()

        def ended(batch: list[Ended]) -> None:
            store([(row.place, self._ended(row, over)) for row in batch])

        vocabulary = int(self.model.get_output_embeddings().out_features)
        table = table_of(vocabulary, self.tokenizer, over)
        if self.engine == VLLM:
            from .vllm_engine import VllmDecoding

            most = self.max_new_tokens
            other = VllmDecoding(self.model, rows, table, most, over, self.say)
            return other.run(ended, stopped)
        decoding = Decoding(
            self.model, rows, table, self.max_new_tokens, self.say, self.slots, self.rates
        )
        return decoding.run(ended, stopped)

    def _ended(self, row: Ended, over: set[int]) -> Generated:
        end = len(row.tokens) if row.delimited else None
        return _generated(self.tokenizer, row.tokens, end, over)

    def _in_batches(self, requests: Sequence[Request], size: int) -> list[Generated]:
        return [
            response
            for start in range(0, len(requests), size)
            for response in self._batch(requests[start : start + size])
        ]

    def _batch(self, requests: Sequence[Request]) -> list[Generated]:
        self.tokenizer.padding_side = "left"
        self.model.eval()
        style = style_of(self.tokenizer)
        prompts = [style.prompt(request.prompt) for request in requests]
        inputs = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        width = inputs["input_ids"].shape[1]
        ends = _End(self.tokenizer, width, len(prompts))
        over = _ends_of_text(self.model, self.tokenizer)
        processors = LogitsProcessorList([BarredTokens(self.tokenizer, over)])
        if any(request.temperature for request in requests):
            settings = self.model.generation_config
            processors.append(_Draw(requests, width, self.max_new_tokens, settings))
        with torch.inference_mode():
            tokens = self.model.generate(
                **inputs.to(self.model.device),
                max_new_tokens=self.max_new_tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                use_cache=True,  # a model that was loaded for training has it off
                do_sample=False,
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([ends]),
            )
        return [
            _generated(self.tokenizer, row, end, over)
            for row, end in zip(tokens[:, width:].tolist(), ends.at, strict=True)
        ]


def _generated(tokenizer: Any, row: list[int], end: int | None, over: set[int]) -> Generated:
    """The response in `row`; `end` is the number of tokens up to its delimiter, or None."""
    ended = next((place + 1 for place, token in enumerate(row) if token in over), None)
    length = min(count for count in (end, ended, len(row)) if count is not None)
    text = cut(tokenizer.decode(row[:length], skip_special_tokens=True))
    if end == length:
        return Generated(text, DELIMITED, length)
    return Generated(text, CUT_OFF if ended is None else ENDED, length)


def _ends_of_text(model: Any, tokenizer: Any) -> set[int]:
    named = model.generation_config.eos_token_id
    more = named if isinstance(named, list) else [named]
    return {token for token in (tokenizer.eos_token_id, *more) if token is not None}


class _Draw(LogitsProcessor):
    """Leaves one token to each row: what its request draws, which greedy decoding then takes."""

    def __init__(
        self, requests: Sequence[Request], width: int, most: int, generation_config: Any
    ) -> None:
        self._width, self._settings = width, generation_config
        self._temperatures = torch.tensor([request.temperature for request in requests])
        self._draws = torch.tensor([uniforms(request.seed, most) for request in requests])

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        step = input_ids.shape[1] - self._width
        truncation = Truncation.of(self._settings, scores.shape[-1])
        token = choose(
            scores,
            self._temperatures.to(scores.device),
            self._draws[:, step].to(scores.device),
            truncation,
        )
        return torch.full_like(scores, -torch.inf).scatter(1, token[:, None], 0.0)


class _End(StoppingCriteria):
    """Stops each row at a complete delimiter; `at` has the number of tokens up to it, by row."""

    def __init__(self, tokenizer: Any, width: int, rows: int) -> None:
        self._tokenizer, self._width = tokenizer, width
        self.at: list[int | None] = [None] * rows

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        del scores
        length = input_ids.shape[1] - self._width
        newest = input_ids[:, -min(_WINDOW, length) :].tolist()
        for place, tokens in enumerate(newest):
            if self.at[place] is None and delimited(self._tokenizer.decode(tokens)):
                self.at[place] = length
        done = [count is not None for count in self.at]
        return torch.tensor(done, device=input_ids.device)
