"""Training data in the forms in which people have it: what is accepted, converted, and told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.training_record import TrainingRecord
from remote.stages.instructions.pairs import Pair, read_pairs
from remote.stages.instructions.training_records import (
    count_conversions,
    describe_conversions,
    read_training,
)

QUESTIONS = [(f"What is {n} plus {n}?", f"It is {2 * n}.") for n in range(3)]


def chat(given: Any, answer: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": given}, {"role": "assistant", "content": answer}]


FORMS: dict[str, Any] = {
    "messages": lambda a, b: {"messages": chat(a, b)},
    "parts": lambda a, b: {"messages": chat([{"type": "text", "text": a}], b)},
    "lists": lambda a, b: {"prompt": chat(a, b)[:1], "completion": chat(a, b)[1:]},
    "half a list": lambda a, b: {"prompt": a, "completion": chat(a, b)[1:]},
    "conversations": lambda a, b: {
        "conversations": [{"from": "human", "value": a}, {"from": "gpt", "value": b}]
    },
    "alpaca": lambda a, b: {"instruction": a, "input": "", "output": b},
    "alpaca, no input": lambda a, b: {"instruction": a, "output": b},
    "own": lambda a, b: {"instruction": a, "response": b},
    "own, completion": lambda a, b: {"instruction": a, "completion": b},
}


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "pairs.jsonl"
    path.write_text(text, encoding=encoding)
    return path


def lines(form: str) -> str:
    return "".join(json.dumps(FORMS[form](*one)) + "\n" for one in QUESTIONS)


def wanted(path: Path) -> tuple[Pair, ...]:
    return tuple(
        Pair(f"{a}\n", f" {b}", f"{path}, line {n}") for n, (a, b) in enumerate(QUESTIONS, 1)
    )


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_pairs(tmp_path: Path, form: str) -> None:
    """Case 22: chat messages, message lists, alpaca and stage1b's own train the same."""
    path = write(tmp_path, lines(form))

    assert read_pairs(path) == wanted(path)
    assert bool(describe_conversions(count_conversions(path, ""))) == (not form.startswith("own"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_array_is_its_elements(tmp_path: Path, encoding: str, indent: int | None) -> None:
    """Case 22: one JSON array, with or without a byte order mark; each with its line."""
    rows = [FORMS["own"](*one) for one in QUESTIONS]
    path = write(tmp_path, json.dumps(rows, indent=indent), encoding)
    pairs = read_pairs(path)

    assert [(one.prompt, one.completion) for one in pairs] == [
        (one.prompt, one.completion) for one in wanted(path)
    ]
    assert [one.where.rpartition(" ")[2] for one in pairs] == (
        ["2", "6", "10"] if indent else ["1", "1", "1"]
    )


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    """Case 22: as Windows writes UTF-8."""
    path = write(tmp_path, lines("own"), "utf-8-sig")
    assert read_pairs(path) == wanted(path)


def test_the_input_of_alpaca_follows_its_instruction(tmp_path: Path) -> None:
    """With an empty line between, and what the record has besides stays."""
    record = {"instruction": "Add.", "input": "1, 2", "output": "3", "id": 7}
    path = write(tmp_path, json.dumps(record))

    fields = {"instruction": "Add.\n\n1, 2", "response": "3", "id": 7}

    assert list(read_training(path, "")) == [TrainingRecord(f"{path}, line 1", fields)]
    assert (
        describe_conversions(count_conversions(path, ""))
        == "1 records converted from instruction, input and output"
    )


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"messages": [{"role": "system", "content": "s"}, *chat("a", "b")]}, "system, user"),
        ({"messages": [*chat("a", "b"), *chat("c", "d")]}, "user, assistant, user"),
        ({"messages": chat("a", "")}, "content of the assistant must be text"),
        ({"messages": []}, "nobody"),
        ({"messages": "hi"}, "must be a list of messages"),
        ({"prompt": chat("a", "b")[:1]}, "completion is missing"),
        ({"instruction": "a", "input": 3, "output": "b"}, "input must be text"),
        ({"instruction": "a", "input": "", "output": " "}, "output must be text"),
        ({"question": "a", "answer": "b"}, "answer, question: its form is not known"),
        ({"text": "a"}, "its form is not known"),
        ({}, "nothing: its form is not known"),
    ],
)
def test_what_is_no_pair_is_named(tmp_path: Path, record: dict[str, Any], text: str) -> None:
    """With file, line, what is wrong, and which forms there are."""
    path = write(tmp_path, lines("own") + json.dumps(record))
    with pytest.raises(StageError) as caught:
        read_pairs(path)

    assert f"{path}, line 4" in str(caught.value)
    assert text in caught.value.what


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_told(tmp_path: Path, encoding: str) -> None:
    """Case 22: named as what it is, with the command that mends it."""
    with pytest.raises(StageError, match="UTF-16") as caught:
        read_pairs(write(tmp_path, lines("own"), encoding))

    assert "iconv" in caught.value.remedy


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"PK\x03\x04\x00\x00", "a zip file"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"prompt,completion\na,b\n", "line 1: not JSON"),
        (b'[{"instruction": "a", "response": "b"}', "cut off"),
        (b'[{"instruction": "a", "response": "b"} {}]', "lacks a comma"),
        (b'[\n{"instruction": "a", "response": "b"},\n3]', "line 3: not an object"),
        (b'[{"instruction": "a", "response": "b"}, ', "not JSON"),
        (b'[{"instruction": "a", "response": "b"}] x', "after the array"),
        (b"[]", "no record"),
        (b"[", "not JSON"),
        (b"[[1]]", "line 1: not an object"),
        ('[\n{"instruction": "é"}]'.encode("latin-1"), "line 2: not UTF-8"),
        (b"[" * 100_000, "not"),
        (b"\xef\xbb\xbf", "no record"),
        (b"", "no record"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, data: bytes, text: str) -> None:
    """Whatever lies under the name of the training data, it is a sentence and no traceback."""
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(data)
    with pytest.raises(StageError, match=text):
        read_pairs(path)
