"""The short crash sweep: real podctl processes with faults at chosen points; `make chaos` has all.

Every history is checked by what podctl cannot influence: the emulator's records, the bytes that the
job must have written, and a monitor to which every job is connected while it lives.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.crash.case import Case
from tests.crash.result import Result
from tests.crash.scenario import ScenarioRunner
from tests.crash.sweep import play, runners

Strike = Callable[..., list[Result]]
WORKERS = 4  # they mostly wait for a pod to boot or a settle window to pass
pytestmark = pytest.mark.timeout(1200)  # real clouds and processes, on a machine that may be busy
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ScenarioRunner]]:
    with runners(tmp_path_factory.mktemp("tests.crash"), WORKERS) as started:
        yield started


@pytest.fixture
def strike(workers: list[ScenarioRunner]) -> Strike:
    """Plays the named histories and fails with their violations."""

    def played(*names: str) -> list[Result]:
        results = play(workers, list(map(Case.parse, names)), lambda _: None, float("inf"))
        violated = {str(result.case): result.violations for result in results if result.violations}
        assert not violated, violated
        assert len(results) == len(names)
        return results

    return played


def test_row_26_a_kill_at_any_commit_costs_no_second_pod_job_or_cent(strike: Strike) -> None:
    """podctl dies between two commits, any two: the next one ends it, and ledger and bill agree."""
    results = strike(
        *(f"26/none/kill:after:{number}" for number in (2, 7, 11, 14, 20, 25)),
        # Done, and not yet written down: the pod, the job, the pull, the lock, the end.
        *(f"26/none/kill:before:{number}" for number in (5, 15, 23)),
    )

    assert all(result.kills == 1 for result in results)


def test_row_26_a_kill_about_an_unclear_create_leaves_one_pod(strike: Strike) -> None:
    """The create's reply is lost, is a 500 or comes late, and podctl dies before or after it."""
    results = strike(
        *(f"26/{mode}/kill:after:4" for mode in ("drop_reply", "500_before", "late")),
        "26/500_late/clean",  # the second is as unclear as the first: it has a window of its own
        *(f"26/{mode}/kill:before:5" for mode in ("500_after", "late", "list_lag")),
    )

    assert sum(result.kills for result in results) == 6


def test_row_26_a_kill_about_an_unclear_delete_leaves_no_pod(strike: Strike) -> None:
    """The delete is answered by nothing, a 500 or a lie, and podctl dies there; the pod goes."""
    strike("26/still_listed/kill:before:23", "26/delete_drop/kill:before:23")


@needs_strace
def test_row_27_a_kill_at_a_system_call_is_a_kill_like_any_other(strike: Strike) -> None:
    """In the middle of a transaction, of a file being replaced, of a request."""
    results = strike(
        "27/none/kill:pwrite64:180",
        "27/none/kill:sendto:9",
    )

    assert all(result.kills == 1 for result in results)


def test_row_28_podctls_that_die_again_and_again_get_there(strike: Strike) -> None:
    """Two crashes in a row, and a series of podctls that each die after a few commits."""
    results = strike(
        "28/none/kill:after:4+kill:before:2",
        "28/drop_reply/kill:before:5+kill:after:2",
        "28/none/kill:after:5*",
    )

    assert sum(result.kills for result in results) >= 7


def test_row_29_a_lid_closed_between_intent_and_request_costs_no_second_pod(
    strike: Strike,
) -> None:
    """It sleeps there for longer than the settle window, wakes and sends the create."""
    results = strike(
        "29/none/stop:after:4:other",
        "29/500_late/stop:after:4",
    )

    assert all(result.stops == 1 for result in results)


def test_row_30_a_lid_closed_for_long_is_no_end(strike: Strike) -> None:
    """Asleep while the job runs: connections die, or the pod restarts; the run passes yet."""
    results = strike("30/none/stop:after:13:cut", "30/none/stop:after:10:reboot")

    assert all(result.stops == 1 for result in results)


def test_row_31_of_four_controllers_one_drives(strike: Strike) -> None:
    """The other three end with 75 and name its pid."""
    strike("31/none/four")


@needs_strace
def test_row_33_a_full_or_broken_disk_is_said_and_the_next_command_ends_it(
    strike: Strike,
) -> None:
    """A write or sync fails, once or from then on: an exit code and words, never a traceback."""
    results = strike(
        "33/none/ENOSPC:pwrite64:150",
        "33/none/EIO:fdatasync:60-",
        "33/none/EIO:fsync:3-",  # a file beside the database
        "33/none/ENOSPC:write:21",
    )

    assert all(result.errors for result in results)


def test_row_80_what_nobody_foresaw_is_tried_again_and_can_be_given_up(strike: Strike) -> None:
    """An exception out of any action or look: once, and the run passes; for ever, in every podctl,
    and `stop --terminate --abandon` leaves no pod and no open book."""
    results = strike(
        *(f"80/none/raise:act:{number}" for number in (3, 6, 8, 11)),
        "80/none/raise:look:4",
        *(f"80/none/raise:act:{number}*" for number in (2, 5, 7, 10)),
        "80/none/raise:look:6*",
    )

    assert all(result.processes >= 2 for result in results)


def test_row_57_a_host_that_dies_with_the_controller_costs_at_most_another_run(
    strike: Strike,
) -> None:
    """The pod's host fails after the controller was killed, with or without its volume."""
    strike("57/none/kill:after:13:death", "57/none/kill:after:12:loss")
