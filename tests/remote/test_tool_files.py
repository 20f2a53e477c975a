"""What tools run or read by themselves does not come from a pod."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from controller.transfer.skipped_files import without_programs
from jobs.stage import OutputGlob
from remote.contract import FileEntry, Manifest
from remote.outputs import survey
from tests.support.laptop import Laptop

REPOSITORIES = [
    ".git/config",
    "out/sub/.git/hooks/post-checkout",
    "out/.git",
    "out/.GIT/config",
    "out/.Git./config",
    "out/.git /config",
    "out/.git . ./config",
    "out/git~1/config",
    "out/GIT~2/config",
    "out/.g\u200cit/config",
    "out/.git\u200d/config",
    "out/.gi\ufefft/config",
    "out/.git::$INDEX_ALLOCATION/config",
    "out/.git:stream",
    "out/a\\.git\\config",
    "out/.hg/hgrc",
    "out/.svn/wc.db",
    "out/.jj/repo/config.toml",
]
BY_THEMSELVES = [
    "out/.envrc", "out/a/.vscode/tasks.json", "out/.idea/workspace.xml", "out/conftest.py",
    "out/a/sitecustomize.py", "out/.pre-commit-config.yaml", "out/Makefile", "out/GNUmakefile",
    "out/.github/workflows/x.yml", "out/.bashrc", "out/.npmrc", "out/.gitattributes",
    "out/.gitmodules", "out/.devcontainer/devcontainer.json", "out/.claude/settings.json",
    "out/.zshenv", "out/.vimrc", "out/.gdbinit", "out/.pdbrc", "out/tox.ini",
    "out/a.code-workspace",
    "out/MAKEFILE", "out/.VSCode/tasks.json", "out/conftest.py.", "out/.envrc ", "out/desktop.ini",
]  # fmt: skip
ORDINARY = [
    "out/config.json", "out/model.pth", "out/git.txt", "out/.gitx", "out/HEAD", "out/head.pt",
    "out/refs/main", "out/objects/a", "out/git/config", "out/git~", "out/checkpoint~1/a",
    "out/.cache/x",
    "out/makefile.txt", "out/env", "out/run.sh", "out/train.py", "out/README.md", "out/.hidden",
    "out/10:30.log", "out/tokenizer.json", "out/wandb/run-1/files/config.yaml",
]  # fmt: skip
BARE = [
    ["HEAD", "objects/aa/b", "refs/heads/main", "config"],
    ["head", "OBJECTS/x", "Refs/x"],
    ["HEAD", "commondir"],
    ["H\u200bEAD", "objects/x", "refs/x"],
]


def listed(*paths: str) -> Manifest:
    return Manifest("r", 1, True, tuple(FileEntry(path, 1, "0" * 64) for path in paths))


def kept(manifest: Manifest, outputs: tuple[str, ...] = ("**",), *places: Path) -> list[str]:
    """What of a list comes, and that the rest is named."""
    found = without_programs(manifest, outputs, places)
    gone = {one.path for one in manifest.files} - {one.path for one in found.files}
    assert all(any(path.startswith(note.path) for note in found.notes) for path in gone)
    return [one.path for one in found.files]


@pytest.mark.parametrize("path", REPOSITORIES)
def test_no_path_leads_into_what_any_git_takes_for_its_folder(path: str) -> None:
    """Case, trailing dots and blanks, short names, streams, ignorable letters; named literally
    or not. No stage can declare it either."""
    assert kept(listed(path, "out/a")) == ["out/a"]
    assert kept(listed(path, "out/a"), (path, "out/a")) == ["out/a"]
    with pytest.raises(ValidationError):
        TypeAdapter(OutputGlob).validate_python(path.replace(".git:stream", ".git"))


@pytest.mark.parametrize("path", BY_THEMSELVES)
def test_what_tools_read_by_themselves_comes_only_where_it_is_named(path: str) -> None:
    """A glob that has the name literally, and matches, is the user's wish."""
    assert kept(listed(path, "out/a")) == ["out/a"]
    assert kept(listed(path, "out/a"), ("out/**", "elsewhere/" + path)) == ["out/a"]
    assert kept(listed(path), (path,)) == [path]


@pytest.mark.parametrize("path", ORDINARY)
def test_ordinary_outputs_come(path: str) -> None:
    """Names that only look alike are nobody's program; `.pth` is what PyTorch calls weights."""
    assert kept(listed(path)) == [path]


@pytest.mark.parametrize("names", BARE)
def test_a_bare_repository_does_not_come(names: list[str], tmp_path: Path) -> None:
    """At the top, deep down, or when its parts come one after the other."""
    for folder in ("out/a/b", "out"):
        paths = [f"{folder}/{name}" for name in names]
        assert kept(listed(*paths)) == []
    assert kept(listed("a", *names)) == ["a", *(one for one in names if one == "config")]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / names[0]).touch()
    assert kept(listed(*(f"out/{name}" for name in names[1:])), ("**",), tmp_path) == []


def test_the_agent_lists_none_of_it(tmp_path: Path) -> None:
    """The pod's own side leaves the same out and says why; the rest is listed."""
    for path in ("out/a", "out/b/.git/config", "out/b/c", "out/.envrc", "out/Makefile"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = survey(tmp_path, ("out/**", "out/Makefile"))

    assert list(found.files) == ["out/Makefile", "out/a", "out/b/c"]
    assert [one.path for one in found.notes] == ["out/.envrc", "out/b/.git"]
    assert not found.left


def test_a_pulled_folder_runs_no_program_here(laptop: Laptop) -> None:
    """`git status` in what came runs nothing of the pod's; the stage passes, and what was left out
    is named."""
    laptop.write()
    ran = laptop.folder / "ran"
    (laptop.folder / "job.sh").write_text(
        f"mkdir -p out/sub/.git/objects out/sub/.git/refs out/bare/objects out/bare/refs\n"
        f"printf '[core]\\nfsmonitor = touch {ran};\\n' > out/bare/config\n"
        "cp out/bare/config out/sub/.git/config\n"
        "echo 'ref: refs/heads/x' | tee out/sub/.git/HEAD > out/bare/HEAD\n"
        "touch out/bare/objects/x out/bare/refs/x out/sub/.git/objects/x out/sub/.git/refs/x\n"
        "echo x > out/sub/file; echo x > out/.envrc; echo '{\"ok\": true}' > out/result.json\n"
    )
    told = laptop.podctl("run", "hello", "-y")
    out = laptop.folder / "out"
    for folder in (out / "sub", out, laptop.folder):
        subprocess.run(["git", "status"], cwd=folder, capture_output=True, check=False, timeout=30)

    assert not ran.exists()
    assert sorted(os.listdir(out)) == ["result.json", "sub"]
    assert os.listdir(out / "sub") == ["file"]
    for name in ("out/.envrc", "out/bare", "out/sub/.git"):
        assert f"left out: {name}: " in told.err
    laptop.assert_done()
