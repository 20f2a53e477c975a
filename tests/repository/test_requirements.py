"""What is installed is pinned: every dependency stands in the lock, with hashes, as declared."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from remote.supervisor import uv_pin

ROOT = Path(__file__).resolve().parents[2]


def test_the_lock_is_that_of_the_declared_dependencies() -> None:
    """requirements.lock has each of them, in a version that is allowed, with hashes."""
    text = (ROOT / "requirements.lock").read_text()
    found = re.findall(r"^([a-z0-9-]+)==([^ ;]+).*\\\n    --hash=sha256:", text, re.MULTILINE)
    pins = dict(found)  # a package may have two versions, by the version of Python
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert len(found) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    for line in (*declared["dependencies"], *declared["optional-dependencies"]["emulator"]):
        need = Requirement(line)
        assert need.specifier.contains(pins[need.name], prereleases=True), line


def test_make_installs_what_podctl_needs_by_hash() -> None:
    """Both environments begin with the lock; what follows finds it satisfied."""
    recipes = (ROOT / "Makefile").read_text().split("\n\n")
    builds = [one for one in recipes if "--editable" in one]

    assert len(builds) == 2
    for recipe in builds:
        first = next(line for line in recipe.splitlines() if line.startswith("\t"))
        assert "--require-hashes -r requirements.lock" in first


def test_the_pods_uv_is_one_version_by_hash() -> None:
    """With the hash of each wheel, so that it installs on every kind of pod."""
    name, *hashes = uv_pin.requirement().split()

    assert re.fullmatch(r"uv==\d+\.\d+\.\d+", name)
    assert len(hashes) > 10
    assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)
