"""Which files an upload takes: by git where there is a repository, by globs, and through links."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from controller.errors import NotFound, UsageError
from controller.transfer import git_listing
from controller.transfer.file_selection import Selection, select
from controller.transfer.snapshot import take
from tests.controller.transfer.test_snapshot import lay

BOM = b"\xef\xbb\xbf"


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
        cwd=folder,
        check=True,
        capture_output=True,
        env=os.environ | {"GIT_CONFIG_NOSYSTEM": "1"},
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with nothing in it."""
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


@pytest.fixture(params=["git", "no git"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project in a repository, and one outside of any."""
    folder = tmp_path / "project"
    folder.mkdir()
    if request.param == "git":
        git(folder, "init", "-q")
    return folder


def sent(project: Path, *include: str, inputs: tuple[str, ...] = ()) -> list[str]:
    selection = select(project, inputs, include)
    selection.check()
    return sorted(selection.files)


def why(selection: Selection) -> dict[str, str]:
    return {omitted.path: omitted.why for omitted in selection.left_out.values()}


# -- what git ignores ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", [BOM, b""])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_case_07_an_ignore_file_of_any_editor_holds(either: Path, start: bytes, end: bytes) -> None:
    """Case 07-ignore-bom: a byte order mark and CRLF hide no rule, in .podctlignore neither."""
    rules = start + end.join([b"private_notes.txt", b"*.ckpt", b""])
    lay(either, {"src/.gitignore": rules, "src/private_notes.txt": "", "src/m.ckpt": ""})
    lay(either, {"src/job.py": "", "lib/.podctlignore": rules, "lib/m.ckpt": "", "lib/a": ""})

    assert sent(either, "src", "lib") == [
        "lib/.podctlignore",
        "lib/a",
        "src/.gitignore",
        "src/job.py",
    ]


def test_case_07_the_rules_of_the_whole_repository_hold(project: Path) -> None:
    """Case 07-ignore-parent-repo: a project that is a folder of a monorepo; and git's own lists."""
    inner = project / "exp/a"
    lay(project, {".gitignore": "wandb/\n*.ckpt\n", "exp/.gitignore": "private_notes.txt\n"})
    lay(project, {".git/info/exclude": "*.excluded\n", "personal": "*.mine\n"})
    git(project, "config", "core.excludesFile", str(project / "personal"))
    names = ("job.py", "m.ckpt", "wandb/x", "private_notes.txt", "a.excluded", "a.mine")
    lay(inner, {f"src/{name}": "" for name in names})

    assert sent(inner, "src") == ["src/job.py"]


def test_case_07_what_git_tracks_is_sent_though_a_rule_matches(project: Path) -> None:
    """Case 07-ignore-tracked-ignored: `git add -f` says more than a pattern does."""
    lay(
        project,
        {".gitignore": "data/\n*.json\nvenv/\n", "src/data/loader.py": "", "src/c.json": ""},
    )
    lay(project, {"src/job.py": "", "src/data/big": "", "src/d.json": "", "src/venv/a.py": ""})
    git(project, "add", "-f", "src/data/loader.py", "src/c.json", "src/job.py", "src/venv/a.py")

    assert sent(project, "src") == [
        "src/c.json",
        "src/data/loader.py",
        "src/job.py",
        "src/venv/a.py",
    ]


def test_nested_negations_are_read_as_git_reads_them(either: Path) -> None:
    """A deeper file has the last word; nothing comes back from a folder that is left out."""
    lay(either, {".gitignore": "*.log\n!keep.log\nout/\n!out/back\n", "src/.gitignore": "!a.log\n"})
    lay(either, {"src/a.log": "", "src/b.log": "", "keep.log": "", "out/back": "", "src/x": ""})

    assert sent(either, ".") == [".gitignore", "keep.log", "src/.gitignore", "src/a.log", "src/x"]


def test_a_folder_that_git_ignores_is_sent_when_it_is_named(either: Path) -> None:
    """Data is usually ignored: naming it, by a path or by a glob of an input, is enough."""
    lay(either, {".gitignore": "data/\n*.bin\n", "data/a.jsonl": "", "data/b/c": "", "w/x.bin": ""})
    lay(either, {"w/y.txt": "", ".podctlignore": "c\n"})

    assert sent(either, inputs=("data",)) == ["data/a.jsonl"]
    assert sent(either, "data") == ["data/a.jsonl"]
    assert sent(either, inputs=("data/*.jsonl",)) == ["data/a.jsonl"]
    assert sent(either, inputs=("w/*.bin",)) == ["w/x.bin"]
    assert sent(either, inputs=("w/x.bin",)) == ["w/x.bin"]
    assert sent(either, "w/*", inputs=("w/*",)) == ["w/y.txt"]
    assert sent(either, "w/**") == ["w/y.txt"]


def test_a_glob_over_folders_goes_into_none_that_git_ignores(either: Path) -> None:
    """`**/*.py` of the user's code is not that of an environment."""
    lay(either, {".gitignore": "env/\n", "env/lib/x.py": "", "a/b.py": "", ".venv/y.py": ""})
    lay(either, {"node/.git/HEAD": "", "a/c.py": "", ".podctl/z.py": "", "locks/l.py": ""})

    assert sent(either, inputs=("**/*.py",)) == ["a/b.py", "a/c.py"]
    assert sent(either, "**/*.py") == ["a/b.py", "a/c.py"]


def test_submodules_and_clones_are_asked_themselves(project: Path, tmp_path: Path) -> None:
    """Their own rules hold in them, and no `.git` of theirs travels, be it a folder or a file."""
    other = lay(tmp_path / "other", {"lib.py": "", ".gitignore": "*.tmp\n"})
    git(other, "init", "-q")
    git(other, "add", ".")
    git(other, "commit", "-qm", "one")
    git(
        project, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other), "src/sub"
    )
    git(project, "clone", "-q", str(other), "src/clone")
    lay(project, {"src/sub/new.py": "", "src/sub/x.tmp": "", "src/clone/y.tmp": ""})

    assert (project / "src/sub/.git").is_file()
    assert sent(project, "src") == [
        *("src/clone/.gitignore", "src/clone/lib.py"),
        *("src/sub/.gitignore", "src/sub/lib.py", "src/sub/new.py"),
    ]
    assert sent(project, "src/sub/new.py", "src/clone") == [
        *("src/clone/.gitignore", "src/clone/lib.py", "src/sub/new.py"),
    ]
    with pytest.raises(UsageError, match="never sent"):
        sent(project, "src/sub/.git")


def test_a_worktree_is_a_repository_too(project: Path, tmp_path: Path) -> None:
    """Its `.git` is a file, which stays here, and the repository's rules hold."""
    lay(project, {".gitignore": "*.tmp\n", "a.py": ""})
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    git(project, "worktree", "add", "-q", str(tmp_path / "tree"))
    lay(tmp_path / "tree", {"x.tmp": ""})

    assert sent(tmp_path / "tree", ".") == [".gitignore", "a.py"]


def test_a_repository_that_ignores_the_whole_project_does_not_hold_it(project: Path) -> None:
    """A home folder under version control, with everything in it ignored, hides no project."""
    lay(project, {".gitignore": "*\n", "work/p/src/a.py": "", "work/p/.gitignore": "*.tmp\n"})
    lay(project, {"work/p/src/b.tmp": ""})

    assert sent(project / "work/p", "src") == ["src/a.py"]


def test_without_git_its_rules_are_read_up_to_the_repository(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No git here: the parents' .gitignore and the repository's own list hold, and it is said."""
    lay(project, {".gitignore": "*.ckpt\n/exp/a/src/b\n", ".git/info/exclude": "*.mine\n"})
    lay(project / "exp/a/src", {"x.py": "", "x.ckpt": "", "b": "", "z.mine": ""})
    monkeypatch.setenv("PATH", str(tmp_path))
    selection = select(project / "exp/a", (), ("src",))

    assert sorted(selection.files) == ["src/x.py"]
    assert "git is not installed" in selection.notice


def test_a_broken_repository_is_told(project: Path) -> None:
    """Its damaged index stands in the way of nothing: the .gitignore files are read."""
    lay(project, {".gitignore": "*.ckpt\n", "a": "", "b.ckpt": "", ".git/index": "rubbish"})
    selection = select(project, (), (".",))

    assert sorted(selection.files) == [".gitignore", "a"]
    assert "index" in selection.notice


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
def test_a_repository_of_another_user_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git does not trust it; its .gitignore files hold all the same."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    lay(project, {".gitignore": "*.ckpt\n", "a": "", "b.ckpt": ""})
    os.chown(project, 4242, 4242)
    os.chown(project / ".git", 4242, 4242)
    selection = select(project, (), (".",))

    assert sorted(selection.files) == [".gitignore", "a"]
    assert "dubious ownership" in selection.notice


def test_a_bare_repository_holds_no_project(tmp_path: Path) -> None:
    """Git has no say in a folder that is no working tree of its own."""
    git(tmp_path, "init", "-q", "--bare", "p/.git")
    lay(tmp_path / "p", {".gitignore": "b\n", "a": "", "b": ""})

    assert sent(tmp_path / "p", ".") == [".gitignore", "a"]


def test_a_repository_starts_no_program_here(project: Path, tmp_path: Path) -> None:
    """Settings of a cloned project that name commands are not followed."""
    proof = tmp_path / "proof"
    script = lay(tmp_path, {"run.sh": f"#!/bin/sh\necho $0 >> {proof}\n"}) / "run.sh"
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "core.sshCommand", "core.editor", "core.askPass"):
        git(project, "config", key, str(script))
    git(project, "config", "core.hooksPath", str(tmp_path))
    lay(project, {"a": ""})

    assert sent(project, ".") == ["a"]
    assert not proof.exists()


def test_a_callers_repository_is_not_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Called from a git hook, whose environment names another repository."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    lay(project, {".gitignore": "b\n", "a": "", "b": ""})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))

    assert sent(project, ".") == [".gitignore", "a"]


@pytest.mark.parametrize("name", [".gitignore", ".podctlignore"])
@pytest.mark.parametrize("text", ["*.ckpt\n".encode("utf-16"), b"*.ckpt\0\n"])
def test_an_ignore_file_that_git_takes_for_nothing_is_refused(
    project: Path, name: str, text: bytes
) -> None:
    """As PowerShell writes them: what one meant to keep here would be sent."""
    lay(project, {f"src/{name}": text, "src/a.ckpt": ""})
    if name == ".podctlignore" and text.startswith(b"\xff\xfe"):
        assert sent(project, "src") == ["src/.podctlignore"]  # podctl reads it
        return

    with pytest.raises(UsageError, match="cannot be read"):
        sent(project, "src")


def test_an_ignore_file_of_another_encoding_stops_the_upload(tmp_path: Path) -> None:
    """Outside of git: UTF-16 is read, and what is no text at all is named with its line."""
    lay(tmp_path, {".gitignore": "*.ckpt\r\n".encode("utf-16"), "a.ckpt": "", "b": ""})
    assert sent(tmp_path, ".") == [".gitignore", "b"]

    lay(tmp_path, {".gitignore": b"ok\n\xe9t\xe9\n"})
    with pytest.raises(UsageError, match="cannot be read") as refused:
        sent(tmp_path, ".")
    assert "line 2" in refused.value.cause


def test_git_has_a_deadline(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A git that hangs holds nothing up for ever."""
    slow = lay(tmp_path / "bin", {"git": "#!/bin/sh\nexec sleep 60\n"}) / "git"
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_listing, "SECONDS", 0.2)
    lay(project, {"a": "", ".gitignore": "b\n", "b": ""})
    selection = select(project, (), (".",))

    assert sorted(selection.files) == [".gitignore", "a"]
    assert "did not respond" in selection.notice


def test_names_that_are_no_text_are_listed_as_they_are(project: Path) -> None:
    """Bytes of another encoding, a newline and a quote."""
    names = [b"caf\xe9", b"a\nb", b'q"\\', "\u00fc".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(project) + b"/" + name)).write_text("")

    assert sorted(os.fsencode(name) for name in sent(project, ".")) == sorted(names)


