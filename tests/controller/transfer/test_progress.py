"""What is said of files on their way: bytes, rate, time left, and that nothing moves."""

from __future__ import annotations

import io
import os
import pty
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.leases.progress import View
from controller.leases.progress_line import Part, fitted, rehearsal_line, transfer_line, wait_line
from controller.terminal.terminal import Terminal
from controller.transfer import snapshot
from controller.transfer.progress import TransferProgress, TransferRate, amount, transfer_words
from tests.support.screen import read_until

MB = 10**6


@dataclass
class StillClock:
    """A clock that shows what it is set to."""

    at: float = 0.0

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += seconds


def rate(*looks: tuple[float, int]) -> TransferRate:
    transfer_rate = TransferRate()
    for now, done in looks:
        transfer_rate.see(done, now)
    return transfer_rate


def test_rate_and_time_left_follow_from_the_last_seconds() -> None:
    """10 MB a second, 380 MB to go: 38 s."""
    pace = rate((0, 0), (5, 50 * MB), (10, 100 * MB), (12, 120 * MB))
    progress = TransferProgress(3, 9, 120 * MB, 500 * MB)

    assert transfer_words(progress, pace, 12) == [
        "3 of 9 files",
        "120.0 of 500.0 MB",
        "10.0 MB/s",
        "38 s left",
    ]


def test_a_rate_is_that_of_now() -> None:
    """What a link did a minute ago says nothing of it: only the last 20 s count."""
    pace = rate((0, 0), (60, 600 * MB), (70, 610 * MB), (80, 620 * MB))

    assert pace.bytes_per_second() == MB


def test_the_first_second_has_no_rate() -> None:
    """One look, or looks within a second, make none."""
    assert rate((5, 100)).bytes_per_second() is None
    assert rate((5, 100), (5.5, 900)).bytes_per_second() is None


def test_a_transfer_that_stands_still_is_told() -> None:
    """Instead of a rate that is no more; 10 seconds are patience enough."""
    pace = rate((0, 0), (10, MB), (50, MB))

    assert transfer_words(TransferProgress(0, 1, MB, 2 * MB), pace, 50)[-1] == (
        "nothing moved for 40 s"
    )
    assert transfer_words(TransferProgress(1, 1, MB, MB), pace, 50) == ["1.0 of 1.0 MB"]


def test_a_transfer_that_begins_again_is_measured_anew() -> None:
    """Fewer bytes than before are another try."""
    assert rate((0, 0), (10, 100 * MB), (11, 0), (13, 4 * MB)).bytes_per_second() == 2 * MB


@pytest.mark.parametrize(
    ("done", "total", "words"),
    [
        (120_300_000, 5 * 10**8, "120.3 of 500.0 MB"),
        (5 * 10**8, 64 * 10**9, "0.50 of 64.00 GB"),
        (0, 2_000, "0.0 of 2.0 kB"),
        (0, 0, "0 of 0 B"),
    ],
)
def test_both_amounts_have_the_unit_of_the_whole(done: int, total: int, words: str) -> None:
    """Two numbers that are compared at a glance."""
    assert amount(done, total) == words


def test_what_matters_least_goes_first_where_columns_are_few() -> None:
    """The parts that stay keep their order; the first one stays whatever its length."""
    parts = [Part(0, "sft-0001: running"), Part(2, "loss 2.3"), Part(3, "CPU 9%"), Part(1, "$0.10")]

    assert fitted(parts, 80) == "sft-0001: running  loss 2.3  CPU 9%  $0.10"
    assert fitted(parts, 36) == "sft-0001: running  loss 2.3  $0.10"
    assert fitted(parts, 10) == "sft-0001: running"


def test_a_transfer_fits_in_80_columns() -> None:
    """The number of files goes before bytes, rate and time left."""
    pace = rate((0, 0), (10, 81 * MB))
    progress = TransferProgress(1_234, 20_000, 12_346 * MB, 64_000 * MB)

    line = transfer_line("a-stage-name-0001: pulling the artifacts", progress, pace, 10, 79)

    assert line == "a-stage-name-0001: pulling the artifacts  12.35 of 64.00 GB  8.1 MB/s"


