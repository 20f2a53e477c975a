"""What a job ran with is in its certificate, wherever its stage records it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.locks.reported_environment import MAX_TEXT, read_environment
from remote.contract import FileEntry, Manifest
from remote.stages.common.versions import environment
from remote.stages.generate import GenerateParameters, settings

SAID = {"python": "3.12", "torch": "2.9", "device": {"kind": "cuda", "name": "H100", "driver": "5"}}


def found(folder: Path, files: dict[str, Any]) -> dict[str, Any]:
    entries = []
    for path, document in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        text = document if isinstance(document, str) else json.dumps(document)
        (folder / path).write_text(text)
        entries.append(FileEntry(path, len(text), "0" * 64))
    return read_environment(folder, Manifest("r", 1, True, tuple(entries)))


@pytest.mark.parametrize(
    "files",
    [
        {"artifacts/baseline_assessment.json": {"environment": SAID}},
        {"data/stage1/data_quality.json": {"settings": {"environment": SAID}}},
        {
            "checkpoints/sft/checkpoint-9/trainer_state.json": {"environment": {"torch": "other"}},
            "checkpoints/sft/adapter_config.json": {"peft_type": "LORA"},
            "checkpoints/sft/hyperparameters.json": {"environment": SAID},
        },
        {"out/a.json": {"environment": {"torch": "other"}}, "out/sub/environment.json": SAID},
        {"out/broken.json": "{", "out/list.json": [1], "out/x.json": {"environment": SAID}},
    ],
)
def test_versions_and_device_are_found_where_the_stages_write_them(
    tmp_path: Path, files: dict[str, Any]
) -> None:
    """In the assessment, the quality report, beside the adapter, or in a file of their own."""
    assert found(tmp_path, files) == SAID


def test_what_the_stages_say_of_themselves_is_kept_as_it_is(tmp_path: Path) -> None:
    """The real records, of this machine: Python, the training stack as far as it is here."""
    pytest.importorskip("torch")
    said = environment("auto")

    assert found(tmp_path / "a", {"a.json": {"environment": said}}) == said
    assert found(tmp_path / "b", {"b.json": {"settings": settings(GenerateParameters())}}) == said
    assert {"python", "system", "device"} <= said.keys()


def test_nothing_said_is_nothing_kept(tmp_path: Path) -> None:
    """A job need not say what it ran with."""
    assert found(tmp_path, {"out/result.json": {"ok": True}, "out/environment.txt": "{}"}) == {}


def test_a_hostile_environment_cannot_keep_a_stage_from_being_locked(tmp_path: Path) -> None:
    """Half characters, deep nests, huge numbers and long texts: cut down to what a lock holds."""
    deep, huge, long = "[" * 400 + "]" * 400, "1" + "0" * 400, "x" * 5000
    text = (
        f'{{"a": "\\ud800\\u001b[2J", "b": {deep}, "c": {huge}, "d": "{long}", '
        '"e": {"f": {"g": 1}}, "h": 1e999, "ok": 1}'
    )
    kept = found(tmp_path, {"environment.json": text})

    json.dumps(kept, ensure_ascii=False).encode()
    assert kept["ok"] == 1
    assert kept["e"] == {}
    assert not {"b", "c", "h"} & kept.keys()
    assert "\x1b" not in kept["a"]
    assert len(kept["d"]) <= MAX_TEXT