def test_a_project_of_podctls_own_is_sent_whole(project: Path) -> None:
    """A rehearsal's copy lies in a folder that git ignores, and may have what git ignores."""
    scratch = project / ".podctl/rehearsal/project"
    lay(scratch, {".gitignore": "data/\n*.json\n", "src/data/loader.py": "", "src/c.json": ""})

    assert sent(scratch, "src") == ["src/c.json", "src/data/loader.py"]


# -- globs and exclusions -------------------------------------------------------------------------


def test_inputs_may_be_globs_and_exclude(either: Path) -> None:
    """Each list is read in its order, and no list takes from the other."""
    lay(either, {"data/a.jsonl": "", "data/b.jsonl": "", "data/x/c.jsonl": "", "data/x/d.txt": ""})

    assert sent(either, inputs=("data/*.jsonl", "!data/b.jsonl")) == ["data/a.jsonl"]
    assert sent(either, inputs=("data", "!*.jsonl", "data/b.jsonl")) == [
        "data/b.jsonl",
        "data/x/d.txt",
    ]
    assert sent(either, inputs=("data/**/*.jsonl", "!data/x")) == ["data/a.jsonl", "data/b.jsonl"]
    assert sent(either, "data", "!data", "data/a.jsonl", inputs=("data/b.jsonl",)) == [
        *("data/a.jsonl", "data/b.jsonl"),
    ]
    assert sent(either, inputs=("data/[ab].jsonl",)) == ["data/a.jsonl", "data/b.jsonl"]


