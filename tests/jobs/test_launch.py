"""`launch`: one process a GPU, by torchrun or accelerate."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.launch import command_line, idle_gpus, problem
from jobs.stage import Stage


def stage(*command: str, gpus: int = 1, **fields: Any) -> Stage:
    return Stage.model_validate(
        {
            "name": "train",
            "title": "Train",
            "command": list(command),
            "outputs": ["out/**"],
            "criteria": [{"kind": "opens", "path": "out/*"}],
            "hours": 1,
            "max_hours": 2,
            "hardware": {"gpu_count": gpus},
            **fields,
        }
    )


def test_the_program_runs_below_its_launcher() -> None:
    """Its own words follow the launcher's, with the values of parameters; without `launch` the
    command stays; a module and one GPU do as well."""
    words = ("python", "train.py", "--lr", "{lr}")
    two = stage(*words, gpus=2, launch="torchrun", parameters={"lr": 0.1})
    assert command_line(two)[-4:] == ("2", "train.py", "--lr", "0.1")
    assert command_line(two)[:3] == ("python", "-m", "torch.distributed.run")
    plain = stage(*words, gpus=2, parameters={"lr": 0.1})
    assert command_line(plain) == ("python", "train.py", "--lr", "0.1")
    module = command_line(stage("python3", "-m", "pkg.train", gpus=2, launch="accelerate"))
    assert module[-3:] == ("--multi_gpu", "-m", "pkg.train")
    assert "--multi_gpu" not in command_line(stage("python", "t.py", launch="accelerate"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("bash", "train.sh"), "needs a Python program"),
        (("python",), "needs a Python program"),
        (("python", "-c", "print()"), "cannot pass -c"),
        (("python", "-u", "train.py"), "cannot pass -u"),
        (("python", "-m", "accelerate.commands.launch", "train.py"), "launcher of its own"),
        (("python", "-m", "torch.distributed.run", "train.py"), "launcher of its own"),
    ],
)
def test_what_cannot_be_launched_is_said(command: tuple[str, ...], words: str) -> None:
    """A shell, options of the interpreter, a launcher below a launcher."""
    assert words in problem(stage(*command, launch="torchrun"))
    assert problem(stage(*command)) == ""


def test_gpus_that_nothing_uses_are_noticed() -> None:
    """Two GPUs and a plain command, but not with a launcher, its own or podctl's, nor on a CPU."""
    assert idle_gpus(stage("python", "train.py", gpus=2))
    assert not idle_gpus(stage("python", "train.py"))
    assert not idle_gpus(stage("python", "train.py", gpus=2, launch="torchrun"))
    assert not idle_gpus(stage("sh", "-c", "accelerate launch t.py", gpus=2))
    assert not idle_gpus(stage("torchrun", "t.py", gpus=4))
