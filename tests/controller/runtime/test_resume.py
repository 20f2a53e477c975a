"""What an earlier attempt left is gone on from if command, parameters and inputs are the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.errors import NotFound
from controller.project.project import Project
from controller.project.run_folder import READY, RunFolder
from controller.runtime.checkpoint import newest_step
from controller.runtime.resume import check_resume, leftovers
from controller.transfer import snapshot
from remote import contract
from remote.contract import FileEntry, Manifest
from state.journal import Journal
from state.project_lock import acquire

ORDER = {"stage": {"name": "train", "command": ["python", "t.py"], "parameters": {"rate": 1.0}}}


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


def begun(
    project: Project,
    journal: Journal,
    outcome: str | None = None,
    order: dict[str, object] = ORDER,
    **lease: object,
) -> str:
    """A run with the inputs of now; one that ended left a checkpoint here."""
    run = journal.open_run(journal.open_lease(lease), "train", order)
    if outcome:
        folder = RunFolder(project.run_dir(run))
        sent = inputs(project).files
        folder.keep_inputs(FileEntry(one.path, one.size, one.sha256) for one in sent)
        (folder.files / "checkpoint-9").mkdir(parents=True)
        (folder.files / "checkpoint-9" / "weights").write_text("weights")
        journal.finish_run(run, outcome, {})
    return run


def with_order(**changed: object) -> dict[str, object]:
    return {"stage": ORDER["stage"] | changed}


@pytest.mark.parametrize("outcome", ["pod-lost", "stopped", "abandoned", "failed", "time-up"])
def test_an_attempt_with_the_same_order_is_gone_on_from_whatever_ended_it(
    project: Project, journal: Journal, outcome: str
) -> None:
    """Its files are offered, and the step that they have come to is told."""
    earlier = begun(project, journal, outcome)
    run, told = begun(project, journal), list[str]()
    found = leftovers(project, journal, run, inputs(project), told.append)

    assert found == RunFolder(project.run_dir(earlier)).files
    assert told == [f"{run}: resumes from step 9 of {earlier}; --fresh starts from the beginning"]


@pytest.mark.parametrize("outcome", ["passed", "criteria"])
def test_an_attempt_that_went_to_its_end_is_not_gone_on_from(
    project: Project, journal: Journal, outcome: str
) -> None:
    """There is nothing left for it to do; the run begins anew and says why."""
    begun(project, journal, outcome)
    told = list[str]()

    assert (
        leftovers(project, journal, begun(project, journal), inputs(project), told.append) is None
    )
    assert "starts from the beginning, since train-0001" in told[0]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"command": ["python", "u.py"]}, "the command differs from that of train-0001"),
        ({"env": {"SEED": "1"}}, "variable SEED was not set in train-0001, and is '1' now"),
        ({"parameters": {"rate": 2.0}}, "parameter rate was 1.0 in train-0001, and is 2.0 now"),
    ],
)
def test_an_attempt_with_another_order_is_gone_on_from_only_if_asked(
    project: Project, journal: Journal, changed: dict[str, object], why: str
) -> None:
    """By default the run begins anew and names the difference; --resume takes the files."""
    earlier = begun(project, journal, "failed")
    told = list[str]()
    anew = begun(project, journal, order=with_order(**changed))
    asked = begun(project, journal, order=with_order(**changed), resume=earlier)

    assert leftovers(project, journal, anew, inputs(project), told.append) is None
    assert leftovers(project, journal, asked, inputs(project), told.append) is not None
    assert told[0] == (
        f"{anew}: starts from the beginning, since {why}; --resume {earlier} resumes anyway"
    )
    assert told[1] == f"{asked}: resumes from step 9 of {earlier}, although {why}, as --resume asks"


def test_fresh_begins_anew_and_hides_what_came_before(project: Project, journal: Journal) -> None:
    """The run after one that began anew and left nothing does not go on from an older one."""
    begun(project, journal, "failed")
    told = list[str]()
    fresh = begun(project, journal, fresh=True)
    found = [leftovers(project, journal, fresh, inputs(project), told.append)]
    journal.finish_run(fresh, "failed", {})
    found.append(leftovers(project, journal, begun(project, journal), inputs(project), print))

    assert found == [None, None]
    assert told == [f"{fresh}: starts from the beginning (--fresh)"]


def test_an_attempt_that_left_nothing_hides_none_before_it(
    project: Project, journal: Journal
) -> None:
    """A run for which no pod was found does not end the chain."""
    earlier = begun(project, journal, "failed")
    journal.finish_run(begun(project, journal), "no-capacity", {})
    found = leftovers(project, journal, begun(project, journal), inputs(project), print)

    assert found == RunFolder(project.run_dir(earlier)).files


def test_only_a_run_of_the_stage_with_files_can_be_resumed(
    project: Project, journal: Journal
) -> None:
    """An unknown run, another stage's, and one that left nothing are refused before renting."""
    left, empty = begun(project, journal, "failed"), begun(project, journal)

    check_resume(project, journal, left, ["train"])
    for run, stages in ((left, ["other"]), ("train-0099", ["train"]), (empty, ["train"])):
        with pytest.raises(NotFound):
            check_resume(project, journal, run, stages)


@pytest.mark.parametrize(
    ("files", "step"),
    [
        ({"out/checkpoint-20/a": "", "out/checkpoint-118/b": ""}, 118),
        ({"run/trainer_state.json": '{"global_step": 7}'}, 7),
        ({"run/trainer_state.json": "[" * 100_000}, None),
        ({"run/trainer_state.json": '{"global_step": "7"}'}, None),
        ({"checkpoint-9": "a file", "README.md": ""}, None),
    ],
)
def test_the_step_of_the_newest_checkpoint(
    tmp_path: Path, files: dict[str, str], step: int | None
) -> None:
    """By the names of folders or a trainer's state, whatever a pod wrote into it."""
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert newest_step(tmp_path) == step


def test_a_checkpoint_of_other_data_is_not_gone_on_from(project: Project, journal: Journal) -> None:
    """The data were mended since: the run begins anew and says which file is another one."""
    earlier = begun(project, journal, "stopped")
    (project.root / "data.jsonl").write_text("other data, same name\n")
    run, told = begun(project, journal), list[str]()
    found = leftovers(project, journal, run, inputs(project), told.append)

    assert found is None
    assert told == [
        f"{run}: starts from the beginning, since data.jsonl differs from that of {earlier}; "
        f"--resume {earlier} resumes anyway"
    ]


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
    assert (folder.root / "aside" / "checkpoint-9" / "weights").read_text() == "weights"


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
