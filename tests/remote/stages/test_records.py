"""The records that stages hand one another: what is written, and what is read back."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.records import (
    BaselineRecord,
    GeneratedRecord,
    PreferencePair,
    ResponseRecord,
    SystemResponse,
)
from remote.stages.common.training_record import TrainingRecord

RESPONSE = ResponseRecord("Sky?", "qa", "colour", "Green.", False, ("lacks blue",), "Sky?\n")


def test_a_response_is_written_in_the_order_of_the_file_format() -> None:
    """The verdict comes last, and the prompt is not part of it."""
    assert json.dumps(RESPONSE.to_json()) == (
        '{"instruction": "Sky?", "type": "qa", "kind": "colour", "response": "Green.", '
        '"correct": false, "reasons": ["lacks blue"]}'
    )


def test_training_data_has_no_verdict() -> None:
    """A canonical answer is written with its prompt and its source."""
    assert list(RESPONSE.training_json("canonical")) == [
        *("instruction", "response", "prompt", "type", "kind", "source")
    ]


@pytest.mark.parametrize("source", [None, "stage1a"])
def test_a_systems_response_is_read_as_it_was_written(source: str | None) -> None:
    """System, temperature and sample identify it; `source` is written only where it is set."""
    record = SystemResponse.of(RESPONSE, "Sky?\n", system="sft", temperature=0.7, sample=2)
    written = json.loads(json.dumps(replace(record, source=source).to_json()))

    assert list(written)[:3] == ["system", "temperature", "sample"]
    assert list(written)[-1] == "prompt"
    assert ("source" in written) is (source is not None)
    assert SystemResponse.from_json(written) == record


@pytest.mark.parametrize(
    "change",
    [
        {"response": None},
        {"system": 1},
        {"prompt": None},
        {"sample": "0"},
        {"correct": "yes"},
        {"reasons": "lacks blue"},
    ],
)
def test_a_damaged_systems_response_is_not_taken_over(change: dict[str, object]) -> None:
    """A field of another type makes it no record: the response is generated again."""
    written = SystemResponse.of(RESPONSE, "Sky?\n", system="sft").to_json()
    assert SystemResponse.from_json(written) is not None
    assert SystemResponse.from_json(written | change) is None


def test_a_baseline_record_keeps_both_answers() -> None:
    """Prompts and responses are read back; verdicts are not, since they are judged again."""
    record = BaselineRecord(RESPONSE, replace(RESPONSE, response="Blue.", prompt="…"), True)
    written = json.loads(json.dumps(record.to_json()))
    read = BaselineRecord.from_json(written)

    assert list(written) == ["instruction", "type", "kind", "raw", "few_shot", "explicit"]
    assert list(written["raw"]) == ["prompt", "response", "correct", "reasons"]
    assert read is not None
    assert (read.raw.response, read.few_shot.response) == ("Green.", "Blue.")
    assert (read.few_shot.prompt, read.raw.correct) == ("…", None)
    assert BaselineRecord.from_json(written | {"few_shot": "Blue."}) is None
    assert BaselineRecord.from_json(written | {"raw": {"prompt": "Sky?"}}) is None


def test_a_generated_record_says_how_it_was_made() -> None:
    """The critic's margin is written only where there is a critic."""
    record = GeneratedRecord(**vars(RESPONSE), checks=({"check": "closed"},))
    keys = list(record.to_json())

    assert keys[:5] == ["instruction", "response", "prompt", "type", "kind"]
    assert keys[-3:] == ["correct", "reasons", "checks"]
    assert list(replace(record, critic_margin=0.5).to_json())[-1] == "critic_margin"


def test_a_pair_is_written_with_both_answers_first() -> None:
    """Prompt, chosen and rejected are what other trainers read."""
    pair = PreferencePair(
        *("Sky?\n", "Blue.", "Green.", "Sky?", "qa", "colour", "sampled", "canonical"),
        *(("lacks blue",), 0, 0.8, 0, "small"),
    )
    written = json.loads(json.dumps(pair.to_json()))

    assert list(written)[:3] == ["prompt", "chosen", "rejected"]
    assert written["reasons"] == ["lacks blue"]


def test_a_training_record_is_checked_when_a_field_is_read() -> None:
    """A field that no stage reads may be anything; an error names file and line."""
    record = TrainingRecord(
        "data.jsonl, line 7", {"prompt": "Sky?", "completion": "Blue.", "id": 1}
    )
    broken = TrainingRecord("data.jsonl, line 8", {"instruction": 5, "response": " "})

    assert (record.line, record.instruction, record.prompt) == (7, None, "Sky?")
    assert record.response == "Blue."
    assert record.texts == {"prompt": "Sky?", "completion": "Blue."}
    with pytest.raises(StageError, match=r"data\.jsonl, line 8: instruction must be text"):
        _ = broken.instruction
    with pytest.raises(StageError, match=r"data\.jsonl, line 8: response must be text"):
        _ = broken.response