@pytest.mark.parametrize("include", ["./src/", "src//", "src/.", ".//src", "src/**"])
def test_a_folder_has_many_spellings(either: Path, include: str) -> None:
    """`./src/` is `src`."""
    lay(either, {"src/a": "", "b": ""})

    assert sent(either, include) == ["src/a"]


def test_a_name_with_wildcards_in_it_is_a_name(either: Path) -> None:
    """A file that is called `[x]*.txt` is found by that."""
    lay(either, {"[x]*.txt": "", "x.txt": ""})

    assert sent(either, inputs=("[x]*.txt",)) == ["[x]*.txt"]


@pytest.mark.parametrize("declared", ["none/*.jsonl", "data/*.csv", "empty", "hidden"])
def test_what_nothing_is_at_is_an_error(either: Path, declared: str) -> None:
    """A glob without a match, an empty folder, and one of which nothing would be sent."""
    lay(either, {"data/a.jsonl": "", "hidden/a.tmp": "", ".podctlignore": "*.tmp\n"})
    (either / "empty").mkdir()

    for inputs, include in (((declared,), ()), ((), (declared,))):
        with pytest.raises(NotFound, match=declared.replace("*", r"\*")):
            select(either, inputs, include).check()


def test_case_19_everything_is_without_podctls_own(either: Path) -> None:
    """Case 19: what every run changes is not sent; a job that wants it names it."""
    lay(either, {"podctl.toml": "", "STATUS.md": "", "locks/a.json": "", ".podctl/state.db": ""})
    lay(either, {"src/job.py": "", "locks.py": ""})

    assert sent(either, ".") == ["locks.py", "src/job.py"]
    assert sent(either, "**") == ["locks.py", "src/job.py"]
    assert sent(either, inputs=("podctl.toml",)) == ["podctl.toml"]
    with pytest.raises(UsageError, match="never sent"):
        sent(either, inputs=(".podctl/state.db",))


