"""Which manifests may be received, and that nothing that may leaves its folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ArtifactsNotSafe
from controller.names import Caps, UnsafeManifest, check_files, wrong_path
from controller.receive import Inbox
from remote.contract import FileEntry

HASH = "0" * 64

REFUSED = [
    "",
    ".",
    "..",
    "../x",
    "a/../x",
    "a/..",
    "./a",
    "/etc/passwd",
    "a//b",
    "a/",
    "//a",
    "a\\..\\b",
    "esc\x1b[31m",
    "nul\0byte",
    "line\nbreak",
    "tab\there",
    "del\x7f",
    "c1\x9b",
    "bidi\u202egnp.exe",
    "mark\u200fx",
    "zero\u200bwidth",
    "separator\u2028x",
    "lone\ud800",
    "CON",
    "con.txt",
    "a/NUL.tar.gz",
    "COM1",
    "lpt9.log",
    "aux ",
    "-rf",
    "a/-rf",
    "ends.",
    "ends ",
    " begins",
    "a" * 256,
    "é" * 128,
    "/".join(["a" * 200] * 6),
    "/".join(["a"] * 40),
    ".partial/x",
    ".PARTIAL/x",
    ".partial",
]

ACCEPTED = [
    "a",
    "checkpoints/stage1_sft/checkpoint-100/adapter_model.safetensors",
    ".hidden",
    "..a",
    "a..b",
    "a b/ü→漢字.json",
    "console",
    "com10.txt",
    "x/.partial",
    "a" * 255,
    "10:30.log",
]


@pytest.mark.parametrize("path", REFUSED)
def test_row_70_names_that_are_refused(path: str) -> None:
    """Names that leave, hide, confuse or cannot exist everywhere are refused."""
    with pytest.raises(UnsafeManifest) as refused:
        check_files([FileEntry(path, 1, HASH)])

    assert str(refused.value.where).isascii()
    assert str(refused.value.where).isprintable()


@pytest.mark.parametrize("path", ACCEPTED)
def test_names_that_are_accepted(path: str) -> None:
    """Ordinary names of jobs pass."""
    check_files([FileEntry(path, 1, HASH)])


@pytest.mark.parametrize(
    "paths",
    [
        ("a", "a"),
        ("README", "readme"),
        ("a", "a/b"),
        ("a/b", "a"),
        ("a/b/c", "a/b"),
        ("A/x", "a/y"),
        ("A", "a/y"),
        ("straße", "STRASSE"),
        ("\u00e9", "e\u0301"),
    ],
)
def test_row_70_two_names_for_one_place_are_refused(paths: tuple[str, str]) -> None:
    """No two entries may be the same file on some file system, or file and folder at once."""
    with pytest.raises(UnsafeManifest, match="two files"):
        check_files([FileEntry(one, 1, HASH) for one in paths])


@pytest.mark.parametrize(
    "entry",
    [
        FileEntry("a", -1, HASH),
        FileEntry("a", 10**15, HASH),
        FileEntry("a", 1, "0" * 63),
        FileEntry("a", 1, "Z" * 64),
        FileEntry("a", 1, "A" * 64),
    ],
)
def test_row_72_impossible_facts_are_refused(entry: FileEntry) -> None:
    """Sizes and hashes that no file has are refused."""
    with pytest.raises(UnsafeManifest):
        check_files([entry])


def test_row_73_caps_hold() -> None:
    """Too many files or bytes in all are refused before anything else."""
    files = [FileEntry(f"f{i}", 10, HASH) for i in range(5)]

    with pytest.raises(UnsafeManifest, match="5 files"):
        check_files(files, Caps(files=4))
    with pytest.raises(UnsafeManifest, match="50 bytes"):
        check_files(files, Caps(total_bytes=49))


@given(st.text(max_size=40))
def test_row_70_what_passes_stays_inside(path: str) -> None:
    """Any text that passes is a relative path whose every part is a plain name."""
    if wrong_path(path) is not None:
        return

    parts = PurePosixPath(path).parts
    assert "/".join(parts) == path
    assert not {"..", ".", "/"} & set(parts)
    assert path.isprintable() or " " in path or not path.isascii()
    assert os.path.normpath(os.path.join("/inbox", path)).startswith("/inbox/")


@given(st.lists(st.text("ab/A.-", min_size=1, max_size=5), max_size=6))
def test_row_70_what_passes_together_can_exist_together(paths: list[str]) -> None:
    """A list that passes has no file that is a folder too, and no two spellings of one name."""
    try:
        check_files([FileEntry(one, 0, HASH) for one in paths])
    except UnsafeManifest:
        return

    places: dict[str, str] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            assert places.setdefault(folder.lower(), f"{folder}/") == f"{folder}/"
        assert path.lower() not in places
        places[path.lower()] = path


def entry_of(path: str) -> FileEntry:
    return FileEntry(path, 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


@pytest.mark.parametrize("linked", ["folder", "file", "staging"])
def test_row_71_links_in_the_way_are_not_followed(tmp_path: Path, linked: str) -> None:
    """A link that appears in the folder never takes a write anywhere else."""
    (outside := tmp_path / "outside").mkdir()
    (outside / "x").write_text("precious")
    (into := tmp_path / "into").mkdir()
    entry = entry_of("folder/x")
    if linked == "folder":
        (into / "folder").symlink_to(outside)
    elif linked == "file":
        (into / "folder").mkdir()
        (into / "folder/x").symlink_to(outside / "x")
    else:
        (into / ".partial").symlink_to(outside)

    try:
        with Inbox(into) as inbox:
            assert not inbox.has(entry)
            fd = inbox.stage(entry)
            inbox.install(entry, fd)
            os.close(fd)
            inbox.settle()
    except (ArtifactsNotSafe, OSError):
        assert linked != "file"

    assert [one.name for one in outside.iterdir()] == ["x"]
    assert (outside / "x").read_text() == "precious"


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    """Where a folder stands, a file is refused with the way out; the folder stays."""
    (tmp_path / "into/a").mkdir(parents=True)
    entry = entry_of("a")

    with Inbox(tmp_path / "into") as inbox:
        fd = inbox.stage(entry)
        with pytest.raises(ArtifactsNotSafe, match="in the way"):
            inbox.install(entry, fd)
        os.close(fd)

    assert (tmp_path / "into/a").is_dir()


def test_the_staging_folder_is_private(tmp_path: Path) -> None:
    """Nobody else on this machine reads what is arriving."""
    with Inbox(tmp_path / "into") as inbox:
        fd = inbox.stage(entry_of("a"))
        mode = os.fstat(fd).st_mode & 0o777
        os.close(fd)

    assert mode == 0o600
    assert (tmp_path / "into/.partial").stat().st_mode & 0o777 == 0o700
