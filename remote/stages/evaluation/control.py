"""Reads stage 1A's answers as the control of the final comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..common.jsonl import read_records, text_of
from ..common.layout import BASELINE_ASSESSMENT, BASELINE_RESPONSES
from ..common.records import SystemResponse
from ..text.prompts import bare
from ..verification.instruction import Instruction
from ..verification.scoring import judge

WAYS = {"base": "raw", "few_shot": "few_shot"}  # system → its name in the control
_SAME = "give stage1e the model and instructions of stage1a, or run both again"


@dataclass(frozen=True)
class Control:
    """The base model's answers to each held-out instruction, in their order, by system."""

    answers: Mapping[str, tuple[SystemResponse, ...]]
    max_new_tokens: int  # that bounded them, and must bound what is compared


def read_control(
    held_out: Sequence[Instruction],
    model: str,
    instructions: str,
    *,
    version: int = 1,
    template: str = "plain",
    responses: Path = BASELINE_RESPONSES,
    assessment: Path = BASELINE_ASSESSMENT,
) -> Control:
    """The answers of stage 1A to `held_out`. Raises: StageError.

    Every response is judged again: a verdict that differs from the recorded one is an error.
    """
    settings = {"template": "plain"} | _settings(assessment)
    measured_with = settings.get("instructions_version", 1)
    if measured_with != version:
        raise StageError(
            f"{assessment}: the control was measured with version {measured_with!r} of the "
            f"instructions {instructions!r}, this is version {version}",
            remedy="verifiers and instructions changed between them: run stage1a again",
        )
    for name, wanted in (
        ("model", model),
        ("instructions", instructions),
        ("template", template),
    ):
        measured = settings.get(name, "plain" if name == "template" else None)
        if measured != wanted:
            raise StageError(
                f"{assessment}: the control was measured with {name} {measured!r}, "
                f"this stage has {wanted!r}",
                remedy=_SAME,
            )
    records = _by_instruction(responses)
    _check_same(held_out, records, responses)
    return Control(
        {
            system: tuple(
                _answer(instruction, *records[instruction.text], system) for instruction in held_out
            )
            for system in WAYS
        },
        _bound(settings, assessment),
    )


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())["settings"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise StageError(
            f"{path}: no settings of the control can be read: {error}", remedy="run stage1a"
        ) from error
    if not isinstance(settings, dict):
        raise StageError(f"{path}: settings is no object", remedy="run stage1a")
    return settings


def _bound(settings: Mapping[str, Any], path: Path) -> int:
    value = settings.get("max_new_tokens")
    if type(value) is not int or value < 1:
        raise StageError(f"{path}: settings.max_new_tokens is {value!r}", remedy="run stage1a")
    return value


def _by_instruction(path: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """(where, record) of each instruction."""
    records: dict[str, tuple[str, dict[str, Any]]] = {}
    for where, record in read_records(path, "run stage1a"):
        text = text_of(record, "instruction", where)
        if text in records:
            raise StageError(
                f"{where}: the same instruction as {records[text][0]}", remedy="remove one of them"
            )
        records[text] = (where, record)
    return records


def _check_same(held_out: Sequence[Instruction], records: Mapping[str, Any], path: Path) -> None:
    wanted = {instruction.text for instruction in held_out}
    lacking, strange = sorted(wanted - set(records)), sorted(set(records) - wanted)
    if lacking or strange:
        example = (lacking or strange)[0]
        raise StageError(
            f"{path} is of another held-out set: {len(lacking)} instructions lack, "
            f"{len(strange)} are strange, such as {example!r:.120}",
            remedy=_SAME,
        )


def _answer(
    instruction: Instruction, where: str, record: dict[str, Any], system: str
) -> SystemResponse:
    way = WAYS[system]
    part = record.get(way)
    if not isinstance(part, dict):
        raise StageError(f"{where}: {way} is missing or no object", remedy="run stage1a")
    response = text_of(part, "response", f"{where}, {way}", empty=True)
    prompt = part.get("prompt")
    if way == "raw" and prompt != bare(instruction.text):
        raise StageError(
            f"{where}: the raw prompt is not the bare instruction: {prompt!r:.120}",
            remedy="run stage1a: its answers and those compared with them need equal prompts",
        )
    judged = judge(instruction, response)
    if part.get("correct") is not judged.correct:
        raise StageError(
            f"{where}: {way} was recorded as correct = {part.get('correct')!r}, and is judged "
            f"{judged.correct!r} now",
            remedy="the record or the instruction's checks changed: run stage1a again",
        )
    blank = part.get("blank") if isinstance(part.get("blank"), str) else None
    return SystemResponse.of(judged, prompt, system=system, source="stage1a", blank=blank)
