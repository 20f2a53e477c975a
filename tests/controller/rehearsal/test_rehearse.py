"""A rehearsal: the user's own stage on the emulator, and what would fail on the paid GPU."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.project.config import Config, parse
from controller.project.project import Project
from controller.rehearsal import findings, toml_text
from controller.rehearsal import overrides as sizes
from controller.rehearsal.emulated_cloud import JobFiles
from controller.rehearsal.report import FAIL, OPEN, PASS, SKIP, resumed
from controller.rehearsal.run import Kill
from controller.rehearsal.scratch_project import config
from jobs.catalog import load_stages
from jobs.criteria import evaluate
from jobs.stage import Criterion

ROOT = Path(__file__).resolve().parents[3]

CONFIG = """
[project]
name = "try"

[upload]
include = ["src"]

[stages.count]
title = "Count"
command = {command}
inputs = ["words.txt"]
outputs = {outputs}
hours = 3.0
max_hours = 9.0
checkpoints = ["out/step"]
criteria = [
    {{ kind = "value", path = "out/result.json", key = "steps", at_least = 99, title = "many" }},
    {{ kind = "exists", path = "{exists}", title = "it is there" }},
]
hardware = {{ gpus = ["NVIDIA L40S"] }}
"""

# Counts to 30, as a training with steps does, and waits at 20 for being killed the first time;
# {begin} is where it goes on from.
JOB = """
import json, os, time
from pathlib import Path

out = Path("out")
first = not Path("begun").exists()
Path("begun").touch()
out.mkdir(exist_ok={exist_ok})
step = {begin}
with open(os.environ["PODCTL_METRICS"], "a") as metrics:
    while step < 30:
        step += 1
        time.sleep(0.05)
        metrics.write(json.dumps({{"step": step, "max_steps": 30}}) + "\\n")
        metrics.flush()
        (out / "new").write_text(str(step))
        (out / "new").rename(out / "step")
        if first and step == 20:
            time.sleep(300)
(out / "result.json").write_text(json.dumps({{"steps": step}}))
"""
SILENT = """
import json, time
from pathlib import Path

first = not Path("begun").exists()
Path("begun").touch()
Path("out").mkdir(exist_ok=True)
Path("out/README.md").write_text("a model card")
if first:
    time.sleep(300)
Path("out/step").write_text("1")
Path("out/result.json").write_text(json.dumps({"steps": 1}))
"""
BAR = """
import json, time
from pathlib import Path

first = not Path("begun").exists()
Path("begun").touch()
print("Map: 100%|###| 500/500 [00:00<00:00]")
print(f"\\r  0%|   | 0/30 [00:00<?, ?it/s]", end="", flush=True)
for step in range(1, 31):
    print(f"\\r {step}%|#  | {step}/30 [00:01<00:09, 9it/s]", end="", flush=True)
    if step == 10:
        Path("out/checkpoint-10").mkdir(parents=True, exist_ok=True)
        Path("out/checkpoint-10/state").write_text("10")
    if first and step == 20:
        time.sleep(300)
Path("out/step").write_text("1")
Path("out/result.json").write_text(json.dumps({"steps": 1}))
"""
GOES_ON = 'int((out / "step").read_text()) if (out / "step").exists() else 0'
RUN = '["python", "src/count.py"]'


def write(
    folder: Path,
    *,
    command: str = RUN,
    outputs: str = '["out/**"]',
    exists: str = "out/step",
    begin: str = GOES_ON,
    exist_ok: bool = True,
) -> None:
    """A project with one stage of the user's own."""
    (folder / "src").mkdir(parents=True)
    (folder / "words.txt").write_text("one two three\n")
    (folder / "src" / "count.py").write_text(JOB.format(begin=begin, exist_ok=exist_ok))
    text = CONFIG.format(command=command, outputs=outputs, exists=exists)
    (folder / "podctl.toml").write_text(text)


