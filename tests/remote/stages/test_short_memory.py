"""Wherever a model is asked: short memory means smaller bites, and never a bare traceback."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from remote.stages.common.failure import StageError
from remote.stages.common.metrics import MetricsLog
from remote.stages.common.parameters import SftParameters
from remote.stages.common.records import BaselineRecord
from remote.stages.common.signals import StopRequest
from remote.stages.datagen.journal import Entry
from remote.stages.datagen.parameters import GenerateParameters
from remote.stages.datagen.writer import Writer, make_task
from remote.stages.evaluation.baseline_assessment import ask_critic
from remote.stages.instructions.sets import load
from remote.stages.model.loading import load_model, load_tokenizer, resolve
from remote.stages.training.dev_eval import measure
from remote.stages.verification.scoring import judge
from tests.support import training_stack
from tests.support.short_memory import Short

pytestmark = training_stack.ON_ONE_WORKER

CHOSEN = load("small")


@pytest.fixture(scope="module")
def small() -> tuple[Any, Any]:
    """The small base model and its tokenizer."""
    source = resolve("small")
    return load_model(source, "none"), load_tokenizer(source)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MetricsLog:
    monkeypatch.setenv("PODCTL_METRICS", str(tmp_path / "said.jsonl"))
    return MetricsLog(tmp_path / "log.jsonl")


def said(log: MetricsLog) -> list[str]:
    """What was halved, in the order of time."""
    lines = log.own.with_name("said.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    return [text.rpartition(": ")[2] for text in texts if "out of GPU memory" in text]


def test_memory_is_halved_as_often_as_it_takes(log: MetricsLog) -> None:
    """Ten at once do not fit, nor five: three do. Where one does not, the error has a remedy."""
    torch = pytest.importorskip("torch")
    from remote.stages.common.oom_retry import with_halved_batches

    def ask(batch: int) -> int:
        if batch > enough:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch

    enough = 4
    assert with_halved_batches(ask, 10, log.message) == 3
    assert said(log) == ["trying 5", "trying 3"]
    enough = 0
    with pytest.raises(StageError, match="does not hold a single prompt") as caught:
        with_halved_batches(ask, 10, log.message)
    assert "max_new_tokens" in caught.value.remedy


def test_writer_and_critic_go_on_in_smaller_bites(small: tuple[Any, Any], log: MetricsLog) -> None:
    """1B: responses and margins, two prompts at once where eight were wanted."""
    parameters = GenerateParameters(
        model="small", max_new_tokens=16, critic=True, temperature=0.0, batch=8
    )
    tasks = [make_task(one, 0, parameters, CHOSEN.pool) for one in CHOSEN.train[:8]]

    def write(rows: int) -> list[tuple[str, float]]:
        loaded = (Short(small[0], rows), small[1])
        writer = Writer(parameters, "", CHOSEN.train, CHOSEN.pool, log, loaded)
        entries: list[Entry] = []
        assert writer.write(tasks, entries.extend)
        return [(one.response, round(one.margin or 0, 3)) for one in entries]

    assert write(2) == write(99)
    assert said(log) == ["trying 4", "trying 2", "trying 4", "trying 2"]


def test_critic_of_the_baseline_goes_on_in_smaller_bites(
    small: tuple[Any, Any], log: MetricsLog
) -> None:
    """1A: what no rule can judge is judged all the same; where nothing fits, that is said."""
    rows = [
        BaselineRecord(judge(one, "a"), judge(one, one.answer), explicit=False)
        for one in CHOSEN.train[:6]
    ]

    found, judged = ask_critic(Short(small[0], 3), small[1], CHOSEN.pool, rows, 6, log.message)
    at_once, _ = ask_critic(*small, CHOSEN.pool, rows, 6, log.message)
    assert found["few_shot"] == at_once["few_shot"]
    assert all(set(record.margins) == {"raw", "few_shot"} for record in judged)
    assert said(log) == ["trying 3", "trying 3"]
    none, unjudged = ask_critic(Short(small[0], 0), small[1], CHOSEN.pool, rows, 6, log.message)
    assert "memory" in none["critic"]
    assert unjudged == rows


def test_development_is_measured_in_smaller_bites(small: tuple[Any, Any], log: MetricsLog) -> None:
    """1C: what was trained is not trained anew because its answers did not fit at once."""
    parameters = dataclasses.replace(SftParameters(), ask_batch=8, max_new_tokens=16)
    asked = CHOSEN.development[:8]

    def rate(rows: int) -> Any:
        found = measure(Short(small[0], rows), small[1], asked, parameters, log, StopRequest())
        return found and found["responses"]

    assert rate(4) == rate(8)
    assert said(log) == ["trying 4"]
