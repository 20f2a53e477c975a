"""Files from a pod open, or it is said why not; whatever they hold, nothing raises."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.file_formats import opens
from jobs.inspection import warnings

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


def named(value: object) -> str | None:
    """The name of a test's file; its number tells it from others of the name."""
    return value if isinstance(value, str) else ""


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
    ids=named,  # of contents some hold the time
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
    suffix=st.sampled_from(
        [".json", ".jsonl", ".safetensors", ".npy", ".npz", ".gz", ".parquet", ".pt", ".bin"]
    ),
)
def test_no_content_raises(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Any bytes under any suffix give a reason or open."""
    reason = opens(write(tmp_path, f"model{suffix}", content))

    assert reason is None or isinstance(reason, str)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trainer_state.json", b'{"log_history": [{"grad_norm": NaN}, {"loss": -Infinity}]}'),
        ("train.json", b'{"text": "one"}\n{"text": "two"}\n'),
        ("lists.json", b"[1, 2]\n[3]\n"),
        ("bom.json", b'\xef\xbb\xbf{"a": 1}'),
        ("wide.json", '{"a": 1}'.encode("utf-16")),
        ("pretty.json", b'[\n  {"a": 1},\n  {"a": 2}\n]\n'),
        ("scalar.json", b"3"),
        ("lists.jsonl", b'[1, 2]\n"three"\nnull\n{"a": NaN}\n'),
        ("crlf.jsonl", b'{"a": 1}\r\n{"a": 2}\r\n'),
        ("rows.csv", b"a;b\n1;2\n"),
        ("notes.yaml", b": : :"),
        ("a.json.gz", gzip.compress(b"{}") + gzip.compress(b" ")),
        ("train.bin", b"\x80\x01\x02 tokens of a memory map"),
        ("rng_state.pth", pickle.dumps({"state": 1})),
        ("optimizer.pt", b"PK\x05\x06" + bytes(18)),
    ],
    ids=named,  # of contents some hold the time
)
def test_what_honest_jobs_write_opens(tmp_path: Path, name: str, content: bytes) -> None:
    """Cases 01 and 02 and their kind: Python's NaN, JSON Lines in .json as `datasets` writes
    them, lists a line, a byte order mark, data in .bin."""
    assert opens(write(tmp_path, name, content)) is None


def zipped(**content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in content.items():
            archive.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("train.json", b'{"text": "one"}\n{"text": ', "line 2"),
        ("x.npz", zipped(a=b"1")[:-4], "cut off"),
        ("adapter_model.bin", pickle.dumps({}), "without any tensor"),
        ("adapter_model.bin", pickle.dumps({"a": "b" * 400}), "without any tensor"),
        ("pytorch_model.bin", zipped(archive__data_pkl=b"x"), "no tensor"),
        ("adapter_model.bin", pickle.dumps({"a": 1})[:-3], "cut off"),
        ("model.pt", zipped(archive__data__0=b"1")[:-9], "cut off"),
        ("x.jsonl.gz", gzip.compress(b"{}\n")[:-3], "cut off"),
        ("x.gz", b"no gzip", "not gzip"),
        ("x.parquet", b"PAR1" + bytes(20), "PAR1"),
        ("x.parquet", b"PAR1" + struct.pack("<I", 900) + b"PAR1", "footer"),
        ("x.npy", b"\x93NUMPY\x01\x00\x00", "array"),
        ("model.safetensors.index.json", b'{"weight_map": {}}', "weight_map"),
    ],
    ids=named,  # of contents some hold the time
)
def test_cut_containers_are_told(tmp_path: Path, name: str, content: bytes, text: str) -> None:
    """Archives and columns end in their directory, so a file that was cut off shows."""
    assert text in str(opens(write(tmp_path, name, content)))


def test_arrays_of_numpy_open_and_cut_ones_do_not(tmp_path: Path) -> None:
    """The header of an .npy file says how long it must be."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n"
    whole = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(24)

    assert opens(write(tmp_path, "a.npy", whole)) is None
    assert "cut off" in str(opens(write(tmp_path, "a.npy", whole[:-1])))


def test_no_pickle_is_ever_run(tmp_path: Path) -> None:
    """A pickle that would run a program when it is loaded is only looked at."""

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    opens(write(tmp_path, "adapter_model.bin", pickle.dumps(Hostile())))

    assert not (tmp_path / "ran").exists()


def test_what_nobody_asked_about_is_a_warning(tmp_path: Path) -> None:
    """A broken file beside the judged ones fails nothing; empty JSON Lines are a list of none;
    `unchecked` leaves files alone."""
    for name, content in (("a.json", b"{"), ("b.json", b"{}"), ("errors.jsonl", b"")):
        write(tmp_path, name, content)
    (tmp_path / "cache").mkdir()
    write(tmp_path / "cache", "c.json", b"")
    paths = ["a.json", "b.json", "cache/c.json", "errors.jsonl"]

    assert [one.split(":")[0] for one in warnings(tmp_path, paths)] == ["a.json", "cache/c.json"]
    assert warnings(tmp_path, paths, {tmp_path / "a.json"}, (), ["cache"]) == ()
    assert warnings(tmp_path, paths, (), (), ["cache/**", "*.json"]) == ()
