"""What podctl expects of its own stages, by what is in the project and by its earlier runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.costs.stage_work import SETS
from controller.preflight.earlier_times import earlier_runs
from controller.preflight.stage_amounts import amounts_of, model_of
from controller.preflight.stage_expectation import expectation_of, predictable
from controller.project.pod_settings import shape_of
from controller.project.project import Project
from tests.controller.transfer.test_snapshot import lay
from tests.support.shell import Shell

CONFIG = """
[project]
plan = "stage1"
model = "{model}"
provider = "emulator"
{more}
"""
CONFIG_JSON = {
    "hidden_size": 5120,
    "num_hidden_layers": 64,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "intermediate_size": 27_648,
    "vocab_size": 152_064,
}
GPU = "NVIDIA L40S"


def project_of(folder: Path, *, model: str = "Qwen/Qwen2.5-32B", more: str = "") -> Project:
    lay(folder, {"podctl.toml": CONFIG.format(model=model, more=more)})
    return Project(folder)


def hours(project: Project, name: str) -> float:
    (prediction,) = expectation_of(project, [project.stages[name]], shape_of(project)).on(GPU)
    return prediction.hours


def certificate(run: str, stage: str = "stage1c", **parameters: Any) -> str:
    return json.dumps(
        {"stage": stage, "run": run, "cost": {"hardware": GPU}, "parameters": parameters}
    )


def exit_record(seconds: float, **changes: Any) -> str:
    record = {
        **{"run": "r", "attempt": 1, "rc": 0, "reason": "exited", "detail": "", "schema": 1},
        **{"manifest_sha256": "", "log_size": 0, "started_at": 1.0, "ended_at": 1.0 + seconds},
    }
    return json.dumps(record | changes)


def test_the_data_that_1b_made_counts_before_the_sets_own_amount(tmp_path: Path) -> None:
    """Ten times the pairs take longer; a file of another form says nothing."""
    project = project_of(tmp_path)
    before = hours(project, "stage1c")
    pair = {"instruction": "Name a colour.", "response": "r" * 200, "prompt": "x" * 9000}
    lay(tmp_path, {"data/stage1/sft_training_data.jsonl": (json.dumps(pair) + "\n") * 10_000})
    amounts = amounts_of(project.stages["stage1c"], tmp_path)
    after = hours(project, "stage1c")
    lay(tmp_path, {"data/stage1/sft_training_data.jsonl": '{"text": "x"}\nnot JSON\n[]\n'})

    assert amounts is not None
    assert amounts.training_tokens == pytest.approx(10_000 * 214 / 3.3)
    assert after > 2 * before
    assert hours(project, "stage1c") == before


def test_a_better_sft_model_makes_1d_sample_more(tmp_path: Path) -> None:
    """Its failures are what pairs are made of; a figure that is none is not taken."""
    project, development = project_of(tmp_path), "checkpoints/stage1_sft/development.json"
    times = []
    for rate in ("0.5", "0.97", '"good"', "7"):
        lay(tmp_path, {development: f'{{"overall": {{"rate": {rate}}}}}'})
        times.append(hours(project, "stage1d"))
    (tmp_path / development).unlink()

    assert times[0] < hours(project, "stage1d") < times[1]
    assert times[2] == times[3] == hours(project, "stage1d")


def test_a_folder_of_instructions_is_counted(tmp_path: Path) -> None:
    """Its own lines and lengths; without one of its files there is no prediction."""
    project = project_of(tmp_path)
    stage = project.stages["stage1a"].model_copy(update={"parameters": {"instructions": "mine"}})
    line = json.dumps({"instruction": "i" * 33, "answer": "a" * 66, "type": "qa"}) + "\n"
    lay(tmp_path, {"mine/train.jsonl": line * 30, "mine/development.jsonl": line * 20})
    without = amounts_of(stage, tmp_path)
    lay(tmp_path, {"mine/held_out.jsonl": line * 10})
    amounts = amounts_of(stage, tmp_path)

    assert without is None
    assert amounts is not None
    assert (amounts.train, amounts.development, amounts.held_out) == (30, 20, 10)
    assert amounts.prompt_tokens == pytest.approx(10)
    assert amounts.answer_tokens == pytest.approx(20)


@pytest.mark.parametrize("change", [{}, {"quantization_config": {}}, {"head_dim": 128}])
def test_a_models_own_config_gives_its_shape(tmp_path: Path, change: dict[str, Any]) -> None:
    """A folder with the config.json of the 32B is the 32B, in NF4 if the folder says so."""
    known, _ = model_of(project_of(tmp_path).stages["stage1a"], tmp_path)
    lay(tmp_path, {"base/config.json": json.dumps(CONFIG_JSON | change)})
    project = project_of(tmp_path, model="base")

    assert model_of(project.stages["stage1a"], tmp_path) == (known, "quantization_config" in change)


@pytest.mark.parametrize(
    "config", ["", "[]", "{}", json.dumps(CONFIG_JSON | {"vocab_size": "many"}), "[" * 100_000]
)
def test_a_config_that_cannot_be_read_leaves_the_hours(tmp_path: Path, config: str) -> None:
    """The stage's own `hours` count then, on every offer, and nothing fails."""
    lay(tmp_path, {"base/config.json": config})
    project = project_of(tmp_path, model="base")
    expectation = expectation_of(project, [project.stages["stage1c"]], shape_of(project))

    assert not expectation.predicted
    assert expectation.hours(GPU) == project.stages["stage1c"].hours