def test_case_16b_a_long_path_is_selected(either: Path) -> None:
    """Case 16b: what the file system holds is listed whole, deep and long names too."""
    deep = "/".join(["d" * 50] * 8 + ["n" * 250])
    lay(either, {f"src/{deep}": "x"})

    assert sent(either, "src") == [f"src/{deep}"]


# -- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (".", "part of a loop"),
        ("..", "part of a loop"),
        ("link", "part of a loop"),
        ("gone", "to nothing"),
        ("../gone/x", "to nothing"),
        ("../.podctl", "of podctl or git"),
        ("../.podctl/key", "of podctl or git"),
    ],
)
def test_case_35_a_link_that_leads_nowhere_stays_here_and_is_told(
    either: Path, target: str, reason: str
) -> None:
    """Case 35: a link to its own folder, round in a circle or to nothing ends no run."""
    lay(either, {"src/a": "", ".podctl/key": ""})
    (either / "src/link").symlink_to(target)
    selection = select(either, (), ("src",))
    selection.check()

    assert sorted(selection.files) == ["src/a"]
    assert reason in why(selection)["src/link"]


def test_case_35_a_named_link_that_leads_nowhere_is_refused(either: Path) -> None:
    """Case 35: an input of which nothing can be sent is an error before anything is rented."""
    lay(either, {"src/a": ""})
    for name, target in {"loop": "loop", "gone": "nowhere", "data": "../src"}.items():
        (either / name).symlink_to(target)

    with pytest.raises(UsageError, match="part of a loop"):
        sent(either, inputs=("loop",))
    with pytest.raises(NotFound, match="link to nothing"):
        sent(either, inputs=("gone",))
    with pytest.raises(UsageError, match="leads out"):
        sent(either, inputs=("data",))


