"""Files from a pod open, or it is said why not; whatever they hold, nothing raises."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.opening import opens

HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]},
    "b": {"dtype": "F32", "shape": [], "data_offsets": [12, 16]},
}


def safetensors(header: object, data: int = 16) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def changed(**tensor: object) -> dict[str, object]:
    return {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]} | tensor}


def test_whole_files_open(tmp_path: Path) -> None:
    """Safetensors, JSON, JSONL and other files that are what they should be open."""
    files = [
        write(tmp_path, "a.safetensors", safetensors(HEADER)),
        write(tmp_path, "a.json", b'{"a": [1, 2.5, null]}'),
        write(tmp_path, "a.jsonl", b'{"a": 1}\n\n{"a": 2}'),
        write(tmp_path, "a.bin", b"\x80\x04"),
    ]

    assert [opens(path) for path in files] == [None] * 4


def test_every_cut_of_a_safetensors_file_is_seen(tmp_path: Path) -> None:
    """A checkpoint that lost even one byte at its end does not open."""
    whole = safetensors(HEADER)
    for length in range(len(whole)):
        path = write(tmp_path, "cut.safetensors", whole[:length])

        assert opens(path) is not None, length


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("x.safetensors", safetensors(HEADER) + b"x", "padded"),
        ("x.safetensors", safetensors({}), "no tensor"),
        ("x.safetensors", safetensors([1]), "no object"),
        ("x.safetensors", safetensors(changed(dtype="f 32")), "dtype"),
        ("x.safetensors", safetensors(changed(dtype=["F32"])), "dtype"),
        ("x.safetensors", safetensors(changed(shape=[-4])), "shape"),
        ("x.safetensors", safetensors(changed(shape=[2**70])), "shape"),
        ("x.safetensors", safetensors(changed(shape=[True] * 4)), "shape"),
        ("x.safetensors", safetensors(changed(shape=[5])), "do not hold"),
        ("x.safetensors", safetensors(changed(data_offsets=[4, 20])), "begins at 4"),
        ("x.safetensors", struct.pack("<Q", 2**63) + b"{}", "header of"),
        ("x.json", b"", "empty"),
        ("x.json", b"{", "not JSON"),
        ("x.json", b'{"a": 1, "a": 2}', "twice"),
        ("x.json", b"[" * 100_000, "not JSON"),
        ("x.json", b"\xff\xfe", "not JSON"),
        ("x.jsonl", b'{"a": 1}\n{"a": ', "cut off"),
        ("x.jsonl", b"1" * 5000 + b"\n", "line 1"),
    ],
)
def test_broken_file_says_why(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    """What does not open is told with its reason."""
    reason = opens(write(tmp_path, name, content))

    assert reason is not None
    assert text in reason


def test_missing_file_and_folder_do_not_open(tmp_path: Path) -> None:
    """Neither a path that is not there nor a folder raises."""
    assert "cannot be read" in str(opens(tmp_path / "none.json"))
    assert "cannot be read" in str(opens(tmp_path))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.integers() | st.floats() | st.text(max_size=5),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below),
        max_leaves=8,
    ).map(lambda value: safetensors(value, 4)),
    suffix=st.sampled_from([".json", ".jsonl", ".safetensors"]),
)
def test_no_content_raises(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Any bytes under any suffix give a reason or open."""
    reason = opens(write(tmp_path, f"any{suffix}", content))

    assert reason is None or isinstance(reason, str)
