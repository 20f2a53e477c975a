"""`podctl status` says how far a running job is, from any terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from controller.cli import status_view, status_watch
from controller.cli.main import run
from controller.clock import SystemClock
from controller.project.project import Project
from controller.status.overview import Overview, read_overview
from controller.terminal.terminal import Terminal
from state.database import open_database
from state.journal import Journal
from state.last_seen import LastSeen
from state.project_lock import acquire

SEEN = {
    "state": "running",
    "phase": "running",
    "step": 118,
    "max_steps": 400,
    "loss": 2.25,
    "source": "log",
    "seconds_per_step": 2.0,
    "step_age": 4.0,
    "patience": 300.0,
    "figures": {"learning_rate": 2e-5},
}
Say = Callable[..., None]


@pytest.fixture
def agent_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """A project with one run, of whose job the agent said something `age` seconds ago."""
    (tmp_path / "podctl.toml").write_text('[project]\nname = "p"\nprovider = "emulator"\n')
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.prepare()
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        name = journal.open_run(journal.open_lease({}), "sft", {})

    def say(data: dict[str, Any], age: float = 1.0) -> None:
        with acquire(project.state_dir, "test") as owner:
            at = time.time() - age
            LastSeen(owner.connection, lambda: at).see(f"run:{name}", "agent", data)

    return say


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    run(["status", "--cached", *words])
    return capsys.readouterr().out


def test_step_rate_time_left_loss_and_source_are_shown(
    agent_says: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a line of their own, which fits in 80 columns."""
    agent_says(SEEN)

    assert (
        "sft-0001: step 118/400, 2.0 s/it, 9 min left, loss 2.25, lr 2e-05 (log)"
        in shown(capsys).splitlines()
    )


def test_a_loss_that_is_nan_is_not_shown_as_the_last_finite_one(
    agent_says: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line of the steps and `--json` say so too."""
    agent_says({**SEEN, "loss_nan": True})

    line = next(row for row in shown(capsys).splitlines() if row.startswith("sft-0001: step"))
    assert "loss is NaN" in line
    assert "loss 2.25" not in line
    (row,) = json.loads(shown(capsys, "--json"))["runs"]
    assert row["progress"]["loss_nan"] is True


def test_programs_get_the_same(agent_says: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` has every number, and when the last step was."""
    agent_says(SEEN)
    (row,) = json.loads(shown(capsys, "--json"))["runs"]
    progress = row["progress"]

    assert (progress["step"], progress["max_steps"], progress["loss"]) == (118, 400, 2.25)
    assert (progress["seconds_per_step"], progress["seconds_left"]) == (2.0, 564.0)
    assert progress["step_at"] == pytest.approx(row["at"] - 4.0)
    assert progress["seconds_without_step"] is None
    assert progress["figures"] == {"learning_rate": 2e-5}


def test_that_no_step_comes_is_shown(agent_says: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of a rate that is no more."""
    agent_says(SEEN | {"step_age": 720.0})
    text, document = shown(capsys), json.loads(shown(capsys, "--json"))

    assert "sft-0001: step 118/400, no step for 12 min, loss 2.25" in text
    assert document["runs"][0]["progress"]["seconds_without_step"] == 720.0


def test_what_is_old_is_told_as_such(agent_says: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """A job of which nothing is known now was at that step."""
    agent_says(SEEN, age=600.0)

    assert "sft-0001: was at step 118/400" in shown(capsys)


@pytest.mark.parametrize("data", [{"state": "running"}, {"state": "ended", "step": 400}])
def test_a_job_without_steps_or_at_its_end_has_no_such_line(
    agent_says: Say, capsys: pytest.CaptureFixture[str], data: dict[str, Any]
) -> None:
    """And `progress` is null."""
    agent_says(data)

    assert "step" not in shown(capsys).replace("step 400", "")
    assert json.loads(shown(capsys, "--json"))["runs"][0]["progress"] is None


def test_what_runs_is_first_and_old_runs_are_left_out(
    agent_says: Say, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A run that ended over a day ago is only counted, unless --all or its name asks for it."""
    project = Project(tmp_path)
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        old = journal.open_run(journal.open_lease({}), "early", {})
        journal.finish_run(old, "failed", {"why": "exit 1"})
        new = journal.open_run(journal.open_lease({}), "late", {})
        journal.finish_run(new, "failed", {"why": "exit 2"})
        overview = read_overview(project, owner.connection, time.time() + 2 * 86_400)

    assert status_view._runs(overview, every=True)[0][0].run == "sft-0001"
    assert [run.run for run in status_view._runs(overview, every=False)[0]] == ["sft-0001"]
    assert status_view._runs(overview, every=False)[1] == 2
    agent_says(SEEN)
    text = shown(capsys)
    assert text.index("sft-0001") < text.index("late-0001") < text.index("STAGE")


def test_a_nan_loss_is_shown(agent_says: Say, capsys: pytest.CaptureFixture[str]) -> None:
    """Instead of the last finite one."""
    agent_says(SEEN | {"loss_nan": True})

    assert "loss is NaN" in shown(capsys, "sft")


def test_watching_in_a_pipe_is_a_line_for_each_change(
    agent_says: Say, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With its time; what stays the same is not repeated, and Ctrl-C ends it with 0."""
    project = Project(tmp_path)
    steps = iter([118, 118, 119])

    class Clock(SystemClock):
        def wait(self, seconds: float) -> None:
            assert seconds > 0

    def look(_due: bool) -> tuple[Overview, tuple[str, ...]]:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        agent_says(SEEN | {"step": step})
        with closing(open_database(project.database, readonly=True)) as connection:
            return read_overview(project, connection, time.time()), ()

    capsys.readouterr()
    assert status_watch.watch(Terminal(), look, Clock(), every=False) == 0
    lines = capsys.readouterr().out.splitlines()

    assert len(lines) == 2
    assert "sft-0001: running, step 118/400" in lines[0]
    assert "step 119/400" in lines[1]
    assert lines[0][:4].isdigit()
