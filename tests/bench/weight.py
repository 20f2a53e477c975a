"""How many packages a plain install of podctl needs, and how large they are; each extra beside it.

    python tests/bench/weight.py

Reads the metadata and the files of what is installed here: nothing is downloaded. A package counts
when podctl requires it, directly or through another; pip itself does not.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script beside the packages, not one of them

from tests.bench.output import say  # noqa: E402 (needs the path)

INSTALLS = {
    "pip install podctl": "",
    "podctl[emulator]": "emulator",
    "podctl[test]": "test",
    "podctl[demo]": "demo",
}


def main() -> None:
    for name, extra in INSTALLS.items():
        packages = closure(own_requirements(extra))
        size = sum(map(installed_bytes, packages.values()))
        say(f"  {name:20} {len(packages):4} packages   {size / 1e6:8.1f} MB")


def own_requirements(extra: str) -> list[str]:
    """What podctl itself requires, by pyproject.toml: an editable install's metadata may be old."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = list(project["dependencies"])
    waiting = [extra] if extra else []
    while waiting:
        for line in extras[waiting.pop()]:
            requirement = Requirement(line)
            if requirement.name == "podctl":
                waiting += requirement.extras
            else:
                lines.append(line)
    return lines


def closure(lines: Iterable[str]) -> dict[str, Distribution]:
    """Every package that the requirements `lines` need on this machine.

    A package that is not installed here is reported and not counted.
    """
    packages: dict[str, Distribution] = {}
    visited: set[tuple[str, frozenset[str]]] = set()
    waiting = list(applicable(lines, frozenset()))
    while waiting:
        name, extras = item = waiting.pop()
        if item in visited:
            continue
        visited.add(item)
        try:
            packages[name] = distribution(name)
        except PackageNotFoundError:
            say(f"  not installed here: {name}")
            continue
        waiting += applicable(packages[name].requires or (), extras)
    return packages


def applicable(
    lines: Iterable[str], extras: frozenset[str]
) -> Iterator[tuple[str, frozenset[str]]]:
    """(name, extras) of the requirements that hold on this machine with `extras`."""
    for line in lines:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def installed_bytes(package: Distribution) -> int:
    paths = (Path(str(package.locate_file(file))) for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.suffix != ".pyc" and path.is_file())


if __name__ == "__main__":
    main()
