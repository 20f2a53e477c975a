"""The Python API in a notebook's loop, on the project of a template: one play, several facts."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller import errors
from controller.api import Project, RunResult
from controller.locks import certificate
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.shell import Shell

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python-api.md"


def of_the_page() -> str:
    """The program of docs/python-api.md."""
    found = re.search(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def in_a_loop(program: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run it as a notebook's cell is: inside a running event loop."""

    async def cell() -> None:
        exec(compile(program, PAGE.name, "exec"), names)

    asyncio.run(cell())
    return names


@pytest.fixture
def shell(
    tmp_path: Path,
    cloud: EmulatedCloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """A project of the template own-script, in the folder `own`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", cloud.base_url)
    monkeypatch.setenv("RUNPOD_API_KEY", cloud.api_key)
    shell = Shell(tmp_path / "own", capsys)
    shell("init", "--template", "own-script", "own")
    file = tmp_path / "own" / "podctl.toml"
    file.write_text(file.read_text() + "\n[pod]\nsettle_seconds = 2\n")
    return shell


def test_the_program_of_the_page_runs(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a running loop, with a value that is set for the run: the result is typed, the lock says
    which value was set, the plain stage is another one, and its error is the documented class."""
    names = in_a_loop(of_the_page(), {})
    printed = shell._capsys.readouterr()
    run = names["run"]
    lock = certificate.read(tmp_path / "own", "train")
    monkeypatch.chdir(tmp_path / "own")
    why = shell("why", "train")
    with pytest.raises(errors.Locked):
        Project().run("train")

    assert isinstance(run, RunResult)
    assert (run.stage, run.outcome, run.passed) == ("train", "passed", True)
    assert json.loads((run.files / "runs/train/result.json").read_text())["steps"] == 60
    assert lock is not None
    assert lock.overrides == ("parameters.learning_rate=0.05", "hardware.max_usd_per_hour=1")
    assert lock.parameters["learning_rate"] == 0.05
    assert "parameter learning_rate was 0.05 by --set, is 0.1" in why
    assert printed.err == ""
    assert "train-0001 passed" in printed.out
    assert "('train', 'locked')" in printed.out


def test_a_detached_run_keeps_its_values(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`detach` is no error; other values are refused meanwhile; what is exec'ed on the pod has the
    job's variables; `sync`, which knows no --set, ends the run with its values."""
    monkeypatch.chdir(tmp_path / "own")
    project = Project()
    values = {"parameters.steps": 70, "env.SHADE": "blue"}
    (begun,) = project.run("train", set=values, detach=True)
    with pytest.raises(errors.UsageError) as other:
        project.run("train", set={"parameters.steps": 80})
    seen = shell("exec", "train", "--", "sh", "-c", "echo $PODCTL_RUN $SHADE")
    (ended,) = project.sync()

    assert begun.outcome == "unfinished"
    assert "parameters.steps is 70 in it" in other.value.cause
    assert seen.split() == ["train-0001", "blue"]
    assert (ended.run, ended.passed) == (begun.run, True)
    assert json.loads((tmp_path / "own/runs/train/result.json").read_text())["steps"] == 70
    assert ended.usd > 0
    assert project.cost().total.usd >= ended.usd
    assert project.status(cached=True).usd_per_hour == 0
    assert project.sync() == ()
    with pytest.raises(errors.NotFound):
        project.stop("nothing")


def test_no_question_is_asked(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What podctl would ask, secrets for instance, is an error that names the argument's flag."""
    monkeypatch.setenv("SHADE_KEY", "a-secret-of-a-test")
    file = tmp_path / "own" / "podctl.toml"
    file.write_text(
        file.read_text().replace("hours = 0.02", 'hours = 0.02\nsecrets = ["SHADE_KEY"]', 1)
    )
    with pytest.raises(errors.UsageError) as asked:
        Project(tmp_path / "own").run("train")

    assert "--give-secrets" in asked.value.hint
