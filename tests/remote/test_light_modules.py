"""The light replacements of `dataclasses` and `json`, against the originals."""

from __future__ import annotations

import copy
import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote import light_json
from remote.contract.codec import OPENSSL_FROM, digest
from remote.light_dataclasses import dataclass, field, replace

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
HEAVY = ("argparse", "dataclasses", "hashlib", "inspect", "json", "pathlib", "re", "typing")


@dataclass(frozen=True)
class Light:
    a: int
    b: str = "x"
    c: dict[str, int] = field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Original:
    a: int
    b: str = "x"
    c: dict[str, int] = dataclasses.field(default_factory=dict)


def test_a_light_dataclass_behaves_as_the_original() -> None:
    """Construction, equality, representation, copies and the standard library's functions agree."""
    light, original = Light(1, c={"k": 2}), Original(1, c={"k": 2})
    assert repr(light) == repr(original).replace("Original", "Light")
    assert dataclasses.asdict(light) == dataclasses.asdict(original) == vars(light)
    assert [one.name for one in dataclasses.fields(light)] == ["a", "b", "c"]
    assert dataclasses.replace(light, b="y") == replace(light, b="y") == Light(1, "y", {"k": 2})
    assert copy.deepcopy(light) == light
    assert light != original
    assert Light(1).c is not Light(1).c
    match light:
        case Light(number, text):
            assert (number, text) == (1, "x")


@pytest.mark.parametrize(
    ("args", "given_fields"), [((), {}), ((1, "x", {}, 4), {}), ((1,), {"a": 1}), ((1,), {"d": 1})]
)
def test_a_light_dataclass_refuses_wrong_arguments(args: tuple, given_fields: dict) -> None:
    """As the original does: TypeError."""
    for kind in (Light, Original):
        with pytest.raises(TypeError):
            kind(*args, **given_fields)


def test_a_frozen_light_dataclass_does_not_change() -> None:
    """Setting or deleting a field raises the standard library's error."""
    light = Light(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        light.a = 2  # type: ignore[misc] # the point of this test
    with pytest.raises(dataclasses.FrozenInstanceError):
        del light.a
    with pytest.raises(TypeError):
        hash(light)  # a dictionary is inside, as in the original


@given(VALUES)
def test_light_json_writes_and_reads_as_the_original(value: object) -> None:
    """The same text, plain and canonical, and the same value back."""
    text = json.dumps(value)
    assert light_json.dumps(value) == text
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    assert light_json.dumps(value, canonical=True) == canonical
    assert light_json.loads(text) == light_json.loads(text.encode()) == value


@given(st.binary(max_size=20) | st.text(alphabet='{}[]",:0123 \n\t-eNaInfity\\u', max_size=20))
def test_light_json_decides_about_any_bytes_as_the_original(data: bytes | str) -> None:
    """The same value or the same error."""

    def outcome(load: object) -> str:
        try:
            return repr(load(data))  # type: ignore[operator] # either of the two
        except (ValueError, RecursionError) as error:
            return repr(error)

    assert outcome(light_json.loads) == outcome(json.loads)


def test_light_json_refuses_constants_on_request() -> None:
    """NaN and Infinity are accepted only where the original's default is wanted."""
    assert light_json.loads("Infinity") == float("inf")
    for text in ("NaN", '{"a": -Infinity}'):
        with pytest.raises(ValueError, match="is not JSON"):
            light_json.loads(text, constants=False)


def test_a_digest_is_the_same_by_both_implementations() -> None:
    """Whatever the size."""
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    large = b"a" * OPENSSL_FROM
    import hashlib

    for data in (large, large[:-1]):
        assert digest(data) == hashlib.sha256(data).hexdigest()


def test_a_look_at_the_status_imports_nothing_heavy() -> None:
    """Each of these modules costs the pod milliseconds of CPU at every look."""
    program = (
        "import sys, remote.agent.__main__, remote.agent.status;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    argv = [sys.executable, "-S", "-c", program]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == "[]"
