"""Generates the responses of the trained systems, and stores them chunk by chunk."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..common.append_jsonl import ResumableRecords
from ..common.decoding_pass import DecodingPass
from ..common.metrics import MetricsLog
from ..common.records import SystemResponse
from ..common.signals import StopRequest
from ..text.prompts import bare
from ..verification.instruction import Instruction
from ..verification.scoring import judge
from .adapters import active_adapter
from .blank_answers import blank_cause

if TYPE_CHECKING:  # torch is heavy
    from .sampling import Generated


@dataclass(frozen=True)
class GenerationLimits:
    max_new_tokens: int
    batch: int
    seed: int
    engine: str = "auto"


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

    What `stored` has of an earlier run is not generated again; None when stopped. Raises:
    StageError when memory does not hold one prompt.
    """
    earlier = [SystemResponse.from_json(value) for value in stored.read()]
    done = {_key(record): record for record in earlier if record is not None}
    answers = _Answers(model, tokenizer, bounds, stored, log, stop, done)
    answers.total = len({*done, *((way, entry.text) for way in wanted for entry in held_out)})
    ordered = sorted(held_out, key=lambda instruction: (len(instruction.text), instruction.text))
    for system in dict.fromkeys(way.system for way in wanted):
        open_ = [
            (way, instruction)
            for way in wanted
            for instruction in ordered
            if way.system == system and (way, instruction.text) not in done
        ]
        if open_ and not answers.generate(system, open_):
            return None
    return {way: [done[way, instruction.text] for instruction in held_out] for way in wanted}


@dataclass
class _Answers:
    """Generates responses and stores each of them as it comes."""

    model: Any
    tokenizer: Any
    bounds: GenerationLimits
    stored: ResumableRecords
    log: MetricsLog
    stop: StopRequest
    done: dict[tuple[DecodingPass, str], SystemResponse]
    total: int = 0

    def generate(self, system: str, open_: Sequence[tuple[DecodingPass, Instruction]]) -> bool:
        """Answers `open_`, all of `system`; returns False when stopped."""
        from .sampling import Generation, Request, seed_of

        requests = [
            # The same for every system, and after a restart.
            Request(
                bare(instruction.text),
                way.temperature,
                seed_of(self.bounds.seed, way.sample, bare(instruction.text)),
            )
            for way, instruction in open_
        ]
        generation = Generation(
            self.model,
            self.tokenizer,
            self.bounds.max_new_tokens,
            self.bounds.batch,
            self.bounds.engine,
            self.log.message,
        )
        began, tokens = time.monotonic(), 0

        def store(responses: list[tuple[int, Generated]]) -> None:
            nonlocal tokens
            tokens += sum(response.tokens for _, response in responses)
            fresh = [_record(*open_[place], response) for place, response in responses]
            self.stored.append(record.to_json() for record in fresh)
            self.done.update((_key(record), record) for record in fresh)
            speed = tokens / (time.monotonic() - began)
            way, _ = open_[responses[-1][0]]
            words = f"{system}, " + (f"sample {way.sample + 1}" if way.temperature else "greedy")
            self.log.add(
                {"step": len(self.done), "max_steps": self.total, "text": words}
                | {"tokens_per_second": round(speed, 1)}
            )

        with active_adapter(self.model, system):
            return generation.run(requests, store, lambda: self.stop.asked)


def _key(record: SystemResponse) -> tuple[DecodingPass, str]:
    return DecodingPass(record.system, record.temperature, record.sample), record.instruction


def _record(way: DecodingPass, instruction: Instruction, response: Generated) -> SystemResponse:
    return SystemResponse.of(
        judge(instruction, response.text),
        bare(instruction.text),
        blank=blank_cause(response.text, response.finished, response.tokens),
        **dataclasses.asdict(way),
    )
