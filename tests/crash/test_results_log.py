"""What a broken-off sweep remembers, and which writes it need not strike twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash import cases
from tests.crash import results_log as log
from tests.crash.case import Case
from tests.crash.result import Result
from tests.crash.results_log import OtherCode, ResultsLog
from tests.crash.system_calls import counted

PLAYED = Result(Case.parse("26/none/kill:after:5"), ["I1 a pod is left"], kills=1, codes=[-9, 0])


def test_a_sweep_goes_on_from_what_was_played(tmp_path: Path) -> None:
    """Every whole line comes back as it was; one that was cut off is played again."""
    path = tmp_path / "sweep.jsonl"
    ResultsLog.open(path, "c0de").add(PLAYED)
    with path.open("a") as file:
        file.write('{"case": "26/none/kill:after:6", "viol')

    again = ResultsLog.open(path, "c0de")
    again.add(PLAYED)

    assert again.played() == [PLAYED, PLAYED]


def test_what_another_podctl_did_counts_for_nothing(tmp_path: Path) -> None:
    """Figures of two versions are never added up."""
    ResultsLog.open(tmp_path / "sweep.jsonl", "c0de").add(PLAYED)

    with pytest.raises(OtherCode, match="of other code"):
        ResultsLog.open(tmp_path / "sweep.jsonl", "c1de")
    assert len(log.code()) == 64


def test_of_writes_in_a_row_to_one_file_the_first_and_the_last_are_struck(tmp_path: Path) -> None:
    """As SQLite writes a transaction's pages; with `every`, each of them."""
    log, project = tmp_path / "strace", tmp_path / "project"
    pages = [f"7 pwrite64(5<{project}/state.db-journal>, ...) = 8"] * 4
    other = [f"7 pwrite64(6<{project}/state.db>, ...) = 8", f"7 write(4<{project}/a>) = 1"]
    log.write_text("\n".join([*pages, *other, *pages[:2], f"8 write(4<{project}/b>) = 1"]))
    calls = counted(log, project)

    assert calls.struck("pwrite64") == calls.points("pwrite64") == [1, 4, 5, 6, 7]
    assert calls.struck("write") == [1]
    assert calls.every().struck("pwrite64") == list(range(1, 8))
    assert len(list(cases.call_errors(calls))) == 2 * 6 + 2  # ENOSPC and EIO; from the fifth on
