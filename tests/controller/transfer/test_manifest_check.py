"""Which manifests may be received, and that nothing that may leaves its folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import ArtifactsNotSafe
from controller.transfer.manifest_check import Caps, UnsafeManifest, check_files
from controller.transfer.staging_area import StagingArea
from remote.contract import FileEntry, Manifest
from remote.names import raw, text, wrong

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
    "nul\0byte",
    "lone\ud800",
    "two spellings \udcc3\udca9",
    "/".join(["a" * 200] * 21),
]

ACCEPTED = [
    "a",
    "checkpoints/stage1_sft/checkpoint-100/adapter_model.safetensors",
    ".hidden",
    "..a",
    "a..b",
    "a b/ü→漢字.json",
    "a\\..\\b",
    "esc\x1b[31m",
    "line\nbreak",
    "bidi\u202egnp.exe",
    "caf\udce9",
    "CON",
    "aux.json",
    "-rf",
    "a/-lr=2e-4",
    "ends.",
    "ends ",
    " begins",
    "x/.partial",
    ".partial/x",
    "a" * 255,
    "10:30.log",
    "/".join(["a"] * 2000),
]


def manifest_of(*files: FileEntry, **here: str) -> Manifest:
    return Manifest("r", 1, True, files, here=here)


@pytest.mark.parametrize("path", REFUSED)
def test_row_70_names_that_are_refused(path: str) -> None:
    """Names that leave the folder, or that no file can have, are refused; so is such a place."""
    with pytest.raises(UnsafeManifest) as refused:
        check_files(manifest_of(FileEntry(path, 1, HASH)))
    with pytest.raises(UnsafeManifest):
        check_files(manifest_of(FileEntry("a", 1, HASH), a=path))

    str(refused.value.where).encode()
    assert "\0" not in str(refused.value.where)


@pytest.mark.parametrize("path", ACCEPTED)
def test_names_that_are_accepted(path: str) -> None:
    """Every name that POSIX allows passes."""
    check_files(manifest_of(FileEntry(path, 1, HASH)))


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a/b/c", "a/b")])
def test_row_70_one_place_twice_is_refused(paths: tuple[str, str]) -> None:
    """No two entries may be the same file, or file and folder at once."""
    with pytest.raises(UnsafeManifest, match="twice"):
        check_files(manifest_of(*(FileEntry(path, 1, HASH) for path in paths)))


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
        check_files(manifest_of(entry))


def test_row_73_caps_hold() -> None:
    """Too many files or bytes in all are refused before anything else."""
    files = [FileEntry(f"f{i}", 10, HASH) for i in range(5)]

    with pytest.raises(UnsafeManifest, match="5 files"):
        check_files(manifest_of(*files), Caps(files=4))
    with pytest.raises(UnsafeManifest, match="50 bytes"):
        check_files(manifest_of(*files), Caps(total_bytes=49))


@given(st.text(st.characters(exclude_categories=()), max_size=40))
def test_row_70_what_passes_stays_inside(path: str) -> None:
    """Any text that passes is a relative path whose every part is a plain name of a file."""
    if wrong(path) is not None:
        return

    parts = PurePosixPath(path).parts
    assert "/".join(parts) == path
    assert not {"..", ".", "/"} & set(parts)
    assert text(raw(path)) == path
    assert os.path.normpath(os.path.join("/inbox", path)).startswith("/inbox/")


@given(st.lists(st.text("ab/.-", min_size=1, max_size=5), max_size=6))
def test_row_70_what_passes_together_can_exist_together(paths: list[str]) -> None:
    """A list that passes has no file that is a folder too, and none twice."""
    try:
        check_files(manifest_of(*(FileEntry(path, 0, HASH) for path in paths)))
    except UnsafeManifest:
        return

    folders = {path[:at] for path in paths for at, character in enumerate(path) if character == "/"}
    assert len(set(paths)) == len(paths)
    assert not folders & set(paths)


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
        with StagingArea(into) as staging:
            assert not staging.has(entry)
            fd = staging.stage(entry)
            staging.install(entry, fd)
            os.close(fd)
            staging.settle()
    except (ArtifactsNotSafe, OSError):
        assert linked != "file"

    assert [path.name for path in outside.iterdir()] == ["x"]
    assert (outside / "x").read_text() == "precious"


@pytest.mark.parametrize("was", ["a/old", "a"])
def test_what_an_earlier_manifest_left_in_the_way_moves_aside(tmp_path: Path, was: str) -> None:
    """Where a folder stood a file can come, and the other way round; what stood there is kept."""
    into = tmp_path / "into"
    (into / was).parent.mkdir(parents=True)
    (into / was).write_text("earlier")
    entry = entry_of("a" if was == "a/old" else "a/new")

    with StagingArea(into) as staging:
        fd = staging.stage(entry)
        assert staging.try_install(entry, fd)
        os.close(fd)

    assert (into / entry.path).read_bytes() == b""
    assert [path.read_text() for path in into.rglob("earlier/**/*") if path.is_file()] == [
        "earlier"
    ]


def test_the_staging_folder_is_private(tmp_path: Path) -> None:
    """Nobody else on this machine reads what is arriving."""
    with StagingArea(tmp_path / "into") as staging:
        fd = staging.stage(entry_of("a"))
        mode = os.fstat(fd).st_mode & 0o777
        os.close(fd)

    assert mode == 0o600
    assert (tmp_path / "into/.partial").stat().st_mode & 0o777 == 0o700