def rehearse(folder: Path, stage: str = "count", *, expect: int) -> dict[str, Any]:
    """Phase to its line; no process of the rehearsal is left."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "controller", "rehearse", stage, "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    assert done.stdout, done.stderr
    assert left_running(folder) == []
    document = json.loads(done.stdout)
    assert document["schema"] == "podctl/rehearse/1"
    assert document["ok"] is (expect == 0)
    return {one["phase"]: one for one in document["phases"]}


def left_running(folder: Path) -> list[list[str]]:
    """Processes that were started for the rehearsal of this project."""
    found = []
    for process in psutil.process_iter():
        try:
            words, place = process.cmdline(), process.cwd()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if any(str(folder) in word for word in (*words, place)):
            found.append(words)
    return found


def statuses(phases: dict[str, Any]) -> dict[str, str]:
    return {name: one["status"] for name, one in phases.items()}


def test_a_sound_stage_passes_every_phase_and_leaves_the_project_as_it_was(tmp_path: Path) -> None:
    """It goes on where it was killed; a value below target is not judged; nothing is changed."""
    write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    phases = rehearse(tmp_path, expect=0)
    after = {
        path: path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and ".podctl" not in path.parts
    }

    assert set(statuses(phases).values()) == {PASS}
    assert "resumed at step" in phases["resume"]["detail"]
    assert "not judged at this size: many: 30" in phases["criteria"]["detail"]
    assert after == before
    assert not (tmp_path / ".podctl" / "state.db").exists()
    assert sorted(path.name for path in (tmp_path / ".podctl" / "rehearsal").iterdir()) == ["lock"]


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ((15, 16, 17), PASS),
        ((10, 11), PASS),  # from its newest checkpoint
        ((1, 2, 3), FAIL),
        ((15, 1, 2, 3), FAIL),  # the dying job reported one more step
        ((6, 7), OPEN),  # first seen so late that it may have begun anywhere
        ((), OPEN),
    ],
)
def test_a_job_that_begins_again_is_told_from_one_that_goes_on(
    after: tuple[int, ...], status: str
) -> None:
    """By the steps after the kill, of which the first may still be the dying job's."""
    kill = Kill(1.0, "out/step", tuple(range(1, 15)))

    assert resumed(kill, after).status == status


@pytest.mark.parametrize(("begun", "status"), [(1001, PASS), (2, FAIL), (900, FAIL)])
def test_a_job_with_checkpoints_goes_on_behind_the_oldest_of_them(begun: int, status: str) -> None:
    """Steps of a progress bar are seen now and then only: the first is not the first that was."""
    kill = Kill(1.0, "out/checkpoint-1000/a", (1, 400, 1000, 1200), None, 1000)

    assert resumed(kill, (begun, 1300)).status == status


def test_a_job_of_which_no_step_is_seen_is_not_said_to_go_on(tmp_path: Path) -> None:
    """A README is no checkpoint, and an end alone does not show where the second attempt began."""
    write(tmp_path)
    (tmp_path / "src" / "count.py").write_text(SILENT)
    phases = rehearse(tmp_path, expect=0)

    assert phases["save"]["status"] == phases["resume"]["status"] == OPEN
    assert "out/README.md was there" in phases["save"]["detail"]
    assert "no checkpoint" in phases["save"]["detail"]
    assert "reported no steps" in phases["resume"]["detail"]


def test_the_steps_of_a_progress_bar_tell_that_a_job_begins_again(tmp_path: Path) -> None:
    """As TRL's command does without an argument: its checkpoint is there, and it starts at 0."""
    write(tmp_path)
    (tmp_path / "src" / "count.py").write_text(BAR)
    phases = rehearse(tmp_path, expect=1)

    assert "out/checkpoint-10/state" in phases["save"]["detail"]
    assert phases["resume"]["status"] == FAIL
    assert "started again at step 1, although" in phases["resume"]["detail"]


def test_everything_that_would_fail_is_said_at_once(tmp_path: Path) -> None:
    """A key among the files, a glob without files, a criterion without its file, a job that begins
    again: each is a FAIL with its mend."""
    write(tmp_path, outputs='["out/**", "model/**"]', exists="out/never.json", begin="0")
    (tmp_path / "src" / ".env").write_text("TOKEN=abc\n")
    phases = rehearse(tmp_path, expect=1)
    failed = {name for name, status in statuses(phases).items() if status == FAIL}

    assert failed == {"secrets", "resume", "outputs", "criteria"}
    assert ".env" in phases["secrets"]["detail"]
    assert "started again at step 1" in phases["resume"]["detail"]
    assert "model/**" in phases["outputs"]["detail"]
    assert "it is there: out/never.json: no such file" in phases["criteria"]["detail"]
    assert all(phases[name]["mend"] for name in failed)


