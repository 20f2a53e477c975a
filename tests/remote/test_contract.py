"""Documents from the other side: whatever they hold, they are understood or refused, never felt."""

from __future__ import annotations

import dataclasses
import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.criteria import evaluate
from jobs.file_formats import opens
from jobs.stage import Criterion
from remote import contract
from remote.contract import (
    Attempt,
    ContractError,
    Exit,
    GuardLimits,
    GuardReport,
    Heartbeat,
    JobSpec,
    Manifest,
    Status,
    dump,
    load,
)

KINDS = (Attempt, Exit, GuardLimits, GuardReport, Heartbeat, JobSpec, Manifest, Status)
WRONG: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**63, 10**400, 1e308, 0.5),
    *(
        float("nan"),
        float("inf"),
        "",
        "\x1b[2J",
        "\ud800",
        "9" * 400,
        [],
        {},
        [[]],
        [None],
        {"a": 1},
    ),
)
EXIT = Exit("r1", 1, 0, "exited", "", "0" * 64, 10, 1.0, 2.0)
GUARD = GuardReport("b1", True, "reads its own pod", "job", 10.0, 100.0)
GOOD: tuple[Any, ...] = (
    EXIT,
    GUARD,
    Attempt("r1", 1, "b1", 1.0),
    Heartbeat("r1", 1, "b1", "running", 1.0, 2.0, 3),
    JobSpec("r1", "stage1c", ("true",), ("out/**",), "c" * 64, env={"A": "b"}),
    Manifest("r1", 1, True, (contract.FileEntry("out/a", 1, "f" * 64),)),
    Status("r1", "ended", "b1", exit=EXIT, guard=GUARD),
)


def spoilt(value: Any, dice: random.Random) -> Any:
    """`value` with one part of it replaced, left out, or put somewhere else."""
    if isinstance(value, dict) and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        if dice.random() < 0.1:
            return {name: one for name, one in value.items() if name != key}
        return value | {key: spoilt(value[key], dice)}
    if isinstance(value, list) and value and dice.random() < 0.5:
        return [spoilt(value[0], dice), *value[1:]] * dice.randrange(1, 3)
    return dice.choice(WRONG)


def understood(kind: type, data: bytes | str) -> bool:
    """Whether it is a document; anything but ContractError is the test's failure."""
    try:
        found = load(kind, data)
    except ContractError as error:
        refusal = str(error)
    else:
        assert load(kind, dump(found)) == found
        return True
    assert refusal.isascii()
    assert len(refusal) < 4100
    return False


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), st.binary(max_size=100))
@example(Status, b"\xff\xfe{}")
@example(Status, b'{"schema":1,"run":"\\ud800","state":"running","boot_id":"b"}')
def test_row_75_any_bytes_are_a_document_or_refused(kind: type, data: bytes) -> None:
    """Bytes from a pod are the document that was asked for, or one kind of error."""
    understood(kind, data)


def test_row_75_a_spoilt_document_is_one_or_is_refused() -> None:
    """NaN, wrong types and huge numbers in any place of a good document: no other error, ever."""
    dice = random.Random(75)
    taken = refused = 0
    for _ in range(4000):
        good = dice.choice(GOOD)
        value = spoilt(dataclasses.asdict(good), dice)
        if understood(type(good), json.dumps(value)):
            taken += 1
        else:
            refused += 1

    assert taken > 100
    assert refused > 1000


@pytest.mark.parametrize("name", [one.name for one in dataclasses.fields(Exit)])
def test_row_75_one_wrong_field_is_never_taken(name: str) -> None:
    """A good record with one field of another type is no record."""
    good = dataclasses.asdict(EXIT)
    for value in WRONG:
        same = type(value) is type(good[name])
        whole = type(value) is int and type(good[name]) is float
        taken = understood(Exit, json.dumps(good | {name: value}))

        assert same or whole or not taken