def test_a_link_to_a_folder_of_the_project_is_sent_as_what_is_there(either: Path) -> None:
    """As a copy under the link's own path, links in it followed, no circle walked twice."""
    lay(either, {"src/a": "", "lib/x/b": "", "lib/c": "", "lib/d.tmp": "", ".gitignore": "*.tmp\n"})
    (either / "src/lib").symlink_to("../lib")
    (either / "lib/back").symlink_to("../src")
    (either / "named").symlink_to("lib/x")
    selection = select(either, ("named",), ("src",))
    selection.check()

    assert sorted(selection.files) == [
        *("named/b", "src/a", "src/lib/back/a", "src/lib/c", "src/lib/x/b"),
    ]
    assert "part of a loop" in why(selection)["src/lib/back/lib"]


def test_links_out_of_the_project_are_refused_unless_excluded(either: Path, tmp_path: Path) -> None:
    """Whatever is behind them, there or not; leaving them out is one word."""
    lay(either, {"src/a": ""})
    (either / "src/dataset").symlink_to("/data/somewhere/dataset")
    (either / "src/up").symlink_to(lay(tmp_path / "outside", {"x": ""}))

    with pytest.raises(UsageError, match=r"src/dataset is a link that leads out"):
        take(either, (), ("src",))
    assert sent(either, "src", "!src/dataset", "!src/up") == ["src/a"]
    lay(either, {".podctlignore": "dataset\nup\n"})
    assert sent(either, "src", inputs=("src",)) == ["src/a"]


def test_links_that_multiply_end(tmp_path: Path) -> None:
    """Folders that all link to each other are no endless walk."""
    for number in range(9):
        lay(tmp_path, {f"d/{number}/f": ""})
        for other in range(9):
            (tmp_path / f"d/{number}/l{other}").symlink_to(f"../{other}")

    with pytest.raises(UsageError, match="links to folders"):
        sent(tmp_path, "d")


def test_pipes_and_sockets_stay_here(either: Path) -> None:
    """What is no file of a folder is left out; what is named must be one."""
    lay(either, {"src/a": ""})
    os.mkfifo(either / "src/pipe")

    assert sent(either, "src") == ["src/a"]
    with pytest.raises(UsageError, match="neither a file"):
        sent(either, inputs=("src/pipe",))
