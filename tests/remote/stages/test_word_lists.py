"""The word lists of the instruction sets: data files that travel with the code."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

import remote
from controller.transfer import upload
from remote.stages.instructions import word_lists
from remote.stages.instructions.sets import load

INSTRUCTIONS = Path(word_lists.__file__).parent
FILES = sorted(INSTRUCTIONS.rglob("*.json"))
# sha256 of every instruction with its answer and checks, its first 16 digits. After a change,
# stage 1E refuses controls that were measured before it.
SETS = {
    "small": "cb618ce208041930",  # pragma: allowlist secret
    "english": "aaea41d4387f7467",  # pragma: allowlist secret
}


@pytest.mark.parametrize("name", sorted(SETS))
def test_an_instruction_set_is_the_same_in_every_version(name: str) -> None:
    """The lists, their order and the templates together decide every instruction."""
    text = json.dumps(asdict(load(name)))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == SETS[name]


def test_the_word_lists_are_uploaded_with_the_code() -> None:
    """A pod gets the data files of the package, not only its modules."""
    uploaded = json.loads(upload._package())
    package = Path(next(iter(remote.__path__)))
    names = {f"remote/{path.relative_to(package).as_posix()}" for path in FILES}

    assert len(names) == 15
    assert names <= set(uploaded)
