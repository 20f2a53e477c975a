"""Every wait that ends by itself says when, and a running job what matters most of it."""

from __future__ import annotations

import dataclasses

import pytest

from controller.leases.progress_line import job_line
from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.job_progress import JobProgress
from controller.planner.lease_state import PendingTermination
from controller.planner.observation import Contact, Observation
from controller.planner.policy import Policy
from controller.providers.base import PodStatus
from remote.contract import Progress
from tests.controller.planner.test_decide import agent, lease_state, pod, running, seen

POLICY = Policy()
BOOTING = pod(PodStatus.STARTING)


@pytest.mark.parametrize(
    ("look", "until"),
    [
        (seen(lease_state(reached=False), BOOTING, booting_since=900.0), 900.0 + POLICY.boot),
        (
            seen(lease_state(running()), pod(), contact=Contact(False), silent_since=990.0),
            990.0 + POLICY.lost,
        ),
        (
            seen(lease_state(reached=False), pod(), contact=Contact(False), silent_since=990.0),
            990.0 + POLICY.ssh,
        ),
        (
            seen(lease_state(), pod(), contact=Contact(True), guard_since=990.0),
            990.0 + POLICY.guard,
        ),
        (seen(lease_state(), missing_since=990.0), 990.0 + POLICY.settle),
        (
            seen(lease_state(pod=None, had_pod=False, unsettled=True), probing_since=990.0),
            990.0 + POLICY.settle,
        ),
        (
            seen(
                lease_state(pod=None, pending_terminations=(PendingTermination("p0"),)),
                asked={"p0": 900.0},
                owing_since=900.0,
            ),
            900.0 + POLICY.settle,
        ),
        (
            seen(lease_state(running()), pod(), contact=agent("running"), max_seconds=3600.0),
            1000.0 + 3600.0,
        ),
    ],
    ids=["boot", "silence", "first-ssh", "guard", "missing", "unclear", "settle", "job"],
)
def test_a_wait_knows_when_it_ends(look: Observation, until: float) -> None:
    """The deadline is that by which the planner itself acts."""
    action = decide(look, POLICY)

    assert isinstance(action, actions.Wait)
    assert action.until == until


def test_a_deadline_decides_nothing() -> None:
    """Two waits for the same are the same action, whatever is told of them."""
    assert actions.Wait(3.0, "for it", 5.0) == actions.Wait(3.0, "for it")


PROGRESS = Progress(
    118,
    4000,
    2.25,
    source="log",
    seconds_per_step=2.0,
    step_age=1.0,
    patience=300.0,
    figures={"learning_rate": 2e-5},
)


def line(progress: Progress, width: int = 1000, until: float | None = None) -> str:
    look = agent("running", phase="running", progress=progress, gpu_util=97.0, cpu_util=40.0)
    assert look.status is not None
    seen_now = seen(lease_state(running()), pod(), contact=look, spent_usd=0.5)
    return job_line(
        running(),
        look.status,
        seen_now,
        JobProgress(),
        pulled=(12, 3_100_000),
        until=until,
        width=width,
    )


def test_a_running_job_is_told_whole_where_there_is_room() -> None:
    """Step, pace, time left, loss, figures, load, files here, money and where the step is from."""
    assert line(PROGRESS) == (
        "stage1c-0001: running  step 118/4000  2.0 s/it  2 h 9 min left  loss 2.2500  lr 2e-05"
        "  GPU 97%  CPU 40%  12 files downloaded, 3.1 MB  $0.5000  (steps: log)"
    )


def test_80_columns_keep_step_time_left_loss_and_money() -> None:
    """What matters less goes, and nothing is cut in the middle."""
    assert line(PROGRESS, 79) == (
        "stage1c-0001: running step 118/4000 2.0 s/it 2 h 9 min left loss 2.2500 $0.5000"
    )
    short = dataclasses.replace(PROGRESS, max_steps=240)
    assert line(short, 79) == (
        "stage1c-0001: running  step 118/240  2.0 s/it  4 min left  loss 2.2500  $0.5000"
    )


def test_the_limit_is_told_where_the_job_may_meet_it() -> None:
    """A job that needs more time than `max_hours` leaves, or of which that is not known."""
    near, far = 1000.0 + 3600.0, 1000.0 + 36_000.0

    assert "max_hours ends it in 60 min" in line(PROGRESS, until=near)
    assert "max_hours" not in line(PROGRESS, until=far)
    assert "max_hours ends it in 10 h 0 min" in line(Progress(), until=far)