@pytest.mark.parametrize(
    "text",
    [
        '{"schema":1,"run":NaN}',
        '{"schema":true}',
        '{"schema":1.0}',
        '{"schema":' + "[" * 900 + "]" * 900 + "}",
        "[" * 1_000_000,
        '{"a":' * 200_000,
        '{"schema":1,"run":"r","state":"s","boot_id":"b","attempt":' + "9" * 4000 + "}",
        '{"schema":1,"run":"r","state":"s","boot_id":"b","heartbeat_age":1e999}',
        "",
        "null",
    ],
    ids=lambda text: text[:24],
)
def test_row_75_a_senseless_status_is_refused(text: str) -> None:
    """NaN, infinities, a million brackets, a schema that only looks right."""
    assert not understood(Status, text)


def test_row_75_deep_nesting_never_overflows_anything() -> None:
    """At every depth up to the interpreter's limit and beyond, the answer is the same error."""
    for depth in range(100, 1200, 11):
        nested = "[" * depth + "]" * depth
        assert not understood(Status, f'{{"schema":{nested}}}')
        assert not understood(Exit, f'{{"schema":1,"run":{nested}}}')


@pytest.mark.parametrize(
    ("kind", "size"), [(Status, 1 << 20), (Manifest, 64 << 20)], ids=["status", "manifest"]
)
def test_row_75_what_is_too_large_is_not_parsed(kind: type, size: int) -> None:
    """Over its cap a document is refused unread; below it, it costs a bounded amount of memory."""
    filler = b"[]," * (size // 3 - 20)
    within = b'{"schema":1,"run":[' + filler[:-1] + b"]}"
    assert len(within) <= size
    tracemalloc.start()
    try:
        assert not understood(kind, b" " * (size + 1))
        unread = tracemalloc.get_traced_memory()[1]
        assert not understood(kind, within)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert unread < size + (1 << 20)
    assert peak < 160 << 20


def test_row_75_a_manifest_of_the_largest_size_is_read() -> None:
    """The caps leave room for what is allowed: 100,000 files."""
    entry = {"path": "checkpoints/stage1_sft/" + "a" * 30, "size": 2**40, "sha256": "f" * 64}
    whole = {"schema": 1, "run": "r1", "attempt": 1, "final": True, "files": []}
    raw = json.dumps(whole | {"files": [entry] * contract.MAX_FILES}, separators=(",", ":"))

    assert len(load(Manifest, raw).files) == contract.MAX_FILES


CRITERIA = [
    Criterion(kind="value", path="a.json", key="x.y", at_least=1.0),
    Criterion(kind="value", path="a.json", key="x", equals=True),
    Criterion(kind="opens", path="**/*"),
    Criterion(kind="lines", path="a.jsonl"),
    Criterion(kind="decreases", path="a.jsonl", key="x"),
]
DICE = random.Random(7)
WRITTEN = [
    *(DICE.randbytes(n) for n in range(40)),
    *(json.dumps({"x": spoilt({"y": [1, {"z": 2}]}, DICE)}).encode() for _ in range(120)),
    *(json.dumps(one).encode() + b"\n" + json.dumps({"x": one}).encode() for one in WRONG),
    *(b'{"x":' + b"[" * n + b"]" * n + b"}" for n in range(50, 1100, 25)),
]


def test_what_a_job_wrote_is_judged_whatever_it_is(tmp_path: Path) -> None:
    """Artifacts of any content open or do not, and every criterion gets its verdict."""
    names = ("a.json", "a.jsonl", "a.safetensors", "b.safetensors")
    for written in WRITTEN:
        for name in names:
            head = len(written).to_bytes(8, "little") if name == "a.safetensors" else b""
            (tmp_path / name).write_bytes(head + written)
        assert all(opens(tmp_path / name) is None or opens(tmp_path / name) for name in names)
        for finding in evaluate(CRITERIA, tmp_path):
            assert finding.detail.isprintable()
            json.dumps(finding.as_dict(), allow_nan=False).encode()
