"""The rule for names, their one encoding, and the names that files get here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.locks.certificate import Artifact, canonical
from controller.transfer.local_names import FileSystem, common_file_system, local_names, probe
from remote import contract
from remote.contract import FileEntry, Left, Manifest
from remote.names import decode, encode, raw, text, wrong
from tests.support.byte_trees import PATHS

NARROW = FileSystem(200, 100, folds_case=True, normalises=True, utf8_only=True, plain_only=True)


@given(st.binary(max_size=60))
def test_every_name_has_one_text_and_one_encoding(name: bytes) -> None:
    """Bytes to text to document and back: nothing is lost, and the document is plain Unicode on
    one line."""
    shown = encode(text(name))

    assert raw(text(name)) == name
    assert decode(shown) == text(name)
    assert shown.encode().decode() == shown
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"model-00001-of-00002.safetensors", "model-00001-of-00002.safetensors"),
        ("ü→漢字 (1).json".encode(), "ü→漢字 (1).json"),
        (b"caf\xe9", r"caf\xe9"),
        (b"a\\b", r"a\\b"),
        (b"a\nb", r"a\u000ab"),
        ("a\u202eb".encode(), r"a\u202eb"),
        (b"a\\xe9", r"a\\xe9"),
    ],
)
def test_the_encoding_is_this(name: bytes, shown: str) -> None:
    """What documents hold is fixed: locks are compared byte for byte."""
    assert encode(text(name)) == shown


def test_what_no_escape_is_stays() -> None:
    """A path of before there was an encoding is read as it was."""
    assert decode("a\\b\\q\\x41") == "a\\b\\q\\x41"


@given(st.lists(PATHS, max_size=4))
def test_documents_hold_every_name(paths: list[bytes]) -> None:
    """A manifest and a certificate's artifact give back the names that were put in."""
    files = tuple(FileEntry(text(path), 1, "0" * 64) for path in paths)
    left = tuple(Left(text(path), "why") for path in paths)
    manifest = Manifest("r", 1, True, files, left, here={one.path: "x" for one in files})
    artifacts = [Artifact.of(one.path, 1, "0" * 64, written_as="é\udcff") for one in files]
    documents = [one.model_dump(mode="json") for one in artifacts]

    assert contract.load(Manifest, contract.dump(manifest)) == manifest
    assert [Artifact.model_validate(json.loads(canonical(one))) for one in documents] == artifacts
    assert [one.path for one in artifacts] == [one.path for one in files]


def test_an_artifact_of_before_is_the_same_document() -> None:
    """The field for another name is not there where there is none: old locks keep their sha256."""
    document = {"path": "out/a", "size": 1, "sha256": "0" * 64}

    assert Artifact.model_validate(document).model_dump(mode="json") == document


@given(st.lists(PATHS, max_size=12, unique=True))
def test_no_two_files_get_one_place(paths: list[bytes]) -> None:
    """Where little can be held, each file has a place of its own that can be; where everything
    can, its own name."""
    named = [text(path) for path in paths]
    here = local_names(named, NARROW)
    places = [here.get(path, path) for path in named]

    assert len({NARROW.folded(place) for place in places}) == len(set(named))
    for place in places:
        assert wrong(place) is None
        assert all(NARROW.holds(part) for part in place.split("/"))
        assert len(raw(place)) <= NARROW.longest
        assert place.split("/")[0].casefold() != ".partial"
    assert all(
        path.startswith(".partial") for path in local_names(named, FileSystem(longest=10**6))
    )


@pytest.mark.parametrize(
    ("ground", "paths", "here"),
    [
        (FileSystem(folds_case=True), ["out/Sample.txt", "out/sample.txt"], ["out/sample~0fb6"]),
        (FileSystem(folds_case=True), ["A/x", "a/y"], ["a~ca97"]),
        (FileSystem(normalises=True), ["e\u0301", "\u00e9"], ["_~4a99"]),
        (FileSystem(utf8_only=True), ["out/caf\udce9.txt", "b"], ["out/caf_~c9ca"]),
        (FileSystem(plain_only=True), ["aux.json", "a?", "ok"], ["aux~d1eb", "a_~"]),
        (FileSystem(part=143), ["n" * 144 + ".bin", "n" * 143], ["n" * 60 + "~"]),
        (FileSystem(longest=99), ["out/" + "d" * 50 + "/" + "e" * 50 + "/f.bin"], ["out_"]),
        (FileSystem(), ["/".join(["a"] * 201), "/".join(["a"] * 200)], ["a/a/"]),
        (FileSystem(), [".partial/x", "x/.partial"], ["partial~"]),
    ],
)
def test_what_cannot_be_held_gets_an_escaped_name(
    ground: FileSystem, paths: list[str], here: list[str]
) -> None:
    """Of two that are one here the later gets it; the rest keep their names."""
    found = sorted(local_names(paths, ground).values())

    assert len(found) == len(here)
    for place, start in zip(found, sorted(here), strict=True):
        assert place.startswith(start.split("~")[0])
        assert "~" in place


def test_this_file_system_is_asked(tmp_path: Path) -> None:
    """What the probe says is what happens, and it leaves nothing behind."""
    ground = probe(tmp_path, tmp_path.stat().st_dev)
    (tmp_path / "case").touch()
    try:
        (tmp_path / "\udcff").touch()
        bytes_too = True
    except OSError:
        bytes_too = False

    assert ground.folds_case is (tmp_path / "CASE").exists()
    assert ground.utf8_only is not bytes_too
    assert ground.part == os.pathconf(tmp_path, "PC_NAME_MAX")
    assert not [one for one in tmp_path.iterdir() if one.name.startswith(".podctl")]
    assert common_file_system([tmp_path / "not" / "there"]).longest < ground.longest
