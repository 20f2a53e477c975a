"""Which paths a declared output names."""

from __future__ import annotations

from pathlib import Path

import pytest

from remote import manifest, outputs

TREE = ("a.json", "b.txt", "d/a.json", "d/e/a.json", "d/e/f", "[x]", ".podctl/p.json", ".h/g")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.json", ["a.json"]),
        ("*.json", ["a.json"]),
        ("d/*", ["d/a.json"]),
        ("d/**", ["d/a.json", "d/e/a.json", "d/e/f"]),
        ("d", ["d/a.json", "d/e/a.json", "d/e/f"]),
        ("d/e/", ["d/e/a.json", "d/e/f"]),
        ("./d/e", ["d/e/a.json", "d/e/f"]),
        ("**/a.json", ["a.json", "d/a.json", "d/e/a.json"]),
        ("d/**/a.json", ["d/a.json", "d/e/a.json"]),
        ("?.txt", ["b.txt"]),
        ("[a-b].txt", ["b.txt"]),
        ("[!a].txt", ["b.txt"]),
        ("[[]x]", ["[x]"]),
        ("nothing/**", []),
        ("../*", []),
        ("/etc/passwd", []),
    ],
)
def test_a_glob_names(work: Path, pattern: str, expected: list[str]) -> None:
    """Globs have their usual meaning, a folder means all below it, and nothing is outside."""
    assert list(outputs.find(work, (pattern,))) == expected


def test_everything_means_all_but_the_controllers_own(work: Path) -> None:
    """`**` is every file; .podctl is not an output."""
    assert set(outputs.find(work, ("**",))) == set(TREE) - {".podctl/p.json"}


def test_missing_names_the_patterns_without_a_file(work: Path) -> None:
    """Each pattern must match something."""
    found = list(outputs.find(work, ("d/**", "x/*")))

    assert outputs.missing(("d/**", "x/*", "d/e"), found) == ["x/*"]


def test_an_unchanged_file_is_hashed_once(work: Path) -> None:
    """The hash is kept until size, time or inode change."""
    hashes = manifest.Hashes(work)
    reads = []
    (found,) = outputs.find(work, ("b.txt",)).values()
    first = hashes.of(found, lambda: reads.append(1))
    second = hashes.of(found, lambda: reads.append(1))
    (work / "b.txt").write_text("other")
    (changed,) = outputs.find(work, ("b.txt",)).values()
    third = hashes.of(changed, lambda: reads.append(1))

    assert first == second
    assert third is not None
    assert third != first
    assert len(reads) == 2
