"""Which paths a declared output names."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.project.project import Project
from controller.project.stages import maker_of
from jobs.catalog import CatalogError, load_stages
from jobs.stage import Stage
from remote import outputs
from remote.contract import FileEntry
from remote.globs import Globs
from remote.supervisor import manifest

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


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("d/**", "!d/e/f"), ["d/a.json", "d/e/a.json"]),
        (("d/**", "!d/e"), ["d/a.json"]),
        (("d/**", "!d/e/"), ["d/a.json"]),
        (("d/**", "!a.json"), ["d/e/f"]),
        (("d/**", "!**/e/**"), ["d/a.json"]),
        (("d/**", "!*.json", "d/e/a.json"), ["d/e/a.json", "d/e/f"]),
        (("*.json", "d/**", "!./a.json"), ["d/a.json", "d/e/a.json", "d/e/f"]),
        (("!a.json", "*.json"), ["a.json"]),
        ((".//d/./e/",), ["d/e/a.json", "d/e/f"]),
    ],
)
def test_the_last_glob_that_matches_decides(
    work: Path, patterns: tuple[str, ...], expected: list[str]
) -> None:
    """An exclusion takes what it names and all below; without a slash, at any depth."""
    assert list(outputs.find(work, patterns)) == expected


@pytest.mark.parametrize("pattern", [".", "./", "**", "**/*", "./**"])
def test_case_19_everything_is_all_but_what_podctl_and_git_own(work: Path, pattern: str) -> None:
    """Case 19: podctl.toml, locks, STATUS.md and git's files on the pod are no outputs."""
    for name in ("podctl.toml", "locks/a.json", "STATUS.md", ".git/config", ".gitignore"):
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text("")

    assert set(outputs.find(work, (pattern,))) == set(TREE) - {".podctl/p.json"}
    assert outputs.survey(work, (pattern,)).left == ()


def test_what_a_job_left_as_it_was_sent_is_told_apart(tmp_path: Path) -> None:
    """By the time of its change; an output that is named by its path is the job's all the same."""
    (tmp_path / "work").mkdir()
    for name in ("sent", "named", "written"):
        (tmp_path / "work" / name).write_text("x")
    _stamp(tmp_path)
    while (tmp_path / "work/written").stat().st_ctime_ns <= _mtime(tmp_path):
        (tmp_path / "work/written").write_text("x")
    entries = [FileEntry(name, 1, "0" * 64) for name in ("sent", "named", "written", "gone")]

    assert manifest.untouched(tmp_path, ("**", "named"), entries) == ("sent",)


def _stamp(run: Path) -> int:
    (run / "work.json").write_text("{}")
    return _mtime(run)


def _mtime(run: Path) -> int:
    return (run / "work.json").stat().st_mtime_ns


@pytest.mark.parametrize(
    ("patterns", "barren"),
    [
        (("a/b", "!a"), ["a/b"]),
        (("a/**", "!a/**"), ["a/**"]),
        (("a/*.json", "!a/"), ["a/*.json"]),
        (("a/x.pt", "!*.pt"), ["a/x.pt"]),
        (("a/*.pt", "!*.pt"), ["a/*.pt"]),
        (("a/**", "!**"), ["a/**"]),
        (("a/**", "!a/b"), []),
        ((".", "!**/x"), []),
        (("!a/**", "a/**"), []),
    ],
)
def test_a_glob_that_can_match_nothing_is_found(
    patterns: tuple[str, ...], barren: list[str]
) -> None:
    """A later exclusion that takes all of it is seen without any file."""
    assert Globs(patterns).barren() == barren


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


def own_stage(**more: object) -> Stage:
    table = {
        "title": "t",
        "command": ["true"],
        "outputs": ["out/**"],
        "hours": 1,
        "max_hours": 1,
        "criteria": [{"kind": "exists", "path": "./out//x"}],
    }
    return load_stages({"own": table | more})["own"]


@pytest.mark.parametrize(
    ("key", "globs", "why"),
    [
        ("outputs", ["locks/**"], "must not lead into"),
        ("outputs", ["./podctl.toml"], "must not lead into"),
        ("outputs", [".gitignore"], "must not lead into"),
        ("outputs", [".//.podctl/x"], "must not lead into"),
        ("outputs", ["!out/**"], "name what is taken"),
        ("outputs", ["out/a.json", "!out"], "can match nothing"),
        ("outputs", ["out/[z-a]"], "is no glob"),
        ("outputs", ["out/*.{json,txt}"], "braces"),
        ("outputs", ["out/**", "!../x"], "inside the project"),
        ("outputs", ["!"], "path or glob"),
        ("inputs", ["data/*.jsonl", "!data/*.jsonl"], "can match nothing"),
        ("inputs", ["~/data"], "inside the project"),
        ("inputs", ["a\0b"], "path or glob"),
    ],
)
def test_what_can_never_work_is_no_stage(key: str, globs: list[str], why: str) -> None:
    """A glob without any possible match is told while podctl.toml is read."""
    with pytest.raises(CatalogError, match=why):
        own_stage(**{key: globs})


def test_globs_are_read_without_what_says_nothing() -> None:
    """`./src/`, `src//x` and `src/.` are the same folders as without the dots."""
    stage = own_stage(inputs=["./src/", "a//b", "c/.", "!./d/e/"], outputs=["./", "!d/*/"])

    assert stage.inputs == ("src", "a/b", "c", "!d/e")
    assert stage.outputs == (".", "!d/*/")
    assert stage.criteria[0].path == "out/x"


@pytest.mark.parametrize(
    ("path", "maker"),
    [
        ("out/a/model.pt", "first"),
        ("out", "first"),
        ("out/*.json", "first"),
        ("out/**/x", "first"),
        ("out/a/optimizer.pt", None),
        ("report.json", "second"),
        ("*.json", "second"),
        ("*.csv", None),
        ("data/*.jsonl", "second"),
        ("data/sub/x.jsonl", None),
        ("outer/x", None),
    ],
)
def test_the_maker_of_an_input_may_be_asked_by_a_glob(
    tmp_path: Path, path: str, maker: str | None
) -> None:
    """An exclusion counts: what a stage leaves on its pod nobody makes."""
    stage = "[stages.{}]\ntitle = 't'\ncommand = ['true']\noutputs = {}\nhours = 1\nmax_hours = 1\n"
    stage += "criteria = [{{ kind = 'exists', path = 'x' }}]\n"
    (tmp_path / "podctl.toml").write_text(
        stage.format("first", ["out/**", "!optimizer.pt"])
        + stage.format("second", ["report.json", "data/*.jsonl"])
    )

    assert maker_of(Project(tmp_path), path) == maker
