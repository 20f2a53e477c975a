"""What an interrupted run left is gone on from only if it was made from the same inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller import snapshot
from controller.leftovers import leftovers
from controller.project import Project
from controller.run_folder import READY, RunFolder
from remote import contract
from remote.contract import FileEntry, Manifest
from state.journal import Journal
from state.owner import acquire

ORDER = {"stage": {"name": "train"}}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    found.prepare()
    (tmp_path / "data.jsonl").write_text("the first data\n")
    return found


@pytest.fixture
def journal(project: Project) -> Iterator[Journal]:
    with acquire(project.state_dir, "test") as owner:
        yield Journal(owner.connection, owner.epoch)


def inputs(project: Project) -> snapshot.Snapshot:
    return snapshot.take(project.root, ["data.jsonl"])


def begun(project: Project, journal: Journal, outcome: str | None = None) -> str:
    """A run with the inputs of now; one that ended left a checkpoint here."""
    run = journal.open_run(journal.open_lease({}), "train", ORDER)
    if outcome:
        folder = RunFolder(project.run_dir(run))
        sent = inputs(project).files
        folder.keep_inputs(FileEntry(one.path, one.size, one.sha256) for one in sent)
        folder.make()
        (folder.files / "checkpoint-9").write_text("weights")
        journal.finish_run(run, outcome, {})
    return run


@pytest.mark.parametrize("outcome", ["pod-lost", "stopped", "abandoned", "failed"])
def test_an_interrupted_attempt_with_the_same_data_is_gone_on_from(
    project: Project, journal: Journal, outcome: str
) -> None:
    """Its files are offered; those of one that failed by itself are not."""
    earlier = begun(project, journal, outcome)
    found = leftovers(project, journal, begun(project, journal), inputs(project), print)
    expected = None if outcome == "failed" else RunFolder(project.run_dir(earlier)).files

    assert found == expected


def test_a_checkpoint_of_other_data_is_not_gone_on_from(project: Project, journal: Journal) -> None:
    """The data were mended since: the run begins anew and says which file is another one."""
    earlier = begun(project, journal, "stopped")
    (project.root / "data.jsonl").write_text("other data, same name\n")
    run, told = begun(project, journal), list[str]()
    found = leftovers(project, journal, run, inputs(project), told.append)

    assert found is None
    assert told == [f"{run}: begins anew, since data.jsonl is another one than {earlier} had"]


def test_what_a_run_itself_left_of_other_data_is_set_aside(
    project: Project, journal: Journal
) -> None:
    """On the next pod of the same run too; what is aside cannot be taken for made from the new."""
    run = begun(project, journal, "stopped")
    (project.root / "data.jsonl").write_text("other data, same name\n")
    folder = RunFolder(project.run_dir(run))
    found = [leftovers(project, journal, run, inputs(project), print)]
    sent = inputs(project).files
    folder.keep_inputs(FileEntry(one.path, one.size, one.sha256) for one in sent)
    found.append(leftovers(project, journal, run, inputs(project), print))

    assert found == [None, None]
    assert (folder.root / "aside" / "checkpoint-9").read_text() == "weights"


def test_what_stands_here_under_another_name_goes_back_under_its_own(project: Project) -> None:
    """The kept lists say which file is which, the newest first; without one, nothing is renamed."""
    folder = RunFolder(project.run_dir("train-0001"))
    before = folder.own_names()
    entry = FileEntry("out/caf\udce9", 1, "0" * 64)
    ready = Manifest("train-0001", 1, False, (entry,), here={entry.path: "out/caf_~1"})
    folder.keep(READY, contract.dump(ready))

    assert before == {}
    assert folder.own_names() == {"out/caf_~1": entry.path}


def test_work_counts_as_here_when_all_that_was_finished_came(project: Project) -> None:
    """Not when a first file came, nor when nothing was finished; else by the newest file."""
    folder = RunFolder(project.run_dir("train-0001"))
    folder.make()
    (folder.files / "a").write_text("a")
    of_before = folder.whole_at()
    empty = Manifest("train-0001", 1, False, ())
    folder.keep(READY, contract.dump(empty))
    of_nothing = folder.whole_at()
    folder.keep(READY, contract.dump(replace(empty, files=(FileEntry("a", 1, "0" * 64),))))

    assert of_before == (folder.files / "a").stat().st_mtime
    assert of_nothing is None
    assert folder.whole_at() == (folder.root / READY).stat().st_mtime
