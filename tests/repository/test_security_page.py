"""docs/security.md names who could do harm, and tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
WHO = ("web page", "another user", "cloned", "a pod", "emulator", "network", "the provider")


def rows() -> list[list[str]]:
    table = PAGE.partition("## Who can do what")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]


def test_everybody_who_could_do_harm_has_a_row() -> None:
    """What each can, what it cannot, and which tests show it."""
    found = rows()

    assert all(len(row) == 4 and all(row) for row in found)
    for who in WHO:
        assert any(who in row[0] for row in found), who


def test_the_tests_that_are_named_are_there() -> None:
    """A promise without a test would be a wish."""
    for who, *_, shown in rows():
        named = re.findall(r"`([\w/]*test_\w+\.py)`", shown)
        assert named, who
        assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []


def test_the_way_to_report_is_told() -> None:
    """SECURITY.md is where forges look for it, and the page leads there."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")

    assert "Reporting" in text
    assert "docs/security.md" in text
    assert "(../SECURITY.md)" in PAGE
