"""What the live line says of a job's steps: rate, time left, and that none comes any more."""

from __future__ import annotations

import pytest

from controller.planner.job_progress import (
    JobProgress,
    figure_words,
    figures_told,
    span,
    steps_told,
)
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


def test_what_the_pod_says_of_pace_and_age_counts_more() -> None:
    """It has looked from the beginning; this podctl came a moment ago."""
    told = Progress(40, 400, source="log", seconds_per_step=2.0, step_age=3.0, patience=300.0)

    assert seen((40, 100.0)).words(told, 100.0) == ["step 40/400", "2.0 s/it", "12 min left"]


def test_the_pod_knows_how_long_no_step_is_usual() -> None:
    """A job that evaluates for ten minutes between its steps does not hang after twelve."""
    usual = Progress(40, 400, step_age=720.0, patience=1500.0)
    unusual = Progress(40, 400, step_age=720.0, patience=300.0)

    assert seen((40, 0.0)).words(usual, 1.0) == ["step 40/400"]
    assert seen((40, 0.0)).words(unusual, 1.0) == ["step 40/400", "no step for 12 min"]


def test_a_sighting_tells_steps_to_who_looks_from_elsewhere() -> None:
    """With pace, time left, and since when there was none; of an older podctl without these."""
    data = {"step": 40, "max_steps": 400, "source": "log", "seconds_per_step": 2.0}
    going = steps_told(data | {"step_age": 3.0, "patience": 300.0}, 1000.0)
    hanging = steps_told(data | {"step_age": 720.0, "patience": 300.0}, 1000.0)
    older = steps_told({"step": 40, "max_steps": 400}, 1000.0)
    assert going is not None
    assert hanging is not None
    assert older is not None

    assert going.as_dict(1000.0) == {
        "step": 40,
        "max_steps": 400,
        "source": "log",
        "seconds_per_step": 2.0,
        "seconds_left": 720.0,
        "step_at": 997.0,
        "seconds_without_step": None,
    }
    assert hanging.as_dict(1000.0)["seconds_without_step"] == 720.0
    assert older.words(1000.0) == ["step 40/400"]


@pytest.mark.parametrize("odd", [float("nan"), 1e308, -1.0, "x\x1b[2J", [], True, 10**400])
def test_odd_numbers_of_a_pod_are_not_shown(odd: object) -> None:
    """Nor do they raise anything."""
    data = {"step": 4, "max_steps": odd, "seconds_per_step": odd, "step_age": odd, "source": odd}
    found = steps_told(data | {"patience": odd}, 1000.0)

    assert steps_told({"step": odd}, 1000.0) is None
    assert found is not None
    assert found.words(1000.0) == ["step 4"]
    assert "\x1b" not in found.source


def test_figures_are_few_finite_and_clean() -> None:
    """Learning rate, rewards and accuracies under names that a terminal may show."""
    many = {f"reward {number}": 1.0 for number in range(50)}

    assert figure_words(figures_told({"learning_rate": 2e-5, "reward": 0.5})) == [
        "lr 2e-05",
        "reward 0.5",
    ]
    assert figures_told({"a\x1b[2Jb": 1.0, "b": float("nan"), "c": "x"}) == {"ab": 1.0}
    assert len(figures_told(many)) == 6
    assert figures_told(["x"]) == {}
