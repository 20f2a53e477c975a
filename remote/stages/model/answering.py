"""Generates the responses of the trained systems, and stores them chunk by chunk."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common.append_jsonl import ResumableRecords
from ..common.metrics import MetricsLog
from ..common.oom_retry import with_halved_batches
from ..common.records import SystemResponse
from ..common.signals import StopRequest
from ..text.prompts import bare
from ..verification.instruction import Instruction
from ..verification.scoring import judge
from .adapters import active_adapter

if TYPE_CHECKING:  # torch is heavy
    from .sampling import Generated


@dataclass(frozen=True)
class DecodingPass:
    """One pass of a system over the instructions; temperature 0 is greedy decoding."""

    system: str  # the adapter's name
    temperature: float = 0.0
    sample: int = 0


@dataclass(frozen=True)
class GenerationLimits:
    max_new_tokens: int
    batch: int
    seed: int


def decoding_passes(systems: Sequence[str], samples: int, temperature: float) -> list[DecodingPass]:
    """A greedy pass of every system, then `samples` passes of each at `temperature`."""
    greedy = [DecodingPass(system) for system in systems]
    return greedy + [
        DecodingPass(system, temperature, sample) for sample in range(samples) for system in systems
    ]


def answer(
    model: Any,
    tokenizer: Any,
    held_out: Sequence[Instruction],
    wanted: Sequence[DecodingPass],
    bounds: GenerationLimits,
    stored: ResumableRecords,
    log: MetricsLog,
    stop: StopRequest,
) -> dict[DecodingPass, list[SystemResponse]] | None:
    """Responses of each pass to `held_out`, one record an instruction, in that order.

    What `kept` has of an earlier run is not generated again; a chunk that is there in part is.
    Raises: StageError when memory does not hold one prompt.
    """
    earlier = [SystemResponse.from_json(value) for value in stored.read()]
    done = {_key(record): record for record in earlier if record is not None}
    passes = [(way, chunk) for way in wanted for chunk in _chunks(held_out, bounds.batch)]
    for step, (way, chunk) in enumerate(passes, 1):
        if all((way, instruction.text) in done for instruction in chunk):
            continue
        if stop.asked:
            return None
        began = time.monotonic()
        prompts = [bare(instruction.text) for instruction in chunk]
        with active_adapter(model, way.system):
            responses = with_halved_batches(
                partial(_generate, model, tokenizer, prompts, way, bounds), len(chunk), log.message
            )
        speed = sum(response.tokens for response in responses) / (time.monotonic() - began)
        fresh = _records(chunk, responses, way)
        stored.append(record.to_json() for record in fresh)
        done |= {_key(record): record for record in fresh}
        words = f"{way.system}, " + (f"sample {way.sample + 1}" if way.temperature else "greedy")
        log.add(
            {"step": step, "max_steps": len(passes), "text": words}
            | {"tokens_per_second": round(speed, 1)}
        )
    return {way: [done[way, instruction.text] for instruction in held_out] for way in wanted}


def _key(record: SystemResponse) -> tuple[DecodingPass, str]:
    return DecodingPass(record.system, record.temperature, record.sample), record.instruction


def _chunks(held_out: Sequence[Instruction], size: int) -> Iterator[list[Instruction]]:
    """Chunks of `size` instructions of similar length; the same chunks at every call."""
    ordered = sorted(held_out, key=lambda instruction: (len(instruction.text), instruction.text))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    way: DecodingPass,
    bounds: GenerationLimits,
    batch: int,
) -> list[Generated]:
    from .sampling import generate_finished

    return generate_finished(
        model,
        tokenizer,
        prompts,
        max_new_tokens=bounds.max_new_tokens,
        batch=batch,
        temperature=way.temperature,
        seed=_seed(bounds.seed, way.sample, prompts[0]),
    )


def _records(
    chunk: Sequence[Instruction], responses: Sequence[Generated], way: DecodingPass
) -> list[SystemResponse]:
    return [
        SystemResponse.of(
            judge(instruction, response.text), bare(instruction.text), **dataclasses.asdict(way)
        )
        for instruction, response in zip(chunk, responses, strict=True)
    ]


def _seed(seed: int, sample: int, first: str) -> int:
    """The seed of one chunk of one sample: the same for every system, and after a restart."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{sample}/{first}".encode()).digest()[:4])
