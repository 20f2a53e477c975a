"""Stage 1A for real on the small model: measured, cut off and resumed, and refused on a leak."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from jobs.catalog import load_stages
from jobs.criteria import Verdict, evaluate
from remote.outputs import missing
from remote.stages import baseline
from remote.stages.baseline import BaselineParameters
from remote.stages.common.failure import StageError
from remote.stages.common.parameters import parse
from remote.stages.evaluation.baseline_assessment import select_explicit
from remote.stages.instructions.sets import load
from remote.stages.text.prompts import DELIMITER
from remote.stages.verification.instruction import TYPES
from tests.support import training_stack
from tests.support.own_instructions import TOPICS, records, write
from tests.support.stage_process import interrupted, told

REPOSITORY = Path(baseline.__file__).parents[2]
ASSESSMENT = Path("artifacts/baseline_assessment.json")
RESPONSES = Path("artifacts/baseline_responses.jsonl")
PART = Path("artifacts/.baseline_responses.jsonl.part")
PARAMETERS = {"model": "small", "instructions": "small", "max_new_tokens": 48, "batch": 25}

pytestmark = training_stack.ON_ONE_WORKER


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PODCTL_METRICS", "PODCTL_RUN_DIR", "PODCTL_PARAMETERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def measure_here(folder: Path, **changes: Any) -> int:
    """The stage in this process, in `folder`; its exit status."""
    before, handler = Path.cwd(), signal.getsignal(signal.SIGTERM)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    try:
        return baseline.run(parse(BaselineParameters, json.dumps(PARAMETERS | changes).encode()))
    finally:
        os.chdir(before)
        signal.signal(signal.SIGTERM, handler)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished baseline of the small model."""
    folder = tmp_path_factory.mktemp("measured")
    assert measure_here(folder) == 0
    return folder


def test_criteria_of_stage1a_pass(measured: Path) -> None:
    """The assessment parses, reports every type, has no template and a base model's sentinels."""
    findings = evaluate(load_stages({})["stage1a"].criteria, measured)

    assert [(one.criterion, one.detail) for one in findings if one.status != "PASS"] == []


def test_declared_outputs_are_there(measured: Path) -> None:
    """Every declared output has a file, also where the set has no explanations."""
    declared = load_stages({})["stage1a"].outputs
    paths = [p.relative_to(measured).as_posix() for p in measured.rglob("*") if p.is_file()]

    assert missing(declared, paths) == []
    assert ASSESSMENT.with_name("baseline_explanations.jsonl").as_posix() not in paths


def test_base_is_weak_bare_and_good_with_examples(measured: Path) -> None:
    """The control is honest: the model knows the answers, and a bare prompt does not get them."""
    tables = json.loads((measured / ASSESSMENT).read_text())["held_out"]
    raw, few = tables["raw"]["overall"], tables["few_shot"]["overall"]

    assert raw["n"] == few["n"] == 100
    assert 0.10 <= raw["rate"] <= 0.30
    assert few["rate"] >= 0.90
    assert raw["wilson_low"] < raw["rate"] < raw["wilson_high"] < few["wilson_low"]
    assert set(tables["raw"]["types"]) == set(TYPES)


def test_every_response_is_stored_with_its_prompt(measured: Path) -> None:
    """One line for each held-out instruction, in order: what was asked, said, and judged."""
    held_out = load("small").held_out
    rows = read(measured / RESPONSES)

    assert [row["instruction"] for row in rows] == [one.text for one in held_out]
    for one, row in zip(held_out, rows, strict=True):
        assert row["raw"]["prompt"] == one.text + "\n"
        assert row["few_shot"]["prompt"].count(DELIMITER) == 3
        for way in ("raw", "few_shot"):
            assert row[way]["correct"] is (one.reasons(row[way]["response"]) == ())
            assert bool(row[way]["reasons"]) is not row[way]["correct"]


def test_finished_baseline_is_not_answered_again(measured: Path, tmp_path: Path) -> None:
    """Started once more, the same files come out of the recorded answers."""
    folder = tmp_path / "again"
    shutil.copytree(measured, folder)
    before = (folder / RESPONSES).read_bytes()

    assert measure_here(folder) == 0
    assert (folder / RESPONSES).read_bytes() == before
    assert _steps(folder) == _steps(measured)


def _steps(folder: Path) -> list[int]:
    return [row["step"] for row in read(folder / "artifacts/.baseline_progress.jsonl")]


def test_half_written_answers_are_resumed(measured: Path, tmp_path: Path) -> None:
    """After a kill in the middle of a line, whole records are kept and the rest is answered."""
    folder = tmp_path / "cut"
    (folder / "artifacts").mkdir(parents=True)
    lines = (measured / RESPONSES).read_bytes().splitlines(keepends=True)
    strange = json.dumps({"settings": json.loads(lines[0])["settings"], "instruction": 7})
    (folder / PART).write_bytes(b"".join(lines[:60]) + strange.encode() + b"\n" + lines[60][:50])

    assert measure_here(folder) == 0
    assert _steps(folder) == [85, 95, 100]  # both answers to an instruction, 25 at once
    assert not (folder / PART).exists()
    rows = [{**row, "explicit": True} for row in read(measured / RESPONSES)]
    assert [row["raw"] for row in read(folder / RESPONSES)] == [row["raw"] for row in rows]


