"""Is anything that is measured on in what is learned from? Exactly, and nearly.

Every text of a record counts: its instruction, the prompt that it came from and its answers, as a
whole and line by line, since a held-out instruction that stands anywhere in them is learned from as
well.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..common.append_jsonl import write
from ..common.failure import StageError
from ..common.layout import DISJOINTNESS
from ..common.records import TrainingRecord
from ..text.near_duplicates import THRESHOLD, normalised, overlaps
from .instruction_set import InstructionSet
from .pairs import MAKE
from .training_records import read_training

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
class Found:
    """What a file holds of what is measured on, in the order of its lines."""

    path: Path
    records: int
    overlaps: tuple[Overlap, ...]


def measured(chosen: InstructionSet) -> Measured:
    return {part: [one.text for one in getattr(chosen, part)] for part in PARTS}


def look(path: Path, remedy: str, against: Measured) -> Found:
    """The overlaps in the JSONL file at `path`. Raises: StageError naming file and line, with
    `remedy` where the file lacks."""
    records, texts = 0, list[tuple[int, str]]()
    for record in read_training(path, remedy):
        records += 1
        texts += [(record.line, text) for text in _texts(record)]
    found = [one for part in against for one in _overlaps(texts, part, against[part])]
    return Found(path, records, tuple(sorted(found, key=lambda one: one.line)))


def _texts(record: TrainingRecord) -> list[str]:
    """The distinct lines and texts of a record; lines first, so that they are shown as lines."""
    texts = record.texts
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
        different[one.candidate]: (against[one.other], one.similarity)
        for one in overlaps(different, against)
    }
    found = dict[tuple[int, str], Overlap]()  # by line and what is measured: once is enough
    for line, text in texts:
        if text in near:
            of, similarity = near[text]
            exact = normalised(text) == normalised(of)
            one = Overlap(line, text, part, of, round(similarity, 3), exact)
            found.setdefault((line, of), one)
    return list(found.values())


def report(found: Found) -> dict[str, Any]:
    """{path, records, exact, near, examples}: how many of what is measured on stand in the data."""
    exact = {one.of for one in found.overlaps if one.exact}
    return {
        "path": found.path.as_posix(),
        "records": found.records,
        "exact": len(exact),
        "near": len({one.of for one in found.overlaps}),
        "examples": [
            {
                "measured": one.of,
                "learned_from": one.text,
                "where": f"{found.path}, line {one.line}",
                "similarity": one.similarity,
            }
            for one in found.overlaps[:EXAMPLES]
        ],
    }


def check(files: Mapping[Path, str], against: Measured) -> dict[str, Any]:
    """{disjoint, held_out, threshold, against: [one entry a file]}; `files` has the remedy for
    each that lacks. Raises: StageError naming file and line."""
    found = [look(path, remedy, against) for path, remedy in files.items()]
    return {
        "disjoint": not any(one.overlaps for one in found),
        "held_out": sum(map(len, against.values())),
        "threshold": THRESHOLD,
        "against": [report(one) for one in found],
    }


def gate(data: Path, chosen: InstructionSet, out: Path) -> bool:
    """Whether `data` may be trained on; the answer is in `out`/disjointness.json too.

    The lines that may not are said on stderr: to train on them would cost money for a sure FAIL.
    """
    against = measured(chosen)
    found = look(data, MAKE, against)
    lines = _lines(found.overlaps)
    document = {
        "schema": 1,
        "disjoint": not found.overlaps,
        "overlap": lines,
        "rule": RULE,
        "checked": found.records,
        "against": {part: len(texts) for part, texts in against.items()},
        "instructions": chosen.name,
        "lines": [asdict(one) for one in found.overlaps],
    }
    write(out / DISJOINTNESS, json.dumps(document, indent=1) + "\n")
    if found.overlaps:
        sys.stderr.write(
            f"{data}, {lines}: held-out or development instructions of {chosen.name!r}\n"
            "nothing was trained: remove these lines, or make the data again with stage1b\n"
        )
    return not found.overlaps


def _lines(overlaps: Sequence[Overlap]) -> str:
    """In words: none, or lines 3, 7 and 2 more."""
    numbers = sorted({one.line for one in overlaps})
    if not numbers:
        return "none"
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"lines {', '.join(map(str, numbers[:NAMED]))}{more}"
