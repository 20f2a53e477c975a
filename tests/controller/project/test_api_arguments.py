"""`Project.run` of the Python API refuses what the command line refuses, before anything begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controller import api_arguments
from controller.api import Project
from controller.errors import UsageError
from controller.project import project as folders

OWN = """
[project]
plan = "none"
provider = "emulator"

[stages.train]
command = ["python", "train.py"]
outputs = ["out/**"]
hours = 1
max_hours = 2
criteria = [{ kind = "exists", path = "out/x" }]
parameters = { steps = 3, tag = "a" }
image = "me/image:1"
"""


@pytest.mark.parametrize(
    ("stages", "options", "text"),
    [
        ((), {}, "needs the name of a stage"),
        ((["train"],), {}, "a stage is named by text"),
        (("train",), {"set": {"parameters.steps": Path("x")}}, "cannot be written as JSON"),
        (("train",), {"set": {"parameters.steps": float("nan")}}, "is not a number"),
        (("train",), {"set": "parameters.steps=3"}, "must be a dictionary"),
        (("train",), {"budget_usd": -1}, "budget_usd must be over 0"),
        (("train",), {"budget_usd": float("nan")}, "budget_usd must be over 0"),
        (("train",), {"disposal": "stop"}, "terminate, park, keep"),
        (("train",), {"fresh": True, "resume": "train-0001"}, "cannot be combined"),
        (("train",), {"max_usd_per_hour": 0}, "must be greater than 0"),
    ],
)
def test_a_value_that_cannot_be_is_a_usage_error(
    tmp_path: Path, stages: tuple[Any, ...], options: dict[str, Any], text: str
) -> None:
    """And no exception of another kind, nor a run with another value."""
    (tmp_path / "podctl.toml").write_text(OWN)
    with pytest.raises(UsageError) as caught:
        Project(tmp_path).run(*stages, **options)

    assert text in caught.value.what
    assert not (tmp_path / ".podctl" / "state.db").exists()


def test_values_arrive_as_they_are(tmp_path: Path) -> None:
    """Letters of all alphabets, control characters, None; one GPU type may be a text."""
    (tmp_path / "podctl.toml").write_text(OWN)
    values = {"parameters.tag": '😀 \x7f \n "q" null', "image": None, "title": "null"}
    changes = api_arguments.changes(["train"], values, "H100", None)
    stage = folders.Project(tmp_path, changes).stage("train")

    assert stage.parameters["tag"] == values["parameters.tag"]
    assert (stage.image, stage.title, stage.hardware.gpus) == (None, "null", ("H100",))