def test_a_second_attempt_that_fails_is_a_job_that_does_not_resume(tmp_path: Path) -> None:
    """What the job said is in the line."""
    write(tmp_path, exist_ok=False)
    phases = rehearse(tmp_path, expect=1)

    assert phases["resume"]["status"] == FAIL
    assert "FileExistsError" in phases["resume"]["detail"]


def test_a_command_that_is_not_there_is_found(tmp_path: Path) -> None:
    """The job never began, so nothing could be interrupted."""
    write(tmp_path, command='["no-such-program", "x"]')
    phases = rehearse(tmp_path, expect=1)

    assert "command not found: no-such-program" in phases["start"]["detail"]
    assert phases["kill"]["status"] == SKIP
    assert phases["shutdown"]["status"] == PASS


def test_a_missing_input_ends_it_before_anything_is_rented(tmp_path: Path) -> None:
    """Named with what to do; the phases that need it are skipped."""
    write(tmp_path)
    (tmp_path / "words.txt").unlink()
    for name in ("state", "jobs", "remote"):  # a project's own folders are not podctl's packages
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not podctl')")
    phases = rehearse(tmp_path, expect=1)

    assert "words.txt" in phases["inputs"]["detail"]
    assert phases["inputs"]["mend"] == "put it there"
    assert phases["upload"]["status"] == SKIP


def test_an_unknown_parameter_of_a_stage_of_podctls_own_is_found(tmp_path: Path) -> None:
    """What the stage's own program would say on the pod is said before anything runs."""
    (tmp_path / "podctl.toml").write_text(
        "[stages.stage1c]\n"
        "parameters = { learning_rat = 1.0 }\n"
        'environment = { kind = "none" }\n'  # this machine need not have the training stack
    )
    phases = rehearse(tmp_path, "stage1c", expect=1)

    assert "parameter learning_rat is unknown" in phases["config"]["detail"]
    assert phases["upload"]["status"] == SKIP
    assert "stood in" in phases["inputs"]["detail"]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_stage1c_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """The real thing, with the small model: killed after a checkpoint, it goes on behind it."""
    pytest.importorskip("trl", reason="the training stack is not installed")
    (tmp_path / "podctl.toml").write_text(
        '[project]\nmodel = "Qwen/Qwen2.5-32B"\n'
        '[stages.stage1c.environment]\nkind = "none"\n'  # each check of it imports torch: slow
    )
    phases = rehearse(tmp_path, "stage1c", expect=0)
    killed, resumed = map(int, re.findall(r"at step (\d+)", phases["resume"]["detail"]))

    assert set(statuses(phases).values()) == {PASS}
    assert "checkpoints/stage1_sft/checkpoint-" in phases["save"]["detail"]
    assert 1 < resumed <= killed + 2
    assert "needs about" in phases["hardware"]["detail"]


def test_an_unknown_stage_is_no_rehearsal(tmp_path: Path) -> None:
    """Exit code 3, as everywhere; nothing is made."""
    write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "controller", "rehearse", "cuont"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 3
    assert "count" in done.stderr
    assert not (tmp_path / ".podctl").exists()


@pytest.mark.parametrize("name", ["stage1a", "stage1b", "stage1c", "stage1d", "stage1e"])
def test_every_stage_of_the_plan_has_a_small_config(tmp_path: Path, name: str) -> None:
    """What is written for it is a podctl.toml that holds, on the emulator."""
    (tmp_path / "podctl.toml").write_text("")
    project = Project(tmp_path)
    project.__dict__["config"] = Config()
    tables = config(project, load_stages({})[name], 10.0)
    found = parse(toml_text.document(tables))
    stage = load_stages(found.stages)[name]

    assert found.project.provider == "emulator"
    assert stage.parameters["model"] == sizes.MODEL
    assert stage.needs == ()
    assert stage.hardware.gpus == ()
    assert stage.criteria == load_stages({})[name].criteria


