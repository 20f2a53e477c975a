"""What is installed is pinned: every dependency stands in the lock, with hashes, as declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def test_the_lock_is_that_of_the_declared_dependencies() -> None:
    """requirements.lock has each of them, in a version that is allowed, with hashes."""
    text = (ROOT / "requirements.lock").read_text()
    pins = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+).*\\\n    --hash=sha256:", text, re.MULTILINE))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]

    assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    for line in declared:
        need = Requirement(line)
        assert need.specifier.contains(pins[need.name], prereleases=True), line