def test_answers_of_other_settings_are_not_mixed_in(measured: Path, tmp_path: Path) -> None:
    """With another seed the few-shot prompts differ, and everything is answered anew."""
    folder = tmp_path / "seed"
    shutil.copytree(measured, folder)

    assert measure_here(folder, seed=1) == 0
    assert _steps(folder)[-4:] == [25, 50, 75, 100]
    assert len({row["settings"] for row in read(folder / RESPONSES)}) == 1
    assert read(folder / RESPONSES)[0]["settings"] != read(measured / RESPONSES)[0]["settings"]


@pytest.mark.long
def test_sigterm_keeps_what_is_there(measured: Path, tmp_path: Path) -> None:
    """Stopped in the middle the stage exits with 143; started again it ends as if never stopped."""
    folder = tmp_path / "stopped"
    folder.mkdir()
    slow = PARAMETERS | {"batch": 2}
    status, _ = interrupted("baseline", folder, slow, signal.SIGTERM, (folder / PART).exists)

    assert status == 143, told(folder)
    assert not (folder / ASSESSMENT).exists()
    kept = len(read(folder / PART))
    assert 2 <= kept < 100
    assert measure_here(folder) == 0
    assert [row["few_shot"]["correct"] for row in read(folder / RESPONSES)] == [
        row["few_shot"]["correct"] for row in read(measured / RESPONSES)
    ]


def test_leaked_template_ends_the_stage(tmp_path: Path) -> None:
    """Chat markup in an instruction: the stage aborts before the model, and leaves no baseline."""
    leaked = records("held_out")
    leaked[1]["instruction"] = f"<|im_start|>user\n{leaked[1]['instruction']}"
    write(tmp_path / "own", {name: records(name) for name in TOPICS} | {"held_out": leaked})

    with pytest.raises(StageError, match="template leaked"):
        measure_here(tmp_path, instructions="own")
    findings = evaluate(load_stages({})["stage1a"].criteria, tmp_path)
    assert {one.status for one in findings} == {Verdict.FAIL}


def test_tokenizer_that_adds_tokens_ends_the_stage(tmp_path: Path) -> None:
    """A model whose tokenizer adds a token to each prompt is refused, whatever its template."""
    from tokenizers import Tokenizer, processors

    shutil.copytree(REPOSITORY / "remote/stages/small_model/model", tmp_path / "model")
    path = str(tmp_path / "model" / "tokenizer.json")
    inner = Tokenizer.from_file(path)
    inner.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    inner.save(path)

    with pytest.raises(StageError, match="adds tokens of its own"):
        measure_here(tmp_path, model="./model")
    assert not (tmp_path / ASSESSMENT).exists()


def test_record_without_verifier_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stage's last words name the file, the line and the remedy; it exits with 1."""
    rows = records("held_out")
    del rows[2]["checks"]
    write(tmp_path / "own", {name: records(name) for name in TOPICS} | {"held_out": rows})
    (tmp_path / "parameters.json").write_text(json.dumps(PARAMETERS | {"instructions": "own"}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODCTL_PARAMETERS", str(tmp_path / "parameters.json"))

    assert baseline.main() == 1
    said = capsys.readouterr().err
    assert "own/held_out.jsonl, line 3: no verifier" in said
    assert "remedy: say what a correct response is" in said


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sentinels", {"as_base_model": False}),
        ("types_reported", {"every_type": False}),
        ("tokens", {"special_tokens": 3, "tokens_added": 0}),
        ("explicit", {"raw": {"overall": {"n": 99}}, "few_shot": {"overall": {"n": 100}}}),
    ],
)
def test_criteria_fail_when_they_should(
    measured: Path, tmp_path: Path, key: str, value: dict[str, Any]
) -> None:
    """An obeyed sentinel, a type without a number, a special token or too few fail the stage."""
    folder = tmp_path / "bad"
    shutil.copytree(measured, folder)
    document = json.loads((folder / ASSESSMENT).read_text())
    (folder / ASSESSMENT).write_text(json.dumps(document | {key: value}))

    findings = evaluate(load_stages({})["stage1a"].criteria, folder)
    assert [one.status for one in findings].count(Verdict.FAIL) >= 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("explicit", 2),
        ("shots", 0),
        ("batch", 0),
        ("quantize", "int3"),
        ("seed", -1),
        ("tolerated", 3),
    ],
)
def test_parameters_are_checked(name: str, value: object) -> None:
    """A value that cannot work is refused before anything is loaded."""
    with pytest.raises(StageError, match=name):
        parse(BaselineParameters, json.dumps({name: value}).encode())


def test_too_many_shots_are_refused(tmp_path: Path) -> None:
    """More solved examples than the pool has: an error that says how many there are."""
    with pytest.raises(StageError, match="21 examples"):
        measure_here(tmp_path, shots=22)


def test_explicit_instructions_are_spread_over_the_types() -> None:
    """100 of the large set's held-out instructions: 25 of each type, the same for a seed."""
    held_out = load("english").held_out
    chosen = select_explicit(held_out, 100, seed=0)
    types = [one.type for one in held_out if one.text in set(chosen)]

    assert [types.count(name) for name in TYPES] == [25] * 4
    assert (
        chosen == select_explicit(held_out, 100, seed=0) != select_explicit(held_out, 100, seed=1)
    )
