"""docs/reliability.md, made of the tests themselves: `python -m tests.support.reliability_page`.

A test whose name begins with `test_row_<number>` tests that row of the fault matrix; the first line
of its docstring is what is promised. What no test can tell (a row's reason for having none, which
safeguard a test is for, figures of long runs) stands in docs/reliability.toml and .json.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "reliability.md"
NOTES = ROOT / "docs" / "reliability.toml"
FIGURES = ROOT / "docs" / "reliability.json"
ROWS = range(1, 82)
NAME = re.compile(r"test_row((?:_\d\d)+)_")
SECTIONS = {
    1: "Provider",
    26: "Controller and laptop",
    43: "Network and SSH",
    53: "Pod and job",
    70: "Hostile pod",
    80: "podctl itself",
}


@dataclass(frozen=True)
class RowTest:
    """One test of one row."""

    row: int
    promise: str
    file: str  # below tests/
    name: str  # with its class

    @property
    def node(self) -> str:
        return f"tests/{self.file}::{self.name}"


def row_tests() -> list[RowTest]:
    """Every test of a row, by row and place."""
    tests = [test for path in sorted(TESTS.rglob("test_*.py")) for test in _of_file(path)]
    return sorted(tests, key=lambda test: (test.row, test.file))


def _of_file(path: Path) -> Iterator[RowTest]:
    for name, node in functions(path):
        if match := NAME.match(node.name):
            promise = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
            for row in match[1].strip("_").split("_"):
                yield RowTest(int(row), promise, path.relative_to(TESTS).as_posix(), name)


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    """(name with its class, definition) of every test in a file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, ast.FunctionDef):
                    yield f"{node.name}::{child.name}", child


def notes() -> dict[str, Any]:
    """`without`: row → reason for having no test; `safeguards`: [{what, where, test}]."""
    return tomllib.loads(NOTES.read_text(encoding="utf-8"))


def page(results: Mapping[str, str]) -> str:
    """The whole document. `results` are outcomes by `file::name`."""
    known = notes()
    parts = [known["introduction"], _figures(), "## The matrix\n"]
    tests: dict[int, list[RowTest]] = {}
    for test in row_tests():
        tests.setdefault(test.row, []).append(test)
    for row in ROWS:
        if row in SECTIONS:
            parts.append(f"\n### {SECTIONS[row]}\n\n| row | what is promised | test | result |")
            parts.append("| --- | --- | --- | --- |")
        for test in tests.get(row, ()):
            parts.append(_line(test, results))
        if row not in tests:
            parts.append(f"| {row} | no test: {known['without'][str(row)]} | | |")
    parts.append(_safeguards(known["safeguards"]))
    return "\n".join(parts).rstrip() + "\n"


def _line(test: RowTest, results: Mapping[str, str]) -> str:
    shown = test.name.rpartition("::")[2]
    result = results.get(f"{test.file}::{test.name}", "")
    return f"| {test.row} | {_cell(test.promise)} | `{test.file}` {shown} | {result} |"


def _figures() -> str:
    """What the long runs counted, with the commands that made them."""
    lines = ["## Figures\n"]
    for figure in json.loads(FIGURES.read_text(encoding="utf-8")):
        figures = ", ".join(f"{value:,} {name}" for name, value in figure["figures"].items())
        lines.append(f"- `{figure['command']}` ({figure['date']}, {figure['machine']}): {figures}.")
        lines += [f"  {text}" for text in figure.get("notes", ())]
    return "\n".join(lines) + "\n"


def _safeguards(safeguards: list[dict[str, str]]) -> str:
    lines = [
        "\n## Safeguards and the tests that fail without them\n",
        "| safeguard | where | test |",
        "| --- | --- | --- |",
    ]
    for safeguard in safeguards:
        lines.append(
            f"| {_cell(safeguard['what'])} | `{safeguard['where']}` | `{safeguard['test']}` |"
        )
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


def run() -> dict[str, str]:
    """Run every row's test; outcome by `file::name`. Ends the program when one fails."""
    report = ROOT / ".pytest_cache" / "rows.xml"
    report.parent.mkdir(exist_ok=True)
    argv = [sys.executable, "-m", "pytest", "-n", "3", "-k", "row_", "-m", ""]
    done = subprocess.run([*argv, f"--junitxml={report}"], cwd=ROOT, check=False, timeout=3600)
    if done.returncode:
        raise SystemExit("a row's test fails: the page is not written")
    return outcomes(report.read_bytes())


def outcomes(junit: bytes) -> dict[str, str]:
    """`passed`, or `skipped: why`, of each test in a JUnit report of our own run."""
    outcomes_of: dict[str, str] = {}
    for case in ElementTree.fromstring(junit).iter("testcase"):
        *modules, last = case.get("classname", "").removeprefix("tests.").split(".")
        modules, prefix = (
            ([*modules, last], "") if last.startswith("test_") else (modules, f"{last}::")
        )
        name = case.get("name", "").partition("[")[0]
        skipped = case.find("skipped")
        result = "passed" if skipped is None else f"skipped: {skipped.get('message', '')}"
        outcomes_of.setdefault(f"{'/'.join(modules)}.py::{prefix}{name}", result)
    return outcomes_of


def without_results(text: str) -> list[str]:
    """The page's lines without their last column: what does not hang on a run."""
    return [re.sub(r"\| [^|]*\|$", "|", line) for line in text.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-run", action="store_true", help="leave the results out")
    results = {} if parser.parse_args().no_run else run()
    beside = PAGE.with_suffix(".new")
    beside.write_text(page(results), encoding="utf-8")
    beside.replace(PAGE)


if __name__ == "__main__":
    main()