def test_hours_of_the_user_and_own_stages_are_not_predicted(tmp_path: Path) -> None:
    """Who sets `hours` knows better; an own stage's work is unknown."""
    own = '[stages.own]\nrun = "true"\noutputs = ["o"]\nhours = 1\nmax_hours = 2'
    own += '\ncriteria = [{ kind = "exists", path = "o" }]'
    project = project_of(
        tmp_path,
        more=f"[stages.stage1c]\nhours = 1.25\n{own}".replace('run = "true"', 'command = ["true"]'),
    )
    named = {name: predictable(stage) for name, stage in project.stages.items()}

    assert named == {
        "stage1a": True, "stage1b": True, "stage1c": False, "stage1d": True, "stage1e": True,
        "own": False,
    }  # fmt: skip
    assert hours(project, "stage1c") == 1.25


def test_passed_runs_of_the_project_correct_the_prediction(tmp_path: Path) -> None:
    """The newest counts, its lock ended or not; a resumed one did a part of the work."""
    project = project_of(tmp_path, model="base", more="")
    lay(tmp_path, {"base/config.json": json.dumps(CONFIG_JSON)})
    parameters = project.stages["stage1c"].parameters
    before = hours(project, "stage1c")
    folder = ".podctl/runs"
    lay(
        tmp_path,
        {
            "locks/stage1c.json": certificate("stage1c-0003", **parameters),
            f"{folder}/stage1c-0003/exit.json": exit_record(7200 * before, attempt=2),
            "locks/archive/stage1c-1.json": json.dumps(
                {"certificate": json.loads(certificate("stage1c-0002", **parameters))}
            ),
            f"{folder}/stage1c-0002/exit.json": exit_record(3600 * before * 1.5 + 400),
            "locks/archive/stage1c-2.json": "{",
            "locks/archive/stage1c-3.json": certificate("../stage1c-0001", **parameters),
        },
    )
    (run,) = earlier_runs(project.root, project.runs, "stage1c")
    (prediction,) = expectation_of(project, [project.stages["stage1c"]], shape_of(project)).on(GPU)

    assert run.gpu == GPU
    assert prediction.source == "this project"
    # 15 s of a cold disk are expected of every pod besides; a folder's model is not downloaded.
    assert prediction.hours == pytest.approx(before * 1.5 + 385 / 3600)


def test_plan_shows_time_and_dollars_of_each_stage_and_offer(shell: Shell) -> None:
    """The tables fit 80 columns; --json has every offer; the worst case keeps to max_hours."""
    file = shell.project.file
    text = file.read_text().replace(
        "[project]", '[project]\nplan = "stage1"\nmodel = "Qwen/Qwen2.5-32B"'
    )
    file.write_text(text.replace("project_usd = 50.0", "project_usd = 500.0"))
    shown = shell("plan", "stage1a", "stage1b")
    (pod,) = shell.json("plan", "stage1a", "stage1b")["pods"]

    assert "STAGE" in shown
    assert "derived" in shown
    costs = [offer["usd"] for offer in pod["expected"]]
    assert costs == sorted(costs)
    assert [stage["stage"] for stage in pod["expected"][0]["stages"]] == ["stage1a", "stage1b"]
    assert pod["hours"] == pytest.approx(pod["expected"][0]["hours"])
    assert pod["quote"]["worst"]["hours"] > pod["max_hours"] > pod["hours"]
    assert pod["quote"]["dearest"]["usd_per_hour"] == max(
        offer["usd_per_hour"] for offer in pod["expected"]
    )
    assert SETS["english"].held_out == 573
