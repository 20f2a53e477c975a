"""A sound folder of a user's own instructions, for tests to spoil."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from remote.stages.verification.instruction import TYPES

TOPICS = {
    "train": ("France Paris", "Spain Madrid", "Norway Oslo", "Italy Rome"),
    "development": ("Kenya Nairobi", "Peru Lima"),
    "held_out": ("Japan Tokyo", "Egypt Cairo", "Cuba Havana"),
    "pool": ("Chile Santiago", "Austria Vienna", "Greece Athens", "Poland Warsaw"),
}
PHRASINGS = {
    "train": "Tell me which city governs {}.",
    "development": "{}: its capital, please?",
    "held_out": "What do they call the main city of {}?",
    "pool": "Where does the parliament of {} sit?",
}


def records(part: str) -> list[dict[str, Any]]:
    rows = []
    for place, topic in enumerate(TOPICS[part]):
        country, city = topic.split()
        rows.append(
            {
                "instruction": PHRASINGS[part].format(country),
                "type": TYPES[place % 4],
                "answer": f"In {city}.",
                "checks": [
                    {"check": "accepts", "values": [city]},
                    {"check": "words", "at_most": 9},
                ],
            }
        )
    return rows


def write(folder: Path, parts: dict[str, list[dict[str, Any]]]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in parts.items():
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder
