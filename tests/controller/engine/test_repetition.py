"""An action that is decided again and again: the drive ends instead of going in a circle."""

from __future__ import annotations

from controller.engine.repetition import MOST, Repetitions
from controller.planner import actions


def test_the_same_action_without_a_pause_ends_the_drive() -> None:
    """With the next command; other actions between the repetitions change nothing."""
    repetitions = Repetitions()
    others = [repetitions.add(actions.Judge(f"run-{number}")) for number in range(MOST)]
    orders = [repetitions.add(actions.Terminate("p1", "over")) for _ in range(MOST)]
    last = repetitions.add(actions.Terminate("p1", "over"))

    assert not any(others + orders)
    assert last is not None
    assert "terminate pod p1 once more, after 100 times without a pause" in last.what
    assert "podctl stop --terminate --abandon REASON" in last.hint


def test_a_pause_begins_the_count_anew_and_downloads_do_not_count() -> None:
    """A job may publish files faster than they are downloaded."""
    repetitions = Repetitions()
    for _ in range(MOST):
        repetitions.add(actions.Terminate("p1", "over"))
    repetitions.add(actions.Wait(1.0, "for the provider"))

    assert repetitions.add(actions.Terminate("p1", "over")) is None
    assert [repetitions.add(actions.PullReady("run")) for _ in range(3 * MOST)] == [None] * 3 * MOST