def test_small_parameters_are_parameters_of_the_stage() -> None:
    """Each program takes what a rehearsal gives it."""
    from remote.stages.baseline import BaselineParameters
    from remote.stages.common.parameters import DpoParameters, SftParameters
    from remote.stages.common.parameters import parse as parameters_of
    from remote.stages.datagen.parameters import GenerateParameters
    from remote.stages.evaluate import EvaluateParameters

    kinds: dict[str, type] = {
        "stage1a": BaselineParameters,
        "stage1b": GenerateParameters,
        "stage1c": SftParameters,
        "stage1d": DpoParameters,
        "stage1e": EvaluateParameters,
    }
    for name, kind in kinds.items():
        given_ = json.dumps(dict(sizes.parameters(load_stages({})[name]))).encode()

        assert parameters_of(kind, given_).model == "small"


def test_a_users_own_stage_keeps_its_parameters() -> None:
    """Its command runs unchanged, with what it is given."""
    table = {
        "command": ["python", "mine.py"],
        "outputs": ["x"],
        "criteria": [{"kind": "exists", "path": "x"}],
        "hours": 1,
        "max_hours": 1,
        "parameters": {"model": "mine"},
    }
    own = load_stages({"own": table})["own"]

    assert sizes.parameters(own) == {"model": "mine"}


LOG = "".join(json.dumps({"loss": 3.0 - n / 10}) + "\n" for n in range(4))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"kind": "value", "path": "a.json", "key": "x", "at_least": 1}, "hold"),
        ({"kind": "value", "path": "a.json", "key": "x", "at_least": 9}, "open"),
        ({"kind": "value", "path": "a.json", "key": "s", "equals": "PASS"}, "open"),
        ({"kind": "value", "path": "a.json", "key": "s", "equals": 3}, "broken"),
        ({"kind": "value", "path": "a.json", "key": "s", "at_least": 3}, "broken"),
        ({"kind": "value", "path": "a.json", "key": "y", "at_least": 1}, "broken"),
        ({"kind": "value", "path": "b.json", "key": "x", "at_least": 1}, "broken"),
        ({"kind": "exists", "path": "b.json"}, "broken"),
        ({"kind": "opens", "path": "**/*.safetensors"}, "broken"),
        ({"kind": "lines", "path": "log.jsonl", "at_least": 800}, "open"),
        ({"kind": "lines", "path": "log.json", "at_least": 800}, "broken"),
        ({"kind": "decreases", "path": "log.jsonl", "key": "loss"}, "open"),
        ({"kind": "decreases", "path": "log.jsonl", "key": "lost"}, "broken"),
        ({"kind": "decreases", "path": "gone.jsonl", "key": "loss"}, "broken"),
    ],
)
def test_only_what_a_small_run_explains_stays_open(
    tmp_path: Path, fields: dict[str, Any], kind: str
) -> None:
    """A value that is there may be too small; a file or key that is not there will never be."""
    (tmp_path / "a.json").write_text('{"x": 2, "s": "FAIL"}')
    (tmp_path / "log.jsonl").write_text(LOG)
    criterion = Criterion(**fields)

    judged = findings.sort([criterion], evaluate([criterion], tmp_path))

    assert len(getattr(judged, kind)) == 1


SCALARS = (
    st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",)))
)
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.text('ab." é', max_size=3), below, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.text("ab c", min_size=1), st.dictionaries(st.text("xy"), VALUES), max_size=3)
)
def test_what_is_written_as_toml_is_read_back_the_same(tables: dict[str, dict[str, Any]]) -> None:
    """Any text, number, list and table."""
    assert tomllib.loads(toml_text.document(tables)) == tables
    assert math.isclose(tomllib.loads(f"x = {toml_text.value(1e-07)}")["x"], 1e-07)


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        ((), "out/checkpoint-20/config.json"),
        (("out/checkpoint-*/trainer_state.json",), None),
        (("out/checkpoint-*/config.json",), "out/checkpoint-20/config.json"),
    ],
)
def test_where_a_stage_names_its_checkpoints_one_that_is_half_written_is_none(
    tmp_path: Path, patterns: tuple[str, ...], found: str | None
) -> None:
    """Killed between its first and its last file, a job would rightly not go on from it."""
    half = tmp_path / "work" / "out" / "checkpoint-20"
    half.mkdir(parents=True)
    (half / "config.json").write_text("{}")

    assert JobFiles(tmp_path).saved(patterns) == found
