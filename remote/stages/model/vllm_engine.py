"""Decodes rows with vLLM, in a process of its own; `engine = "vllm"`.

The same prompts, ends, seeds and barred tokens as the engine's. The numbers that a seed draws and
the order of additions are vLLM's, so texts are not those of the other ways. It loads the base for
itself, beside the stage's, into the memory that is free.
"""

from __future__ import annotations

import atexit
import json
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.parameters import VLLM_RANK
from .download import fetch
from .engine.choice import Truncation
from .engine.decoder import bare_model
from .engine.loop import Ended, Row
from .engine.stop_table import BLANK, DELIMITED, StopTable
from .loading import resolve
from .vllm_environment import interpreter

_AT_ONCE = 512  # rows of one batch, between two looks at `stopped`
_BLANK_TOKENS = 8  # from which on a response may stay blank
_LOAD_SECONDS, _BATCH_SECONDS = 1800.0, 3600.0
_SHARE = 0.9  # of the free memory
_STOP = "\n###\n"
_RANKS = (64, 128, 256, 320, VLLM_RANK)  # of adapters; vLLM takes these and smaller ones
_REMEDY = 'set engine = "auto"; what vLLM printed stands above'


class VllmServer:
    """The process, with one base loaded."""

    def __init__(self, settings: dict[str, Any]) -> None:
        program = str(Path(__file__).with_name("vllm_server.py"))
        words = [interpreter(), program]
        try:
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise _failed(str(error)) from error
        atexit.register(self._process.kill)
        self._rest = b""
        self.ask(settings, _LOAD_SECONDS)

    def ask(self, order: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer to `order`. Raises: StageError."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(json.dumps(order).encode() + b"\n")
        except OSError as error:
            raise _failed(f"it ended with {self._process.poll()}: {error}") from error
        answer: dict[str, Any] = json.loads(self._line(seconds))
        if "error" in answer:
            raise _failed(str(answer["error"])[:500])
        return answer

    def _line(self, seconds: float) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                self._process.kill()
                raise _failed(f"no answer within {seconds:.0f} s")
            block = stdout.read(2**20)
            if not block:
                raise _failed(f"it ended with {self._process.wait(60.0)}")
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        return line


_servers: dict[str, VllmServer] = {}


@dataclass
class VllmDecoding:
    """The decoding of `rows`, at most `most` new tokens each."""

    model: Any
    rows: Sequence[Row]
    table: StopTable
    most: int
    ends_of_text: set[int]
    say: Callable[[str], None]

    def run(self, done: Callable[[list[Ended]], None], stopped: Callable[[], bool]) -> bool:
        """Decodes all rows; `done` gets each once. Returns False when stopped."""
        with tempfile.TemporaryDirectory(prefix="podctl-adapter-") as folder:
            adapter = _save_adapter(self.model, Path(folder))
            server = self._server()
            for start in range(0, len(self.rows), _AT_ONCE):
                if stopped():
                    return False
                places = range(start, min(start + _AT_ONCE, len(self.rows)))
                tokens = self._batch(server, places, adapter)
                done([self._ended(place, tokens[place]) for place in places])
        return True

    def _server(self) -> VllmServer:
        base = bare_model(self.model)
        source = fetch(resolve(str(base.name_or_path)))
        if source not in _servers:
            self.say("starting vLLM, which is installed first where it is not there")
            quantized = getattr(base.config, "quantization_config", None) is not None
            settings = {
                "model": source,
                "quantization": "bitsandbytes" if quantized else None,
                "dtype": str(base.dtype).removeprefix("torch."),
                "memory": _free_share(),
                "max_model_len": None,
                "lora_rank": lora_rank(self.model),
            }
            _servers[source] = VllmServer(settings)
        return _servers[source]

    def _batch(
        self, server: VllmServer, places: Sequence[int], adapter: str | None
    ) -> dict[int, list[int]]:
        """The new tokens of each row: one at a time while they are blank, then the rest."""
        tokens: dict[int, list[int]] = {place: [] for place in places}
        open_ = list(places)
        for _ in range(min(_BLANK_TOKENS, self.most)):
            if not open_:
                break
            self._extend(server, open_, tokens, adapter, blank=True)
            open_ = [place for place in open_ if self._state(tokens[place]) == BLANK]
        goes_on = [
            place
            for place in places
            if self._state(tokens[place]) < DELIMITED and len(tokens[place]) < self.most
        ]
        if goes_on:
            self._extend(server, goes_on, tokens, adapter, blank=False)
        return tokens

    def _extend(
        self, server: VllmServer, places: Sequence[int], tokens: dict[int, list[int]],
        adapter: str | None, *, blank: bool,
    ) -> None:  # fmt: skip
        base = bare_model(self.model)
        truncation = Truncation.of(base.generation_config, int(base.config.vocab_size))
        rows = [
            {
                "tokens": [*self.rows[place].tokens, *tokens[place]],
                "made": 0 if blank else len(tokens[place]),
                "temperature": self.rows[place].temperature,
                "seed": self.rows[place].seed + len(tokens[place]),
            }
            for place in places
        ]
        order = {
            "rows": rows,
            "most": 1 if blank else self.most,
            "stop": [_STOP],
            "stop_ids": sorted(self.ends_of_text),
            "barred": self.table.barred.tolist() if blank else [],
            "adapter": adapter,
            "top_k": truncation.top_k,
            "top_p": truncation.top_p,
        }
        answer = server.ask(order, _BATCH_SECONDS)
        for place, new in zip(places, answer["tokens"], strict=True):
            tokens[place] += map(int, new)

    def _state(self, tokens: Sequence[int]) -> int:
        state = BLANK
        for token in tokens:
            state = int(self.table.transitions[state, token])
        return state

    def _ended(self, place: int, tokens: list[int]) -> Ended:
        """The row up to its end: the delimiter may be complete before vLLM noticed it."""
        length = next(
            (n for n in range(1, len(tokens) + 1) if self._state(tokens[:n]) >= DELIMITED),
            len(tokens),
        )
        return Ended(place, tokens[:length], self._state(tokens[:length]) == DELIMITED)


def _save_adapter(model: Any, folder: Path) -> str | None:
    """The active adapter as files, which vLLM reads; None where the base answers alone."""
    if not hasattr(model, "peft_config"):
        return None
    tuner = model.base_model
    names = list(model.active_adapters)
    if not names or any(
        getattr(layer, "disable_adapters", None) is True for layer in tuner.modules()
    ):
        return None
    model.save_pretrained(str(folder), selected_adapters=names[:1])
    inner = folder / names[0]
    return str(inner if inner.is_dir() else folder)


def lora_rank(model: Any) -> int:
    """The rank that vLLM reserves memory for. Raises: StageError for adapters it does not take."""
    settings = getattr(model, "peft_config", {}).values()
    if any(getattr(each, "use_dora", False) for each in settings):
        raise StageError(
            "engine: vLLM does not take DoRA adapters",
            remedy='set engine = "auto", or dora = false',
        )
    ranks = [rank for each in settings for rank in (each.r, *each.rank_pattern.values())]
    most = max(ranks, default=0)
    if most > _RANKS[-1]:
        raise StageError(
            f"engine: vLLM takes adapters up to rank {_RANKS[-1]}, this one has {most}",
            remedy=f'set engine = "auto", or lora_rank to {_RANKS[-1]} at most',
        )
    return next(rank for rank in _RANKS if rank >= most)


def _free_share() -> float:
    """The share of the GPU's memory that vLLM may use."""
    import torch

    if not torch.cuda.is_available():
        return _SHARE
    free, total = torch.cuda.mem_get_info()
    return round(_SHARE * free / total, 3)


def _failed(why: str) -> StageError:
    return StageError(f"engine: vLLM failed: {why}", remedy=_REMEDY)
