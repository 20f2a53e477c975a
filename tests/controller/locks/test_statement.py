"""A plan is certified as a whole only over locks that stand on one another and are current."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.locks import artifacts as lock_artifacts
from controller.locks import certificate
from controller.locks.certificate import CriterionMet, Price
from controller.locks.staleness import definitions
from controller.locks.statement import attest, attest_missing
from tests.support.shell import Shell

CONFIG = """
[project]
name = "try"
provider = "emulator"

[stages.stage9a]
command = ["bash", "a.sh"]
outputs = ["out/a"]
hours = 1
max_hours = 2
criteria = [{ kind = "lines", path = "out/a", at_least = 9 }]

[stages.stage9b]
command = ["bash", "b.sh"]
needs = ["stage9a"]
inputs = ["out/a"]
outputs = ["out/b"]
hours = 1
max_hours = 2
criteria = [{ kind = "exists", path = "out/b" }]
"""


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    """A project whose plan `stage9` has two locked stages, the second made from the first."""
    (tmp_path / "podctl.toml").write_text(CONFIG)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    found = Shell(tmp_path, capsys)
    for letter in "ab":
        lock(found, letter, "first")
    return found


def lock(shell: Shell, letter: str, content: str) -> None:
    """Run and locked with this content, on what is locked now; a lock before it is archived."""
    root, stage = shell.project.root, shell.project.stage(f"stage9{letter}")
    locks = certificate.read_all(root)
    if stage.name in locks:
        lock_artifacts.archive(root, stage.name, "again", now=9.0)
    (root / "out" / letter).write_text(content)
    met = (CriterionMet(criterion="it is there", status="PASS"),)
    certificate.write(
        root,
        certificate.Certificate(
            stage=stage.name,
            title=stage.title,
            run=f"{stage.name}-0001",
            criteria=met,
            asked=definitions(stage),
            artifacts=lock_artifacts.artifacts_of(root, [f"out/{letter}"]),
            outputs=stage.outputs,
            inputs=lock_artifacts.artifacts_of(root, stage.inputs),
            needs={need: locks[need].sha256 for need in stage.needs},
            command=stage.command,
            cost=Price(usd=0, hours=1),
            started_at=1.0,
            ended_at=2.0,
            locked_at=3.0,
        ),
    )


def statement(shell: Shell) -> Path:
    return shell.project.root / "locks" / "stage9.intoto.json"


def test_a_plan_whose_locks_stand_on_one_another_is_whole(shell: Shell) -> None:
    """The statement is written, and `verify --all` holds all of it."""
    told = attest(shell.project, "stage9")

    assert told == ("stage9 is whole: locks/stage9.intoto.json",)
    assert "PASS  stage9 plan" in shell("verify", "--all")


def test_a_stage_that_was_run_again_below_another_one_leaves_no_whole(shell: Shell) -> None:
    """No statement is written, what is apart is told, and `verify --all` fails by it."""
    lock(shell, "a", "second")
    told = "\n".join(attest(shell.project, "stage9"))
    shown = shell("verify", "--all", expect=5)

    assert not statement(shell).exists()
    for words in (
        "stage9a, on which it stands, was locked again since",
        "its input out/a is not the file that stage9a is locked with",
    ):
        assert words in told
        assert words in shown
    lock(shell, "b", "second")
    assert attest(shell.project, "stage9") == ("stage9 is whole: locks/stage9.intoto.json",)


def test_a_lock_by_relaxed_criteria_is_stale_and_makes_no_whole(shell: Shell) -> None:
    """Relaxed, run, locked and restored: why, verify and the statement see it, in words."""
    shell.project.file.write_text(CONFIG.replace("at_least = 9", "at_least = 10"))
    shell.project = type(shell.project)(shell.project.root)
    told = attest(shell.project, "stage9")
    words = "criterion lines out/a: at_least was 9.0, is 10.0"

    assert told[1:] == (f"  stage9a is stale: {words}",)
    assert words in shell("why", "stage9a")
    shown = shell("verify", "stage9a")
    assert shown.startswith("PASS  stage9a  1 file\n")
    assert f"stale: {words}" in shown


def test_a_deleted_statement_is_missed_and_made_again(shell: Shell) -> None:
    """`verify --all` fails while it lacks; the next change of state writes the same bytes."""
    attest(shell.project, "stage9")
    before = statement(shell).read_bytes()
    statement(shell).unlink()
    shown = shell("verify", "--all", expect=5)
    attest_missing(shell.project)

    assert "locks/stage9.intoto.json: it is missing" in shown
    assert statement(shell).read_bytes() == before
    assert "FAIL" not in shell("verify", "--all")
