"""Finds measured instructions in training data, exact copies and near-duplicates.

Every text of a record counts: its instruction, its prompt and its answers, as a whole and line by
line, since a held-out instruction anywhere in them is learned too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..common.append_jsonl import write_atomically
from ..common.failure import StageError
from ..common.layout import DISJOINTNESS
from ..common.training_record import TrainingRecord
from ..text.near_duplicates import THRESHOLD, normalised, overlaps
from .instruction_set import InstructionSet
from .pairs import MAKE
from .training_records import CONVERSATION, read_training

PARTS = ("held_out", "development")
EXAMPLES = 5  # of overlaps that are shown
NAMED = 20  # lines in a summary
RULE = (
    "no instruction, prompt or answer of the data, and no line of one, is measured on or holds "
    "word for word what is (case and punctuation aside), or nearly is (Jaccard similarity of "
    f"character 5-grams of {THRESHOLD:g} or more)"
)

Measured = Mapping[str, Sequence[str]]  # by part, the instructions that are measured on


@dataclass(frozen=True)
class Overlap:
    """`text`, at line `line` of the data, is or holds `of`, which is measured on; `exact` where it
    is nothing else but for case and punctuation."""

    line: int
    text: str
    part: str
    of: str
    similarity: float
    exact: bool


@dataclass(frozen=True)
class Leakage:
    """The overlaps of a file with the measured sets, in the order of its lines."""

    path: Path
    records: int
    overlaps: tuple[Overlap, ...]


def measured_texts(chosen: InstructionSet) -> Measured:
    return {part: [instruction.text for instruction in getattr(chosen, part)] for part in PARTS}


def find_leakage(path: Path, remedy: str, against: Measured, *, chat: bool = False) -> Leakage:
    """The overlaps in the JSONL file at `path`; with `chat` of conversations of any length. Raises:
    StageError naming file and line, with `remedy` where the file is missing."""
    records, texts = 0, list[tuple[int, str]]()
    for record in read_training(path, remedy, chat=chat):
        records += 1
        texts += [(record.line, text) for text in _texts(record)]
    found = [overlap for part in against for overlap in _overlaps(texts, part, against[part])]
    return Leakage(path, records, tuple(sorted(found, key=lambda overlap: overlap.line)))


def _texts(record: TrainingRecord) -> list[str]:
    """The distinct lines and texts of a record; lines first, so that they are shown as lines."""
    texts = record.texts | {
        f"message {place}": message["content"]
        for place, message in enumerate(record.fields.get(CONVERSATION, ()))
    }
    if record.instruction is None and "prompt" not in texts:
        raise StageError(
            f"{record.where}: neither instruction nor prompt",
            remedy="each record needs the instruction that was learned from",
        )
    lines = [line for text in texts.values() for line in text.splitlines()]
    return list(dict.fromkeys(text for text in (*lines, *texts.values()) if text.strip()))


def _overlaps(texts: Sequence[tuple[int, str]], part: str, against: Sequence[str]) -> list[Overlap]:
    different = list(dict.fromkeys(text for _, text in texts))  # sheets repeat their examples
    near = {
        different[duplicate.candidate]: (against[duplicate.other], duplicate.similarity)
        for duplicate in overlaps(different, against)
    }
    by_line = dict[tuple[int, str], Overlap]()  # by line and what is measured: once is enough
    for line, text in texts:
        if text in near:
            measured_text, similarity = near[text]
            exact = normalised(text) == normalised(measured_text)
            overlap = Overlap(line, text, part, measured_text, round(similarity, 3), exact)
            by_line.setdefault((line, measured_text), overlap)
    return list(by_line.values())


def report(leakage: Leakage) -> dict[str, Any]:
    """{path, records, exact, near, examples}; counts are of measured instructions in the data."""
    exact = {overlap.of for overlap in leakage.overlaps if overlap.exact}
    return {
        "path": leakage.path.as_posix(),
        "records": leakage.records,
        "exact": len(exact),
        "near": len({overlap.of for overlap in leakage.overlaps}),
        "examples": [
            {
                "measured": overlap.of,
                "learned_from": overlap.text,
                "where": f"{leakage.path}, line {overlap.line}",
                "similarity": overlap.similarity,
            }
            for overlap in leakage.overlaps[:EXAMPLES]
        ],
    }


def check_files(
    files: Mapping[Path, str], against: Measured, folder: Path = Path(), *, chat: bool = False
) -> dict[str, Any]:
    """{disjoint, held_out, threshold, against: [one entry a file]}; `files` below `folder` have
    the remedy for each that is missing. Raises: StageError naming file and line."""
    by_file = [
        replace(find_leakage(folder / path, remedy, against, chat=chat), path=path)
        for path, remedy in files.items()
    ]
    return {
        "disjoint": not any(leakage.overlaps for leakage in by_file),
        "held_out": sum(map(len, against.values())),
        "threshold": THRESHOLD,
        "against": [report(leakage) for leakage in by_file],
    }


def check_training_data(
    data: Path, chosen: InstructionSet, out: Path, *, chat: bool = False
) -> bool:
    """Whether `data` may be trained on; the answer is in `out`/disjointness.json too.

    Overlapping lines are listed on stderr; training on them would end in a certain FAIL.
    """
    against = measured_texts(chosen)
    leakage = find_leakage(data, MAKE, against, chat=chat)
    lines = _lines(leakage.overlaps)
    document = {
        "schema": 1,
        "disjoint": not leakage.overlaps,
        "overlap": lines,
        "rule": RULE,
        "checked": leakage.records,
        "against": {part: len(texts) for part, texts in against.items()},
        "instructions": chosen.name,
        "lines": [asdict(overlap) for overlap in leakage.overlaps],
    }
    write_atomically(out / DISJOINTNESS, json.dumps(document, indent=1) + "\n")
    if leakage.overlaps:
        sys.stderr.write(
            f"{data}, {lines}: held-out or development instructions of {chosen.name!r}\n"
            "nothing was trained: remove these lines, or make the data again with stage1b\n"
        )
    return not leakage.overlaps


def _lines(overlaps: Sequence[Overlap]) -> str:
    """The lines in words: "none", or "lines 3, 7 and 2 more"."""
    numbers = sorted({overlap.line for overlap in overlaps})
    if not numbers:
        return "none"
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"lines {', '.join(map(str, numbers[:NAMED]))}{more}"