@pytest.mark.parametrize(
    ("waited", "left", "line"),
    [
        (0.0, None, "waiting for the job"),
        (40.0, None, "waiting for the job: 40 s"),
        (40.0, 1440.0, "waiting for the job: 40 s, at most 24 min more"),
        (0.0, 1500.0, "waiting for the job: at most 25 min more"),
        (40.0, -3.0, "waiting for the job: 40 s"),
    ],
)
def test_a_wait_says_since_when_and_until_when(
    waited: float, left: float | None, line: str
) -> None:
    """Where there is a deadline; one that is over is none."""
    assert wait_line("for the job", waited, left) == line


def test_the_times_of_a_wait_stay_on_a_narrow_terminal() -> None:
    """The reason is cut instead."""
    why = (
        "until a1b2c3d4e5f6g7 has been out of the listing for as long as it takes to be sure of it"
    )
    line = wait_line(why, 42.0, 240.0, 79)
    assert len(line) == 79
    assert line.endswith("…: 42 s, at most 4 min more")
    assert wait_line(why, 42.0, 240.0, 8) == "waitin…: 42 s, at most 4 min more"


def test_a_rehearsal_says_what_its_podctl_said_and_how_long_it_has() -> None:
    """The time that is left stays on the screen, however long the rest is."""
    assert rehearsal_line("", 1020.0, 79) == "podctl run begins  at most 17 min more"
    assert rehearsal_line("x" * 200, 1020.0, 79).endswith("xxx  at most 17 min more")
    assert len(rehearsal_line("x" * 200, 1020.0, 79)) == 79


def told(clock: StillClock, terminal: Terminal, seconds: range) -> None:
    """A transfer of 1 MB a second, seen ten times a second."""
    view = View(terminal, clock)
    total = len(seconds) * MB
    for second in seconds:
        for tenth in range(10):
            clock.at = second + tenth / 10
            done = second * MB + tenth * MB // 10
            view.moved("r: uploading", TransferProgress(0, 1, done, total))


def test_a_log_gets_one_line_of_a_transfer_every_half_minute() -> None:
    """100 s of it are three lines, each with bytes, rate and time left; a short one is none."""
    output, short = io.StringIO(), io.StringIO()

    told(StillClock(), Terminal(err=output), range(100))
    told(StillClock(), Terminal(err=short), range(25))

    assert output.getvalue().splitlines() == [
        "1970-01-01T00:00:30Z r: uploading  30.0 of 100.0 MB  1.0 MB/s  70 s left",
        "1970-01-01T00:01:00Z r: uploading  60.0 of 100.0 MB  1.0 MB/s  40 s left",
        "1970-01-01T00:01:30Z r: uploading  90.0 of 100.0 MB  1.0 MB/s  10 s left",
    ]
    assert short.getvalue() == ""


def test_a_terminal_gets_a_line_that_moves_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each state erases the one before; nothing of it stays in the scrollback."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as err:
        told(StillClock(), Terminal(err=err), range(40))
        err.write("<end>")
        err.flush()
        shown = read_until(ours, b"<end>").decode()
    os.close(ours)

    assert "r: uploading  20.0 of 40.0 MB  1.0 MB/s  20 s left" in shown
    assert "\n" not in shown


def test_reading_inputs_is_told_to_the_last_byte(tmp_path: Path) -> None:
    """Files and bytes count up to what was listed; a file that is gone counts as done."""
    for name, size in (("a", 3 * MB), ("b", 0), ("c", 10)):
        (tmp_path / name).write_bytes(bytes(size))
    reports: list[TransferProgress] = []

    snapshot.take(tmp_path, ["a", "b", "c"], progress=reports.append)

    assert reports[-1] == TransferProgress(3, 3, 3 * MB + 10, 3 * MB + 10)
    assert reports[-1].complete
    assert [report.bytes_done for report in reports] == sorted(
        report.bytes_done for report in reports
    )
