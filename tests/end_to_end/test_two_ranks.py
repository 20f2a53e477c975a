"""Two ranks over gloo on the emulator: one is lost, one hangs, both save at a stop, both go on."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.end_to_end.how_to import ALL, change
from tests.end_to_end.how_to_faults import Play
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.training_stack import ON_ONE_WORKER

pytestmark = ON_ONE_WORKER
HOW_TOS = {one.stage: one for one in ALL if one.name == "ddp"}


def ranks(cloud: EmulatedCloud, tmp_path: Path, launcher: str) -> Play:
    how_to = HOW_TOS[launcher]
    project = how_to.copy(tmp_path / "none", tmp_path / "project")
    return Play(how_to, cloud, project, random.Random(0))


def lost_and_stopped(it: Play) -> None:
    """SIGKILL of rank 1, a run that goes on, `podctl stop`, and a run that goes on again."""
    stage = it.how_to.stage
    first = it.start("run", stage, "-y")
    it.await_step(first, 25)
    it.trainers()[1].kill()
    assert it.ended(first) == 1
    assert f"podctl run {stage} resumes from" in it.told[-1]

    it.number = 2
    second = it.start("run", stage, "-y")
    it.await_step(second, 5)
    os.killpg(second.pid, signal.SIGINT)
    it.ended(second)
    it.podctl("stop", stage, "-y")
    stopped = it.log()
    assert "rank 0 begins after 20" in stopped
    assert "rank 1 begins after 20" in stopped
    (at,) = {int(one) for one in _after("rank 0 stops after ", stopped)}
    assert _after("rank 1 stops after ", stopped) == [str(at)]
    assert f"saved at {at}" in stopped

    it.number = 3
    assert it.podctl("run", stage, "-y") == 0, it.told[-1]
    assert f"rank 0 begins after {at}" in it.log()
    assert f"rank 1 begins after {at}" in it.log()
    assert it.locked
    assert it.how_to.done(it.project) - it.how_to.steps < it.how_to.interval


def _after(words: str, log: str) -> list[str]:
    return [line.removeprefix(words) for line in log.splitlines() if line.startswith(words)]


def test_two_ranks_lose_one_are_stopped_and_go_on_each_time(
    cloud: EmulatedCloud, tmp_path: Path
) -> None:
    """torchrun: a lost rank ends the job and is told; at a stop both ranks save the same step."""
    lost_and_stopped(ranks(cloud, tmp_path, "torchrun"))


@pytest.mark.long
def test_the_same_below_accelerate(cloud: EmulatedCloud, tmp_path: Path) -> None:
    """`accelerate launch` with two processes is no worse than torchrun."""
    lost_and_stopped(ranks(cloud, tmp_path, "accelerate"))


@pytest.mark.long
def test_a_rank_that_hangs_is_a_stall_that_is_ended_and_begun_again(
    cloud: EmulatedCloud, tmp_path: Path
) -> None:
    """The other rank waits in the collective; after stall_minutes all go, and both go on."""
    it = ranks(cloud, tmp_path, "torchrun")
    config = it.project / "podctl.toml"
    change(config, "stall_minutes = 20", "stall_minutes = 0.75")
    change(config, "grace_seconds = 40", "grace_seconds = 5")
    run = it.start("run", "torchrun", "-y")
    it.await_step(run, 25)
    it.trainers()[1].send_signal(signal.SIGSTOP)

    assert it.ended(run) == 0, it.told[-1]
    assert it.locked
    assert "starting the job again (it stalled: " in it.told[-1]
    assert "rank 1 begins after 20" in it.log()
    assert it.how_to.done(it.project) - it.how_to.steps < it.how_to.interval
