"""Of several accounts of a job's progress one is told, with a pace and a patience of its own."""

from __future__ import annotations

from collections.abc import Iterable

from remote.evidence import EVENTS, LOG, METRICS, STATE, Evidence, SourceReport


def told(*looks: tuple[float, str, SourceReport]) -> Evidence:
    found = Evidence(0.0)
    for now, name, said in looks:
        found.see(name, said, now)
    return found


def steps(name: str, begun: int, times: Iterable[float]) -> list[tuple[float, str, SourceReport]]:
    return [(now, name, SourceReport(begun + index, 100)) for index, now in enumerate(times)]


def test_nothing_is_known_of_a_job_that_says_nothing() -> None:
    """Neither a step nor a source nor an age."""
    progress = Evidence(0.0).progress(50.0)

    assert (progress.step, progress.source, progress.step_age) == (None, None, None)


def test_pace_and_age_are_those_of_the_source_that_is_told() -> None:
    """Ten steps in 20 s, the last one 5 s ago."""
    progress = told(
        (10.0, LOG, SourceReport(5, 100, 2.0)), (30.0, LOG, SourceReport(15, 100, 1.5))
    ).progress(35.0)

    assert (progress.step, progress.max_steps, progress.loss) == (15, 100, 1.5)
    assert (progress.source, progress.seconds_per_step, progress.step_age) == (LOG, 2.0, 5.0)


def test_what_the_job_reports_on_purpose_leads() -> None:
    """Its metrics before its log, in whatever order they come; the units may differ."""
    one = told(
        (1.0, LOG, SourceReport(3, 10)),
        (2.0, METRICS, SourceReport(120, 4000)),
        (3.0, LOG, SourceReport(4, 10)),
    )

    assert one.progress(3.0).step == 120
    assert one.progress(3.0).max_steps == 4000


def test_the_newest_evidence_wins_once_the_leader_is_silent() -> None:
    """A minute, or three times as long as it was silent before, is patience enough."""
    begun = [(1.0, METRICS, SourceReport(1)), (2.0, LOG, SourceReport(500))]

    early = told(*begun, (50.0, LOG, SourceReport(501))).progress(50.0)
    late = told(*begun, (70.0, LOG, SourceReport(501))).progress(70.0)

    assert (early.source, early.step) == (METRICS, 1)
    assert (late.source, late.step) == (LOG, 501)


def test_a_better_source_takes_the_lead_back() -> None:
    """As soon as it tells a step again."""
    one = told(
        (1.0, METRICS, SourceReport(1)),
        (2.0, LOG, SourceReport(7)),
        (90.0, LOG, SourceReport(8)),
        (91.0, METRICS, SourceReport(2)),
    )

    assert one.progress(91.0).source == METRICS


def test_a_source_that_repeats_itself_is_silent() -> None:
    """A checkpoint that is written anew with the same step is no news."""
    one = told(
        (1.0, LOG, SourceReport(10)),
        (2.0, STATE, SourceReport(10)),
        (200.0, STATE, SourceReport(10)),
    )

    assert one.progress(200.0).source == LOG
    assert one.progress(200.0).step_age == 199.0


def test_the_newest_loss_is_told_whoever_has_it() -> None:
    """Steps from a bar, the loss from a TensorBoard file that is written less often."""
    one = told(
        (1.0, LOG, SourceReport(10, 100)), (2.0, EVENTS, SourceReport(10, None, 1.25, {"lr": 2e-5}))
    )

    assert (one.progress(3.0).source, one.progress(3.0).loss) == (LOG, 1.25)
    assert one.progress(3.0).figures == {"lr": 2e-5}


def test_the_last_step_may_be_known_from_another_source() -> None:
    """Unless the leader has passed it: then the two do not count the same."""
    known = [(1.0, LOG, SourceReport(None, 100))]

    assert told(*known, (2.0, METRICS, SourceReport(5))).progress(2.0).max_steps == 100
    assert told(*known, (2.0, METRICS, SourceReport(500))).progress(2.0).max_steps is None


def test_a_count_that_begins_again_is_measured_anew() -> None:
    """A second training of the same job, or its next epoch."""
    one = told(
        (0.0, LOG, SourceReport(10)),
        (40.0, LOG, SourceReport(50)),
        (100.0, LOG, SourceReport(1)),
        (200.0, LOG, SourceReport(11)),
    )

    assert one.progress(200.0).seconds_per_step == 10.0


def test_silence_that_was_usual_before_is_usual() -> None:
    """Five minutes; or five steps' time; or two and a half of the longest gap so far."""
    quick = told(*steps(LOG, 1, range(0, 20, 2))).progress(20.0)
    slow = told(*steps(LOG, 1, range(0, 1000, 100))).progress(1000.0)
    evaluating = told(*steps(LOG, 1, [0, 2, 4, 604, 606])).progress(606.0)

    assert quick.patience == 300.0
    assert slow.patience == 500.0
    assert evaluating.patience == 1500.0


def test_checkpoints_are_waited_for_as_long_as_the_first_one_took() -> None:
    """A source that speaks at checkpoints only is not taken for a job that hangs."""
    assert told((400.0, STATE, SourceReport(500, 4000))).progress(400.0).patience == 1000.0


def test_figures_are_bounded() -> None:
    """A job may report any number of them, under names of any length."""
    many = {f"{'x' * 100}{number}": 1.0 for number in range(100)}

    figures = told((1.0, METRICS, SourceReport(1, None, None, many))).progress(1.0).figures

    assert len(figures) <= 6
    assert all(len(name) <= 40 for name in figures)
