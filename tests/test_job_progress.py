"""What the live line says of a job's steps: rate, time left, and that none comes any more."""

from __future__ import annotations

import pytest

from controller.job_progress import JobProgress, span
from remote.contract import Progress


def seen(*looks: tuple[int, float]) -> JobProgress:
    pace = JobProgress()
    for step, now in looks:
        pace.see(step, now)
    return pace


def test_rate_and_time_left_follow_from_what_this_podctl_saw() -> None:
    """A step every 2 s, 90 of them left: 2.0 s/it and 3 minutes."""
    pace = seen((10, 100.0), (20, 120.0))

    assert pace.words(Progress(20, 110), 121.0) == ["step 20/110", "2.0 s/it", "3 min left"]


def test_one_look_makes_no_rate() -> None:
    """Where a job was when podctl came says nothing of how fast it goes."""
    assert seen((10, 100.0)).words(Progress(10, 110), 101.0) == ["step 10/110"]


@pytest.mark.parametrize(
    ("pace", "silent", "told"),
    [(1.0, 290.0, False), (1.0, 720.0, True), (100.0, 490.0, False), (100.0, 720.0, True)],
)
def test_a_job_without_a_step_for_long_is_told(pace: float, silent: float, told: bool) -> None:
    """After five minutes, or five times what a step took, instead of a rate that is no more."""
    words = seen((0, 0.0), (10, 10 * pace)).words(Progress(10), 10 * pace + silent)

    assert ("no step for 12 min" in words) is told


def test_a_second_attempt_is_measured_by_itself() -> None:
    """Its steps are lower than those of the first: the rate begins anew."""
    pace = seen((10, 0.0), (50, 40.0), (11, 100.0), (21, 200.0))

    assert pace.seconds_a_step() == 10.0


@pytest.mark.parametrize(
    ("seconds", "words"), [(40, "40 s"), (720, "12 min"), (12_000, "3 h 20 min")]
)
def test_a_length_of_time_in_words(seconds: float, words: str) -> None:
    """Minutes of a job of minutes, hours of one of hours."""
    assert span(seconds) == words
