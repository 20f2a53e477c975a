"""What travels to a pod, and what stays at home."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from controller.errors import NotFound, UsageError
from controller.transfer.snapshot import Caps, LikelySecret, take


def lay(project: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return project


def paths(project: Path, *inputs: str, allow: tuple[str, ...] = ()) -> list[str]:
    return [file.path for file in take(project, inputs, allow=allow).files]


def test_files_come_with_size_hash_and_mode(tmp_path: Path) -> None:
    """A snapshot says of each file what the pod will check."""
    lay(tmp_path, {"code/run.sh": "echo\n", "data.jsonl": "{}\n"})
    (tmp_path / "code/run.sh").chmod(0o750)

    script, data = take(tmp_path, ["code", "data.jsonl"]).files

    assert (script.path, script.mode) == ("code/run.sh", 0o755)
    assert (data.path, data.size, data.mode) == ("data.jsonl", 3, 0o644)
    assert data.sha256 == hashlib.sha256(b"{}\n").hexdigest()


def test_the_tree_digest_is_of_the_content(tmp_path: Path) -> None:
    """The same content has the same digest; a changed byte, name or mode has another."""
    lay(tmp_path / "a", {"x": "1", "y": "2"})
    lay(tmp_path / "b", {"y": "2", "x": "1"})
    first = take(tmp_path / "a", ["."])

    assert take(tmp_path / "b", ["."]).tree == first.tree

    (tmp_path / "b/x").chmod(0o755)
    moded = take(tmp_path / "b", ["."]).tree
    lay(tmp_path / "b", {"x": "3"})

    assert len({first.tree, moded, take(tmp_path / "b", ["."]).tree}) == 3


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    """The message says which input is missing."""
    lay(tmp_path, {"a": ""})

    with pytest.raises(NotFound, match="data/stage1"):
        take(tmp_path, ["a", "data/stage1/x.jsonl"])
    with pytest.raises(NotFound, match="nothing"):
        take(tmp_path, ["nothing/*.json"])


def test_ignore_files_hold_below_folders(tmp_path: Path) -> None:
    """.gitignore, .podctlignore and nested ones keep files at home, negation included."""
    lay(
        tmp_path,
        {
            ".gitignore": "*.log\n/build/\n!keep.log\n",
            ".podctlignore": "notes/\n",
            "src/.gitignore": "*.tmp\n!good.tmp\n",
            "src/main.py": "",
            "src/a.tmp": "",
            "src/good.tmp": "",
            "src/a.log": "",
            "keep.log": "",
            "build/out": "",
            "src/build/out": "",
            "notes/n.md": "",
            "src/__pycache__/main.pyc": "",
            ".git/config": "",
            ".podctl/state.db": "",
        },
    )

    assert paths(tmp_path, ".") == [
        ".gitignore",
        ".podctlignore",
        "keep.log",
        "src/.gitignore",
        "src/build/out",
        "src/good.tmp",
        "src/main.py",
    ]


def test_a_declared_input_travels_although_git_ignores_it(tmp_path: Path) -> None:
    """Data is usually hidden from git; naming it is enough, and .podctlignore still holds."""
    lay(
        tmp_path,
        {
            ".gitignore": "data/\n*.jsonl\n",
            ".podctlignore": "*.bak\n",
            "data/stage1/a.jsonl": "{}",
            "data/stage1/a.bak": "",
        },
    )

    assert paths(tmp_path, "data/stage1") == ["data/stage1/a.jsonl"]
    assert paths(tmp_path, "data/stage1/a.jsonl") == ["data/stage1/a.jsonl"]
    assert paths(tmp_path, "data/*/*.jsonl") == ["data/stage1/a.jsonl"]


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.local", "x/.env", ".netrc", "credentials", "credentials.json"),
        *("server.pem", "id_rsa", "id_ed25519", "api.key", "Tls.KEY"),
    ],
)
def test_secret_names_are_refused(tmp_path: Path, name: str) -> None:
    """A file that is named like a secret ends the upload before it begins, unless allowed."""
    lay(tmp_path, {name: "x", "main.py": ""})

    with pytest.raises(LikelySecret) as refused:
        take(tmp_path, ["."])

    assert name in refused.value.where
    assert name in paths(tmp_path, ".", allow=(name,))


@pytest.mark.parametrize(
    "text",
    [
        "key = 'rpa_" + "A1" * 20 + "'",
        "HF=hf_" + "aB" * 17,
        "sk-" + "x" * 40,
        "-----BEGIN OPENSSH PRIVATE KEY-----\nabc",
    ],
)
def test_secret_text_is_refused(tmp_path: Path, text: str) -> None:
    """A token in a small text is found; the message does not repeat it."""
    lay(tmp_path, {"settings.py": text})

    with pytest.raises(LikelySecret) as refused:
        take(tmp_path, ["settings.py"])

    assert text not in str(refused.value.as_dict())
    assert paths(tmp_path, ".", allow=("settings.*",)) == ["settings.py"]


def test_ordinary_words_are_no_secret(tmp_path: Path) -> None:
    """Words that only begin like a token are no reason to refuse."""
    lay(tmp_path, {"a.py": "task-forced hf_hub_download disk-usage rpa_", ".env.example": "X="})

    assert paths(tmp_path, ".") == [".env.example", "a.py"]


def test_links_inside_are_files_and_links_outside_are_refused(tmp_path: Path) -> None:
    """A link inside the project travels as its content; one that leads out is an error."""
    outside = lay(tmp_path / "outside", {"x": "secret"})
    project = lay(tmp_path / "project", {"real": "r"})
    (project / "alias").symlink_to("real")
    assert paths(project, ".") == ["alias", "real"]

    (project / "leak").symlink_to(outside / "x")
    with pytest.raises(UsageError, match="leak"):
        take(project, ["."])
    with pytest.raises(UsageError, match="leak"):
        take(project, ["leak"])
    (project / "leak").unlink()
    (project / "folder").symlink_to(outside)
    with pytest.raises(UsageError, match="folder"):
        take(project, ["."])
    with pytest.raises(UsageError, match="folder"):
        take(project, ["folder"])
    with pytest.raises(UsageError, match="folder"):
        take(project, ["folder/x"])


@pytest.mark.parametrize("declared", ["/etc/passwd", "../x", "a/../../x"])
def test_inputs_stay_inside(tmp_path: Path, declared: str) -> None:
    """An input outside the project is no input."""
    with pytest.raises(UsageError):
        take(tmp_path, [declared])


def test_caps_are_kept(tmp_path: Path) -> None:
    """Too many files or bytes are refused with a way out."""
    lay(tmp_path, {f"f{i}": "xx" for i in range(4)})

    with pytest.raises(UsageError, match="3 files"):
        take(tmp_path, ["."], caps=Caps(files=3))
    with pytest.raises(UsageError, match="8 bytes"):
        take(tmp_path, ["."], caps=Caps(total_bytes=7))
