"""Names and sizes of a stage that `check`, `plan` and `run` refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.errors import UsageError
from controller.preflight.stage_definition import check_definitions
from controller.project.project import Project

TEXT = """[project]
provider = "emulator"

[stages.{name}]
title = "x"
command = ["true"]
outputs = ["out/**"]
hours = {hours}
max_hours = 1
criteria = [{{ kind = "exists", path = "out/x" }}]
hardware = {{ {hardware} }}
"""


def checked(folder: Path, name: str = "a", hours: str = "1", hardware: str = "") -> None:
    text = TEXT.format(name=name, hours=hours, hardware=hardware)
    (folder / "podctl.toml").write_text(text)
    project = Project(folder)
    check_definitions(project, [project.stage(name)])


@pytest.mark.parametrize("name", ["a-0001", "l0001", "devpod", "all"])
def test_a_stage_is_not_called_like_something_else(tmp_path: Path, name: str) -> None:
    """A run, a lease, the dev pod and all stages have names that commands take too."""
    with pytest.raises(UsageError) as caught:
        checked(tmp_path, name)
    assert "line 4" in caught.value.where


@pytest.mark.parametrize("name", ["run", "stop", "stage1", "a-1", "alls", "l1", "status"])
def test_other_names_are_free(tmp_path: Path, name: str) -> None:
    """Names of commands too: a command's own name stands before them."""
    checked(tmp_path, name)


@pytest.mark.parametrize(
    ("hours", "hardware"),
    [
        ('"1"', ""),
        ("true", ""),
        ("-1", ""),
        ("1", "gpu_count = true"),
        ("1", "gpu_count = 1.0"),
        ("1", 'cpu = "cpu5c", vcpu_count = 3'),
        ("1", "min_gpu_memory_gb = 100000"),
    ],
)
def test_a_size_that_cannot_be_is_refused(tmp_path: Path, hours: str, hardware: str) -> None:
    """Before anything is rented, and nothing is converted."""
    with pytest.raises(UsageError):
        checked(tmp_path, hours=hours, hardware=hardware)
