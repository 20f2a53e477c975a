"""The source keeps the rules of `source_rules`, and each of them would notice if it did not."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source_rules import (
    FILES,
    LONGEST,
    PURE,
    PURE_FILES,
    ROOT,
    RULES,
    Rule,
    name_of,
    tree_of,
)

TREES = {name_of(path): tree_of(path) for path in FILES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_the_source_keeps_the_rule(rule: Rule) -> None:
    """No line of any file is against it."""
    found = [f"{name}:{line}" for name, tree in TREES.items() for line in rule.check(name, tree)]

    assert found == [], rule.name


@pytest.mark.parametrize(
    ("rule", "code"),
    [(rule, code) for rule in RULES for code in rule.breaks],
    ids=lambda one: one.check.__name__ if isinstance(one, Rule) else ascii(one)[:40],
)
def test_the_rule_fires(rule: Rule, code: str) -> None:
    """Code that breaks it is found."""
    assert list(rule.check(rule.file, ast.parse(code)))


def test_what_the_rules_are_about_is_there() -> None:
    """The folders and files that must be pure exist under their names."""
    assert [name for name in (*PURE, *PURE_FILES) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("S602", "import subprocess\nsubprocess.run('ls', shell=True, timeout=5, check=True)\n"),
        ("S105", "password = 'swordfish'\n"),
        ("S324", "import hashlib\nhashlib.md5(b'')\n"),
        ("S301", "import pickle\npickle.loads(b'')\n"),
        ("S501", "import requests\nrequests.get('https://x', verify=False, timeout=5)\n"),
        ("S113", "import requests\nrequests.get('https://x')\n"),
        ("DTZ005", "import datetime\ndatetime.datetime.now()\n"),
    ],
)
def test_the_linter_looks_for_weaknesses(rule: str, code: str) -> None:
    """ruff's security rules are on for everything but the tests."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--output-format=concise"),
            *("--stdin-filename", "controller/any.py", "-"),
        ],
        input=code,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert rule in done.stdout


def silenced(text: str) -> list[int]:
    """Lines that silence a warning without naming its rule and why."""
    blank = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))")
    code = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(, ?[a-z-]+)*\])")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        named = code.search(line)
        if blank.search(line) or (named and not line[named.end() :].strip(" -#")):
            found.append(number)
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_ignores_have_reasons(path: Path) -> None:
    """Every silenced warning names its rule and why it is silenced."""
    assert silenced(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", ["x  # noqa", "x  # noqa: S101", "x  # type: ignore[arg-type]"])
def test_an_ignore_without_a_reason_is_found(line: str) -> None:
    """A bare ignore, or one that names its rule and nothing else."""
    assert silenced(f"ok = 1  # noqa: S105 - a reason\n{line}\n") == [2]


def test_files_stay_small() -> None:
    """One concept a file: none grows past what can be read in one sitting."""
    long = [
        f"{name_of(path)}: {count}"
        for path in FILES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LONGEST
    ]

    assert long == []
