"""`--set` and its kin change stages for one run; `[project] plan` says which stages there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.errors import NotFound, PodctlError, UsageError
from controller.locks.certificate import Certificate, Price
from controller.locks.staleness import differences
from controller.project.changes import changes_of
from controller.project.project import Project
from controller.project.stages import select
from jobs.stage import Stage

OWN = """
[stages.train]
command = ["python", "train.py", "{lr}"]
outputs = ["out/**"]
hours = 1
max_hours = 2
criteria = [{ kind = "exists", path = "out/x" }]
parameters = { lr = 2e-4, tag = "007", on = true, deep = { x = 1, "a.b" = 1 }, tags = ["a"] }
env = { SEED = "1" }
"""
CPU = OWN.replace("train", "cpu") + 'hardware = { cpu = "cpu5c" }\n'


def project(folder: Path, text: str) -> Project:
    (folder / "podctl.toml").write_text(text)
    return Project(folder)


def changed(
    folder: Path, *assignments: str, gpus: tuple[str, ...] = (), name: str = "train"
) -> Stage:
    changes = changes_of([name], assignments, gpus)
    return replace(project(folder, OWN + CPU), changes=changes).stage(name)


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("parameters.lr=1e-4", "lr", 1e-4),
        ("train.parameters.lr=1e-4", "lr", 1e-4),
        ("parameters.tag=008", "tag", "008"),
        ("parameters.tag=8", "tag", "8"),
        ("parameters.on=false", "on", False),
        ("parameters.deep.x=2", "deep", {"x": 2, "a.b": 1}),
        ('parameters.deep."a.b"=2', "deep", {"x": 1, "a.b": 2}),
        ('parameters.lr="auto"', "lr", "auto"),
        ('parameters.tags=["b", "c"]', "tags", ["b", "c"]),
        ('parameters.deep={"x": 3}', "deep", {"x": 3, "a.b": 1}),
        ("parameters.tag=", "tag", ""),
    ],
)
def test_a_parameter_is_set(tmp_path: Path, assignment: str, key: str, value: object) -> None:
    """As TOML or JSON has it; text stays text where text was."""
    assert changed(tmp_path, assignment).parameters[key] == value


def test_other_keys_are_set(tmp_path: Path) -> None:
    """Hours, variables, hardware; a stage of a CPU pod gets a GPU."""
    assert changed(tmp_path, "max_hours=5").max_hours == 5
    assert changed(tmp_path, "env.SEED=2").env == {"SEED": "2"}
    assert changed(tmp_path, "gpu_count=2").hardware.gpu_count == 2
    assert changed(tmp_path, gpus=("H100", "L40S")).hardware.gpus == ("H100", "L40S")
    assert changed(tmp_path, gpus=("H100",), name="cpu").hardware.cpu is None


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("parameters.lrr=1", "did you mean parameters.lr?"),
        ("lr=1", "--set parameters.lr=…"),
        ("max_hour=1", "did you mean max_hours?"),
        ("parameters.lr=nan", "parameters.lr must be a finite number"),
        ("max_hours=inf", "max_hours: must be a finite number"),
        ("parameters.on=False", "'False' is not true or false"),
        ("parameters.lr=1e-4x", "if it is meant as text: --set 'parameters.lr=\"1e-4x\"'"),
        ("parameters.lr=", "is not a number"),
        ("parameters.tags=a,b", "is not a list"),
        ("parameters.tags.0=b", "parameters.tags is no table"),
        ("parameters.deep.y=1", "has no parameter deep.y"),
        ("parameters..lr=1", "it has an empty part"),
        ("image=a b", "is no name of an image"),
        ("max_hours=0.1", "below the 1 expected"),
        ("max_hours=soon", "must be a number"),
        ("parameters.lr", "must be KEY=VALUE"),
    ],
)
def test_a_mistake_is_reported(tmp_path: Path, assignment: str, text: str) -> None:
    """A key that nothing reads would be a run with the old value."""
    with pytest.raises(UsageError) as caught:
        changed(tmp_path, assignment)

    assert text in f"{caught.value.what} {caught.value.hint}"


def test_a_key_and_its_short_form_are_one(tmp_path: Path) -> None:
    """Which of two values counts is not for podctl to choose."""
    with pytest.raises(UsageError, match="set twice"):
        changes_of(["train"], ["gpu_count=2", "hardware.gpu_count=4"])


def test_only_the_named_stage_is_changed(tmp_path: Path) -> None:
    """`train.` before a key means that one of several."""
    changes = changes_of(["train", "cpu"], ["train.max_hours=9"])
    both = replace(project(tmp_path, OWN + CPU), changes=changes).stages

    assert (both["train"].max_hours, both["cpu"].max_hours) == (9, 2)


def test_a_lock_says_which_values_were_set(tmp_path: Path) -> None:
    """Against podctl.toml, a lock of other values is stale and says by what; older locks keep
    their bytes."""
    stage = project(tmp_path, OWN).stage("train")
    lock = Certificate(
        stage="train", title="", run="train-0001", criteria=(), artifacts=(), outputs=("out/**",),
        asked=({"kind": "exists", "path": "out/x"},), command=stage.command, env=stage.env,
        parameters={**stage.parameters, "lr": 1e-4}, overrides=("parameters.lr=1e-4",),
        cost=Price(usd=0, hours=0), started_at=0, ended_at=0, locked_at=0,
    )  # fmt: skip
    found = [one.text for one in differences(stage, lock, {}, {}, "")]

    assert found == ["parameter lr was 0.0001 by --set, is 0.0002"]
    assert "overrides" not in lock.model_copy(update={"overrides": ()}).document()


@pytest.mark.parametrize(
    ("text", "made", "there"),
    [
        ("[budget]\n", "", True),
        (OWN, "", False),
        (OWN + "[stages.stage1c]\nhours = 1\n", "", True),
        (OWN.replace("hours = 1\n", 'hours = 1\nneeds = ["stage1b"]\n'), "", True),
        ('[project]\nmodel = "x/y"\n' + OWN, "", True),
        (OWN, "locks/stage1a.json", True),
        (OWN, ".podctl/runs/stage1a-0001/order.json", True),
        ('[project]\nplan = "stage1"\n' + OWN, "", True),
        ('[project]\nplan = "none"\n', "locks/stage1a.json", False),
    ],
)
def test_the_five_stages_are_there_where_they_are_wanted(
    tmp_path: Path, text: str, made: str, there: bool
) -> None:
    """By the key; without it, unless a project has stages of its own and none of the five."""
    if made:
        (tmp_path / made).parent.mkdir(parents=True)
        (tmp_path / made).write_text("{}")

    assert ("stage1a" in project(tmp_path, text).stages) is there


def test_without_stages_all_is_refused_and_a_missing_one_is_explained(tmp_path: Path) -> None:
    """`all` of nothing is no success; a stage of the plan is one key away."""
    empty = project(tmp_path, '[project]\nplan = "none"\n')
    errors: list[PodctlError] = []
    for names in (["all"], ["stage1a"]):
        with pytest.raises((UsageError, NotFound)) as caught:
            select(empty, names)
        errors.append(caught.value)

    assert "defines no stage" in errors[0].what
    assert 'plan = "stage1"' in errors[1].hint
