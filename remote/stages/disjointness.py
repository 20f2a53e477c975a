"""Is anything that is measured on in what was learned from? Exactly, and nearly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .failure import StageError
from .near import THRESHOLD, near_duplicates, normalised
from .records import read_records, text_of

EXAMPLES = 5  # of overlaps that are shown


def check(held_out: Sequence[str], files: Mapping[Path, str]) -> dict[str, Any]:
    """{disjoint, held_out, threshold, against: [one entry a file]} of the texts in `files`.

    `files` has the remedy for each that lacks. Raises: StageError naming file and line.
    """
    against = [_against(held_out, path, remedy) for path, remedy in files.items()]
    return {
        "disjoint": all(one["exact"] == 0 and one["near"] == 0 for one in against),
        "held_out": len(held_out),
        "threshold": THRESHOLD,
        "against": against,
    }


def _against(held_out: Sequence[str], path: Path, remedy: str) -> dict[str, Any]:
    learned: dict[str, str] = {}  # normalised text → the first place where it stands
    texts: list[str] = []
    records = 0
    for where, record in read_records(path, remedy):
        records += 1
        for text in _texts(record, where):
            if learned.setdefault(normalised(text), where) == where:
                texts.append(text)
    exact = [text for text in held_out if normalised(text) in learned]
    found = near_duplicates(held_out, texts)
    return {
        "path": path.as_posix(),
        "records": records,
        "exact": len(exact),
        "near": len(found),
        "examples": [
            {
                "held_out": held_out[one.candidate],
                "learned_from": texts[one.other],
                "where": learned[normalised(texts[one.other])],
                "similarity": round(one.similarity, 3),
            }
            for one in found[:EXAMPLES]
        ],
    }


def _texts(record: dict[str, Any], where: str) -> list[str]:
    """The instruction, and each line of the prompt, which may hold solved instructions."""
    if "instruction" not in record and "prompt" not in record:
        raise StageError(
            f"{where}: neither instruction nor prompt",
            remedy="each record needs the instruction that was learned from",
        )
    found = [text_of(record, name, where) for name in ("instruction",) if name in record]
    prompt = record.get("prompt")
    if isinstance(prompt, str):
        found += [line for line in prompt.splitlines() if line.strip()]
    return list(dict.fromkeys(found))
