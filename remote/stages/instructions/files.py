"""Reads a user's own instruction set: a folder with four JSONL files.

    train.jsonl  development.jsonl  held_out.jsonl  pool.jsonl

A record is {"instruction": text, "type": one of the four, "checks": [...], "kind": text,
"answer": text}; `kind` may lack, `answer` only in the pool may not, and an answer must satisfy
its own checks. Every error names file, line and remedy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.failure import StageError
from ..text.near_duplicates import normalised, overlaps
from ..verification.instruction import TYPES, Instruction
from ..verification.specification import check_specification
from ..verification.verifier import VerifierError
from .instruction_set import InstructionSet

PARTS = ("train", "development", "held_out", "pool")
MAX_LINE = 1024 * 1024  # bytes of one record
_KEYS = {"instruction", "type", "kind", "answer", "checks"}
_EXAMPLE = '{"check": "accepts", "values": ["Paris"]}'


@dataclass(frozen=True)
class _Record:
    instruction: Instruction
    where: str  # file and line


def read_folder(folder: Path) -> InstructionSet:
    """The set in `folder`. Raises: StageError naming file, line and remedy."""
    parts = {name: _read(folder / f"{name}.jsonl", name == "pool") for name in PARTS}
    _check_types(folder / "pool.jsonl", parts["pool"])
    for later, name in enumerate(PARTS):
        _check_distinct(parts[name])
        for earlier in PARTS[:later]:
            _check_apart(parts[name], parts[earlier])
    train, development, held_out, pool = (
        tuple(record.instruction for record in parts[name]) for name in PARTS
    )
    return InstructionSet(folder.as_posix(), train, development, held_out, pool)


def _read(path: Path, answered: bool) -> list[_Record]:
    if not path.is_file():
        raise StageError(
            f"{path}: no such file",
            remedy=f"a folder of instructions holds {', '.join(f'{part}.jsonl' for part in PARTS)}",
        )
    records = []
    with path.open("rb") as stream:
        for line, raw in enumerate(stream, 1):
            if raw.strip():
                where = f"{path}, line {line}"
                records.append(_Record(_instruction(raw, where, answered), where))
    if not records:
        raise StageError(f"{path}: no record in it", remedy="write one JSON object a line")
    return records


def _instruction(raw: bytes, where: str, answered: bool) -> Instruction:
    if len(raw) > MAX_LINE:
        raise StageError(f"{where}: over {MAX_LINE} bytes", remedy="shorten or remove the record")
    try:
        record = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise StageError(
            f"{where}: not JSON: {error}", remedy="correct or remove the line; one object a line"
        ) from error
    if not isinstance(record, dict):
        raise StageError(f"{where}: not an object", remedy="one JSON object a line")
    if unknown := sorted(set(record) - _KEYS):
        raise StageError(
            f"{where}: unknown field {unknown[0]!r}",
            remedy=f"fields are {', '.join(sorted(_KEYS))}",
        )
    text = _text(record, "instruction", where)
    kind = _text(record, "kind", where) if "kind" in record else str(record.get("type"))
    answer = _text(record, "answer", where) if answered or "answer" in record else ""
    if record.get("type") not in TYPES:
        raise StageError(
            f"{where}: type is {record.get('type')!r}", remedy=f"use one of {', '.join(TYPES)}"
        )
    made = Instruction(text, record["type"], kind, answer, _checks(record, where))
    if answer and (reasons := made.reasons(answer)):
        raise StageError(
            f"{where}: the answer fails its own checks: {reasons[0]}",
            remedy="correct the answer or the checks",
        )
    return made


def _checks(record: dict[str, Any], where: str) -> tuple[dict[str, Any], ...]:
    """The validated checks of a record. Raises: StageError where there are none."""
    checks = record.get("checks")
    if not isinstance(checks, list) or not checks:
        problem = "is missing" if checks is None else "must be a list with at least one check"
        raise StageError(
            f"{where}: no verifier: checks {problem}",
            remedy=f"say what a correct response is, for example [{_EXAMPLE}]",
        )
    try:
        check_specification(checks)
    except VerifierError as error:
        raise StageError(
            f"{where}: {error}", remedy=f"correct the check; an example is {_EXAMPLE}"
        ) from error
    return tuple(checks)


def _text(record: dict[str, Any], name: str, where: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value.strip():
        problem = "is missing" if value is None else "must be text with something in it"
        raise StageError(f"{where}: {name} {problem}", remedy=f'give the record a text "{name}"')
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise StageError(f"{where}: {name} holds half a character", remedy="write it as UTF-8")
    return value


def _check_types(path: Path, pool: Sequence[_Record]) -> None:
    if missing := [
        name for name in TYPES if all(record.instruction.type != name for record in pool)
    ]:
        raise StageError(
            f"{path}: no example of type {missing[0]}",
            remedy="few-shot prompts need answered examples of all four types",
        )


def _check_distinct(records: Sequence[_Record]) -> None:
    seen: dict[str, str] = {}
    for record in records:
        text = normalised(record.instruction.text)
        if text in seen:
            raise StageError(
                f"{record.where}: the same instruction as {seen[text]}", remedy="remove one of them"
            )
        seen[text] = record.where


def _check_apart(records: Sequence[_Record], others: Sequence[_Record]) -> None:
    """Raises: StageError where a record contains, or nearly equals, one of another part."""
    duplicates = overlaps(
        [record.instruction.text for record in records],
        [record.instruction.text for record in others],
    )
    if duplicates:
        first = duplicates[0]
        raise StageError(
            f"{records[first.candidate].where}: {first.similarity:.0%} the same as, or holds, "
            f"{others[first.other].where}, and {len(duplicates)} in all are near that file",
            remedy="remove or reword one of each two: what is measured on must not be learned from",
        )
