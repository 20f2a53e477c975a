"""What `launch` and `gpu_count` ask of a stage, checked before anything is rented."""

from __future__ import annotations

from tests.support.laptop import Laptop

COMMAND = 'command = ["bash", "job.sh"]'


def test_gpus_that_a_stage_cannot_use_are_refused_before_renting(laptop: Laptop) -> None:
    """A built-in stage with two GPUs, `launch` before a shell: `check`, `plan` and `run` refuse
    with what to edit; a plain command with two GPUs is planned with a word about it."""
    laptop.write()
    path = laptop.folder / "podctl.toml"
    plain = path.read_text()
    path.write_text(plain.replace(COMMAND, f'{COMMAND}\nlaunch = "torchrun"'))
    shell = laptop.podctl("run", "hello", "-y", expect=2)
    checked = laptop.podctl("check", expect=2)
    path.write_text(
        plain.replace("[stages.hello.hardware]", "[stages.hello.hardware]\ngpu_count = 2")
    )
    planned = laptop.podctl("plan", "hello")
    path.write_text(
        plain.replace("[project]", '[project]\nplan = "stage1"')
        + "[stages.stage1a.hardware]\ngpu_count = 2\n"
    )
    built_in = laptop.podctl("check", "stage1a", expect=2)

    assert "needs a Python program" in shell.err
    assert "needs a Python program" in checked.err + checked.out
    assert "pays for 2 GPUs" in planned.out
    assert "stage1a uses one GPU, and gpu_count = 2 bills all" in built_in.err + built_in.out
    assert laptop.creates() == []
