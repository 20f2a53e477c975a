"""Which lease `podctl stop NAME` means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.errors import NotFound, UsageError
from controller.leases.stop_target import named
from controller.planner.lease_state import Step
from state.journal import Journal
from state.project_lock import acquire


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with acquire(tmp_path / ".podctl", "test") as owner:
        yield Journal(owner.connection, owner.epoch)


def lease(journal: Journal, *stages: str, pod: str = "", ended: int = 0) -> str:
    """An open lease with a run of each stage, of which the first `ended` have failed."""
    name = journal.open_lease({}, [(stage, {}) for stage in stages])
    if pod:
        meant = journal.intent(name, Step.CREATE, {"offer": "x", "usd_per_hour": 1.0})
        journal.done(meant, {"pod": pod})
    for run in journal.runs(lease=name)[:ended]:
        journal.note(name, Step.FINISH, {"outcome": "failed"}, run.id)
    return name


def test_a_stage_means_the_run_that_works_and_not_what_an_earlier_one_left(
    journal: Journal,
) -> None:
    """UX: `stop sft --terminate`, meant for the running run, ended the parked pod of another."""
    left = lease(journal, "sft", pod="p1", ended=1)
    works = lease(journal, "sft", pod="p2")

    assert named(journal, "sft") == (works,)
    assert named(journal, "sft-0001") == named(journal, "p1") == named(journal, left) == (left,)
    assert named(journal, None, every=True) == (left, works)


def test_what_could_mean_several_is_refused_with_their_names(journal: Journal) -> None:
    """No name, or a stage of which two pods are left."""
    lease(journal, "sft", pod="p1", ended=1)
    lease(journal, "sft", pod="p2", ended=1)

    for name in (None, "sft"):
        with pytest.raises(UsageError) as refused:
            named(journal, name)
        assert "sft-0001, sft-0002" in refused.value.what
        assert "podctl stop --all" in refused.value.hint


def test_the_only_one_needs_no_name_and_an_unknown_one_means_nothing(journal: Journal) -> None:
    """As before there could be several."""
    only = lease(journal, "sft", pod="p1")

    assert named(journal, None) == (only,)
    assert named(journal, "dpo") == named(journal, "sft-0009") == ()


def test_a_run_whose_pod_works_for_another_is_not_stopped(journal: Journal) -> None:
    """Neither one that ended before on this pod nor one that is still to come."""
    lease(journal, "sft", "dpo", "rate", pod="p1", ended=1)

    assert named(journal, "dpo") == named(journal, "dpo-0001") == ("l0001",)
    with pytest.raises(NotFound, match="has ended"):
        named(journal, "sft-0001")
    with pytest.raises(NotFound, match="has ended"):
        named(journal, "sft")
    with pytest.raises(UsageError, match="has not begun"):
        named(journal, "rate")
