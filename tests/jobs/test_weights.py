"""Weights are complete, finite and not all zero, or it is said which tensor is not."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import weights
from jobs.criteria import Verdict, evaluate
from jobs.file_formats import opens
from jobs.format_check import InvalidFile
from jobs.inspection import warnings
from jobs.stage import Criterion
from tests.support.weight_files import adapter, f32, write_safetensors


def judge(root: Path, path: str = "out/*.safetensors", kind: str = "weights") -> tuple[Any, ...]:
    (found,) = evaluate([Criterion.model_validate({"kind": kind, "path": path})], root)
    return found.status, found.measured, found.detail


def half(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}e", *values)


def bf16(*values: float) -> bytes:
    return b"".join(struct.pack("<f", one)[2:] for one in values)


def test_a_whole_adapter_passes(tmp_path: Path) -> None:
    """Finite weights, of which not every factor is zero, pass with what was read."""
    adapter(tmp_path / "out" / "adapter_model.safetensors")

    status, measured, detail = judge(tmp_path)

    assert (status, measured) == (Verdict.PASS, 1)
    assert detail.startswith("2 tensors")


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ((1, 2), (0, 0), "every lora_B of the adapter is zero"),
        ((1, 2), (0.0, -0.0), "every lora_B of the adapter is zero"),
        ((0, 0), (1, 2), "every lora_A of the adapter is zero"),
        ((0, 0), (0, 0), "all 2 tensors are zero"),
        ((math.nan, 1), (1, 2), "'q.lora_A.weight' has NaN or infinite values"),
        ((1, 2), (1, -math.inf), "'q.lora_B.weight' has NaN or infinite values"),
        ((), (), "is of size 0"),
    ],
)
def test_hollow_adapters_fail(
    tmp_path: Path, a: tuple[float, ...], b: tuple[float, ...], words: str
) -> None:
    """Case 29: no weights, all of B zero, NaN: FAIL by `weights`; where only `opens` is asked
    and the file opens, a warning says the same."""
    path = adapter(tmp_path / "out" / "adapter_model.safetensors", a, b)

    status, _, detail = judge(tmp_path)

    assert status is Verdict.FAIL
    assert words in detail
    warned = warnings(tmp_path, ["out/adapter_model.safetensors"], {path})
    assert opens(path) or words in warned[0]


def test_one_dead_module_is_told_and_passes(tmp_path: Path) -> None:
    """A module without gradient keeps its zero B: that is no hollow adapter."""
    tensors = {"q.lora_A.weight": f32(1), "q.lora_B.weight": f32(1)}
    tensors |= {"v.lora_A.weight": f32(1), "v.lora_B.weight": f32(0)}
    write_safetensors(tmp_path / "out" / "a.safetensors", tensors)

    status, _, detail = judge(tmp_path)

    assert status is Verdict.PASS
    assert "1 of an adapter's factors are zero" in detail


TYPES = {
    "BF16": (2, bf16),
    "F16": (2, half),
    "F32": (4, lambda *values: struct.pack(f"<{len(values)}f", *values)),
    "F64": (8, lambda *values: struct.pack(f"<{len(values)}d", *values)),
}


@given(
    dtype=st.sampled_from(sorted(TYPES)),
    values=st.lists(st.floats(width=16), min_size=1, max_size=40),
)
def test_what_is_not_finite_is_found_in_every_type(dtype: str, values: list[float]) -> None:
    """The check by exponent bits agrees with `math.isfinite` on every value."""
    _, pack = TYPES[dtype]

    odd = weights.is_odd(dtype, pack(*values))

    assert odd == any(not math.isfinite(one) for one in values)


@pytest.mark.parametrize(
    ("dtype", "odd", "fine"),
    [
        ("F8_E4M3", b"\x7f\xff", b"\x7e\xfe\x00\x80"),
        ("F8_E5M2", b"\x7c\x7d\xfe\xfc", b"\x7b\xfb\x00"),
        ("F8_E8M0", b"\xff", b"\xfe\x00"),
        ("F8_E4M3FNUZ", b"\x80", b"\x7f\xff"),
        ("BF16", b"\x80\x7f\x80\xff\x81\x7f", b"\x7f\x7f\x7f\xff"),
        ("I64", b"", bytes([255]) * 8),
        ("F4", b"", bytes(range(256))),
    ],
)
def test_bytes_of_every_type(dtype: str, odd: bytes, fine: bytes) -> None:
    """NaN and infinities by their bits as the formats define them; the largest number is fine."""
    width = 2 if dtype == "BF16" else 1

    assert not weights.is_odd(dtype, fine)
    for at in range(0, len(odd), width):
        assert weights.is_odd(dtype, fine + odd[at : at + width])


def test_a_large_tensor_is_read_in_blocks(tmp_path: Path) -> None:
    """The one NaN at the end of a tensor of several blocks is found, and so is the one weight."""
    zeros = bytes(2 * weights.BLOCK)
    path = tmp_path / "a.safetensors"
    count = len(zeros) // 4 + 1

    write_safetensors(path, {"w": ("F32", [count], zeros + struct.pack("<f", 1.0))})
    assert weights.check([path]).startswith("1 tensors")
    write_safetensors(path, {"w": ("F32", [count], zeros + struct.pack("<f", math.nan))})
    with pytest.raises(InvalidFile, match="NaN"):
        weights.check([path])


def index(folder: Path, **named: str) -> None:
    document = {"metadata": {"total_size": 8}, "weight_map": named}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document))


def test_a_missing_shard_is_found(tmp_path: Path) -> None:
    """Case 29: an index naming a file that is not there, a number without its siblings, a tensor
    that is in no shard: each is a FAIL that names it, by `opens` and by `weights`."""
    out = tmp_path / "out"
    write_safetensors(out / "model-00001-of-00002.safetensors", {"a": f32(1)})
    for kind in ("opens", "weights"):
        status, _, detail = judge(tmp_path, "out/*.safetensors", kind)
        assert (status, "model-00002-of-00002" in detail) == (Verdict.FAIL, True), kind
    index(out, a="model-00001-of-00002.safetensors", b="model-00002-of-00002.safetensors")
    assert "names model-00002" in str(opens(out / "model.safetensors.index.json"))

    write_safetensors(out / "model-00002-of-00002.safetensors", {"c": f32(1)})
    assert judge(tmp_path, "out/*", "opens")[0] is Verdict.PASS
    assert "'b' is not in model-00002" in judge(tmp_path, "out")[2]
    write_safetensors(out / "model-00002-of-00002.safetensors", {"b": f32(1)})
    assert judge(tmp_path, "out")[0] is Verdict.PASS


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/passwd", "a/../../b"])
def test_an_index_leads_nowhere_else(tmp_path: Path, shard: str) -> None:
    """The shards of an index lie beside it."""
    index(tmp_path, a=shard)

    assert "not beside it" in str(opens(tmp_path / "model.safetensors.index.json"))


def test_pickles_are_never_opened(tmp_path: Path) -> None:
    """Weights in a pickle cannot be judged: that is said, and is no PASS."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "adapter_model.bin").write_bytes(b"\x80\x04" + bytes(100))

    status, _, detail = judge(tmp_path, "out")

    assert status is Verdict.INCONCLUSIVE
    assert "save as safetensors" in detail
