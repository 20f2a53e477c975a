"""The job's log above the live view, and the lines of the view itself."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from controller.agent import log_times
from controller.cli.logs import seconds_of
from controller.errors import UsageError
from controller.leases.job_output import EARLIER_LINES, MOST_LINES, JobOutput
from controller.leases.job_panel import (
    Measured,
    Quoted,
    job_lines,
    money_line,
    run_lines,
    usd_by_pace,
)
from controller.leases.passed_report import folders_of, next_command
from controller.locks.certificate import Artifact
from controller.planner.job_progress import JobProgress, Steps
from controller.planner.lease_state import LeaseState, RunFacts
from controller.planner.observation import LocalObservation, Observation
from controller.terminal.panel import Bar, PanelLine, Span
from controller.terminal.terminal import Terminal
from jobs.stage import Criterion, Stage
from remote.contract import Progress, Status


def output(tmp_path: Path) -> tuple[JobOutput, io.StringIO, io.StringIO, Path]:
    out, err = io.StringIO(), io.StringIO()
    log = tmp_path / "job.log"
    return JobOutput(Terminal(out=out, err=err), lambda _: log), out, err, log


def append(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)


def test_new_lines_are_shown_once_and_bars_when_they_end(tmp_path: Path) -> None:
    """A bar that is redrawn a thousand times is one line; its present state is for the view."""
    ours, out, _, log = output(tmp_path)
    append(log, b"begin\n" + b"".join(b"\r%d%%" % n for n in range(100)))
    ours.show("r-0001")
    assert out.getvalue() == "begin\n"
    assert ours.drawing == "99%"

    append(log, b"\r100%\nend\nrest")
    ours.show("r-0001")
    ours.show("r-0001")
    ours.end()
    assert out.getvalue() == "begin\n100%\nend\nrest\n"


def test_a_flood_is_cut_and_said(tmp_path: Path) -> None:
    """The newest lines of one look are shown, with the command that shows all."""
    ours, out, err, log = output(tmp_path)
    append(log, b"x\n" * (MOST_LINES + 50))
    ours.show("r-0001")

    assert out.getvalue().count("x\n") == MOST_LINES
    assert "50 lines of the log are not shown: podctl logs r-0001" in err.getvalue()


def test_a_run_that_began_earlier_shows_its_last_lines_first(tmp_path: Path) -> None:
    """`podctl sync` does not repeat a log of hours; a new log on another disk begins anew."""
    ours, out, _, log = output(tmp_path)
    append(log, b"".join(b"%d\n" % n for n in range(100)))
    ours.show("r-0001", begun_here=False)
    assert out.getvalue().split() == [str(n) for n in range(100 - EARLIER_LINES, 100)]

    log.write_bytes(b"again\n")
    ours.show("r-0001", begun_here=False)
    assert out.getvalue().endswith("again\n")


def test_since_finds_where_the_log_was_at_that_time(tmp_path: Path) -> None:
    """To the last look before it; with no look before it, the whole log is newer."""
    log = tmp_path / "job.log"
    log_times.note(log, 100, 1000.0)
    path = log.with_name("job.log.times")
    path.write_text("1000 100\n1010 200\nbroken\n1020 300\n")

    assert log_times.offset_at(log, 999.0) == 0
    assert log_times.offset_at(log, 1015.0) == 200
    assert log_times.offset_at(log, 2000.0) == 300
    log_times.forget(log)
    assert log_times.offset_at(log, 2000.0) == 0


def text(line: PanelLine) -> str:
    return "".join(piece.text for piece in line if isinstance(piece, Span))


def test_the_view_has_stages_steps_load_and_money() -> None:
    """Each line says one thing; what is unknown is left out."""
    runs = (
        RunFacts("a-0001", "a", outcome="passed"),
        RunFacts("b-0001", "b", started=True),
        RunFacts("c-0001", "c"),
    )
    observation = Observation(
        lease=LeaseState("l0001", runs), now=100.0, local=LocalObservation(spent_usd=0.5)
    )
    progress = Progress(5, 10, 0.25, seconds_per_step=2.0, step_age=1.0)
    status = Status(
        "b-0001", "running", "boot", 1, "running", None, progress,
        gpu_util=97.0, gpu_memory_gb=61.0, cpu_util=12.0,
    )  # fmt: skip
    measured = Measured(JobProgress(), (3.0, 2.0, 1.0), 10.0, 60.0)

    assert [text(line) for line in run_lines(observation, "running", unicode=False)] == [
        "+ a-0001  passed",
        "> b-0001  running",
        "- c-0001  waiting",
    ]
    bar, loss, machine = job_lines(runs[1], status, observation, measured, None)
    assert bar[0] == Bar(5, 10)
    assert "50 %" in text(bar)
    assert "step 5/10" in text(bar)
    assert "10 s left" in text(bar)
    assert text(loss).startswith("loss 0.2500")
    assert text(machine) == "GPU 97 %  61.0 GB of its memory used  CPU 12 %"
    assert text(money_line(observation, Quoted(2.0, 9.0), measured)) == (
        "$0.50 so far, $2.00 expected, $9.00 worst case  last look 40 s ago"
    )
    assert text(money_line(observation, Quoted(), measured)).startswith("$0.50 so far  last")


def test_the_pace_of_the_first_steps_corrects_the_expected_cost() -> None:
    """20 steps, or a quarter of fewer, and the price of the pod; a stage that counts the steps of
    each phase apart is not expected below what was predicted, and waiting stages are added."""
    runs = (RunFacts("b-0001", "b", started=True), RunFacts("c-0001", "c"))
    lease = LeaseState("l0001", runs, quoted_usd_per_hour=3.6)
    observation = Observation(lease=lease, now=100.0, local=LocalObservation(spent_usd=0.5))

    def paced(step: int, **hours: float) -> float | None:
        steps = Steps(step, 1000, "log", 1.0, None, 300.0)
        return usd_by_pace(observation, Quoted(2.0, 9.0, hours), steps)

    assert paced(19, c=1.0) is None
    assert paced(400) is None  # nothing is known of the stage that waits
    assert paced(400, c=1.0) == pytest.approx(0.5 + 0.6 + 3.6)
    assert paced(900, b=0.5, c=0.0) == 2.0
    assert paced(900, c=0.0) == pytest.approx(0.6)
    steps = Steps(400, 1000, "log", 1.0, None, 300.0)
    measured = Measured(JobProgress(), steps=steps)
    assert text(money_line(observation, Quoted(2.0, 9.0, {"c": 1.0}), measured)) == (
        "$0.50 so far, $4.70 by its pace, $9.00 worst case"
    )


def stage(name: str, *needs: str) -> Stage:
    return Stage(
        name=name, title=name, command=("x",), needs=needs, outputs=("o",), hours=1, max_hours=2,
        criteria=(Criterion(kind="exists", path="o"),),
    )  # fmt: skip


def test_what_a_passed_run_leaves_is_named() -> None:
    """The folders of its files, and the stage that can run now, else the lock."""
    found = [Artifact.of(path, 1, "0" * 64) for path in ("out/a/x", "out/a/y", "single")]
    stages = {one.name: one for one in (stage("a"), stage("b", "a"), stage("c", "a", "b"))}

    assert folders_of(found) == ["out/a/", "single"]
    assert next_command(stages, {"a": 1}, ["a"]) == "podctl run b"
    assert next_command(stages, {"a": 1, "b": 1}, ["b"]) == "podctl run c"
    assert next_command(stages, {"a": 1, "b": 1, "c": 1}, ["c"]) == "podctl locks c"


@pytest.mark.parametrize(("words", "seconds"), [("90s", 90), ("10m", 600), ("1h30m", 5400)])
def test_durations_of_since(words: str, seconds: float) -> None:
    """Numbers with units, added up."""
    assert seconds_of(words) == seconds


@pytest.mark.parametrize("words", ["", "10", "m", "1.5h", "10m ago", "-5m", "5 m", "٣m"])
def test_what_is_no_duration_is_refused(words: str) -> None:
    """With the form that is one."""
    with pytest.raises(UsageError, match="no duration"):
        seconds_of(words)
