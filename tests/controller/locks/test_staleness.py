"""Stale locks: found in words, passed downstream, never deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.errors import VerificationFailed
from controller.locks import certificate, statement
from controller.locks.artifacts import hash_file
from controller.locks.certificate import Artifact, Certificate, CriterionMet, Price
from controller.locks.staleness import all_differences, definitions, differences, downstream
from jobs.stage import Criterion, Stage
from tests.support.laptop import Laptop

SHA = "a" * 64
OTHER = "b" * 64
CODE = "c" * 64


LINES = Criterion(kind="lines", path="out/a", at_least=9)


def stage(name: str = "stage1c", **changes: object) -> Stage:
    found = {
        "name": name,
        "title": name,
        "command": ("python", "train.py"),
        "inputs": ("data.jsonl",),
        "outputs": (f"out/{name}/**",),
        "criteria": (LINES,),
        "hours": 1,
        "max_hours": 2,
        "parameters": {"lr": 1e-4},
    }
    return Stage.model_validate(found | changes)


def lock(name: str = "stage1c", **changes: object) -> Certificate:
    of = stage(name)
    found = Certificate(
        stage=name,
        title=name,
        run=f"{name}-0001",
        criteria=(CriterionMet(criterion="it is there", status="PASS", measured=1),),
        artifacts=(Artifact(path=f"out/{name}/a", size=1, sha256=SHA),),
        outputs=of.outputs,
        inputs=(Artifact(path="data.jsonl", size=1, sha256=SHA),),
        asked=definitions(of),
        command=of.command,
        code=CODE,
        parameters=of.parameters,
        cost=Price(usd=2.0, hours=1.0),
        started_at=1.0,
        ended_at=2.0,
        locked_at=3.0,
    )
    return found.model_copy(update=changes)


def test_a_lock_of_what_would_run_now_is_current() -> None:
    """Nothing differs."""
    assert differences(stage(), lock(), {"data.jsonl": SHA}, {}, CODE) == ()


@pytest.mark.parametrize(
    ("changed", "inputs", "words"),
    [
        ({"parameters": {"lr": 2e-4}}, {"data.jsonl": SHA}, "parameter lr was 0.0001, is 0.0002"),
        ({"parameters": {}}, {"data.jsonl": SHA}, "parameter lr was 0.0001, is not set"),
        ({"env": {"SEED": "1"}}, {"data.jsonl": SHA}, "variable SEED was not set, is '1'"),
        ({"command": ("bash",)}, {"data.jsonl": SHA}, "the command was"),
        ({"outputs": ("new/**",)}, {"data.jsonl": SHA}, "the outputs were"),
        (
            {"criteria": (Criterion(kind="lines", path="out/a", at_least=1),)},
            {"data.jsonl": SHA},
            "criterion lines out/a: at_least was 9.0, is 1.0",
        ),
        (
            {"criteria": (LINES, Criterion(kind="opens", path="out/a"))},
            {"data.jsonl": SHA},
            "criterion opens out/a is new",
        ),
        ({}, {"data.jsonl": OTHER}, "input data.jsonl changed"),
        ({}, {}, "input data.jsonl is no longer there"),
        ({}, {"data.jsonl": SHA, "more": SHA}, "input more is new"),
    ],
)
def test_each_difference_is_said_in_words(
    changed: dict[str, object], inputs: dict[str, str], words: str
) -> None:
    """One change, one sentence."""
    (found,) = differences(stage(**changed), lock(), inputs, {}, CODE)

    assert words in found.text


def test_a_criterion_that_is_gone_is_said_and_another_title_is_no_difference() -> None:
    """What a lock was judged by is in it, not only how it was called."""
    two = stage(criteria=(LINES, Criterion(kind="opens", path="out/a")))
    titled = stage(criteria=(LINES.model_copy(update={"title": "nine lines"}),))
    inputs = {"data.jsonl": SHA}
    (gone,) = differences(stage(), lock(asked=definitions(two)), inputs, {}, CODE)

    assert (gone.kind, gone.text) == ("criterion", "criterion opens out/a is no longer asked")
    assert differences(titled, lock(), inputs, {}, CODE) == ()


def test_what_stages_wrote_is_no_new_input_of_a_project_that_sends_everything() -> None:
    """Case 19: neither a lock's own artifacts nor another's, unless the stage asks for them."""
    own = Artifact(path="out/a", size=1, sha256=SHA)
    other = Artifact(path="else/b", size=1, sha256=SHA)
    locked = lock(artifacts=(own,))
    locks = {"stage1c": locked, "two": lock("two", artifacts=(other,))}
    here = {"data.jsonl": SHA, "out/a": SHA, "else/b": SHA}

    assert differences(stage(), locked, here, locks, CODE) == ()
    asked = stage(inputs=("data.jsonl", "else/*"))
    assert [one.text for one in differences(asked, locked, here, locks, CODE)] == [
        "input else/b is new"
    ]


def test_other_code_of_podctl_makes_the_stages_stale_that_it_runs() -> None:
    """One changed byte of the package shows, where the stage's command is a program of it."""
    ours = ("python", "-m", "remote.stages.sft")
    inputs = {"data.jsonl": SHA}
    (found,) = differences(stage(command=ours), lock(command=ours), inputs, {}, OTHER)

    assert found.kind == "code"
    assert "was cccccccccccc, is bbbbbbbbbbbb" in found.text
    assert differences(stage(), lock(), inputs, {}, OTHER) == ()


@pytest.mark.parametrize(
    ("recorded", "current", "words"),
    [
        ({}, True, "was not locked when it ran"),
        ({"stage1a": OTHER}, True, "was locked again since"),
        ({"stage1a": OTHER}, False, "is no longer locked"),
        ({}, False, ""),  # files stand in for it, then as now
    ],
)
def test_a_lock_that_stands_on_no_lock_in_force_is_stale(
    recorded: dict[str, str], current: bool, words: str
) -> None:
    """A need that was not recorded is not passed over."""
    locks = {"stage1a": lock("stage1a")} if current else {}
    user = stage("stage1b", needs=("stage1a",))
    found = differences(user, lock("stage1b", needs=recorded), {"data.jsonl": SHA}, locks, CODE)

    assert [one.kind for one in found] == (["need"] if words else [])
    assert all(words in one.text for one in found)


def test_staleness_goes_downstream() -> None:
    """What stands on a stale lock is stale, through any number of stages."""
    stages = {
        "stage1a": stage("stage1a"),
        "stage1b": stage("stage1b", needs=("stage1a",)),
        "stage1c": stage("stage1c", needs=("stage1b",)),
    }
    locks: dict[str, Certificate] = {}
    for name, one in stages.items():
        needs = {need: locks[need].sha256 for need in one.needs}
        locks[name] = lock(name, needs=needs)
    inputs = {name: {"data.jsonl": SHA} for name in stages} | {"stage1a": {"data.jsonl": OTHER}}
    found = all_differences(stages, locks, inputs, CODE)

    assert [one.kind for one in found["stage1a"]] == ["input"]
    assert [one.kind for one in found["stage1b"]] == ["upstream"]
    assert [one.kind for one in found["stage1c"]] == ["upstream"]
    assert downstream(stages, "stage1a") == ("stage1b", "stage1c")


def test_why_explains_and_prices_a_rerun(laptop: Laptop) -> None:
    """The lock stays; the command says what to type."""
    laptop.write()
    laptop.podctl("run", "hello", "-y")
    current = laptop.json("why", "hello")
    (laptop.folder / "in.txt").write_text("other\n")
    stale = laptop.json("why", "hello")

    assert current["state"] == "current"
    assert stale["state"] == "stale"
    assert stale["differences"] == ["input in.txt changed"]
    assert stale["rerun"][0]["usd"] > 0
    assert (laptop.folder / "locks" / "hello.json").exists()
    assert laptop.json("locks")["locks"][0]["state"] == "stale"


NEEDS = {"stage1a": (), "stage1b": ("stage1a",)}


def made(root: Path, name: str, text: str, **changes: object) -> Certificate:
    """A lock with one real file."""
    path = root / "out" / name / "a"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    size, sha256 = hash_file(path)
    artifact = Artifact(path=f"out/{name}/a", size=size, sha256=sha256)
    return lock(name, artifacts=(artifact,), **changes)


def plan(root: Path) -> dict[str, Certificate]:
    """Two locked stages with their files, and the statement over them."""
    first = made(root, "stage1a", "stage1a")
    needs = {"stage1a": first.sha256}
    second = made(root, "stage1b", "stage1b", needs=needs, inputs=first.artifacts)
    locks = {"stage1a": first, "stage1b": second}
    for one in locks.values():
        certificate.write(root, one)
    statement.write(root, "stage1", locks)
    return locks


def test_the_statement_is_in_toto_and_verifies(tmp_path: Path) -> None:
    """Subjects are the artifacts; the chain ends in the predicate."""
    locks = plan(tmp_path)
    document = json.loads(statement.statement_path(tmp_path, "stage1").read_text())

    assert statement.verify(tmp_path, "stage1", locks, NEEDS) == ()
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert {one["name"] for one in document["subject"]} == {"out/stage1a/a", "out/stage1b/a"}
    assert document["predicate"]["chain"] == document["predicate"]["locks"][-1]["chain"]


def holds(root: Path) -> bool:
    """What `podctl verify --all` finds: locks that can be read, and a statement over them."""
    try:
        return statement.verify(root, "stage1", certificate.read_all(root), NEEDS) == ()
    except VerificationFailed:
        return False


@pytest.mark.parametrize(
    "path", ["out/stage1a/a", "locks/stage1b.json", "locks/stage1.intoto.json"]
)
def test_one_changed_byte_breaks_the_statement(tmp_path: Path, path: str) -> None:
    """Artifact, lock or statement: whichever byte is another one, or doubled, or gone."""
    plan(tmp_path)
    file = tmp_path / path
    file.chmod(0o644)
    raw = file.read_bytes()
    places = range(0, len(raw), max(1, len(raw) // 60))
    forms = (
        form
        for place in (*places, len(raw) - 1)
        for form in (
            raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :],
            raw[:place] + raw[place : place + 1] + raw[place:],
            raw[:place] + raw[place + 1 :],
        )
    )
    unnoticed = []
    for form in forms:
        file.write_bytes(form)
        unnoticed += [form] if holds(tmp_path) else []
    file.write_bytes(raw)

    assert unnoticed == []
    assert holds(tmp_path)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("locks/stage1a.json", b'"usd": 2.0', b'"usd": 99,\n"usd": 2.0'),
        ("locks/stage1a.json", b"\n}\n", b"\n}\n   \n"),
        (
            "locks/stage1.intoto.json",
            b'"status": "PASS"',
            b'"status": "FAIL", "status": "PASS"',
        ),
        ("locks/stage1.intoto.json", b"\n}\n", b"\n}\n\n\n"),
    ],
)
def test_a_text_with_the_same_values_is_not_what_podctl_wrote(
    tmp_path: Path, path: str, old: bytes, new: bytes
) -> None:
    """A key that stands twice and a blank are changes, though no value is another one."""
    plan(tmp_path)
    file = tmp_path / path
    file.chmod(0o644)
    raw = file.read_bytes()
    file.write_bytes(raw.replace(old, new, 1))

    assert file.read_bytes() != raw
    assert not holds(tmp_path)


def test_a_verdict_in_a_lock_that_was_written_anew_breaks_the_statement(tmp_path: Path) -> None:
    """A whole new lock, right in itself, is not the one that was stated."""
    locks = plan(tmp_path)
    met = (CriterionMet(criterion="it is there", status="FAIL", measured=1),)
    locks["stage1b"] = locks["stage1b"].model_copy(update={"criteria": met})
    (problem,) = statement.verify(tmp_path, "stage1", locks, NEEDS)

    assert problem.path == "locks/stage1.intoto.json"


def test_a_statement_that_was_deleted_is_missed(tmp_path: Path) -> None:
    """It may lack only while a stage of the plan is not locked."""
    locks = plan(tmp_path)
    statement.statement_path(tmp_path, "stage1").unlink()
    (problem,) = statement.verify(tmp_path, "stage1", locks, NEEDS)

    assert (problem.path, problem.what) == ("locks/stage1.intoto.json", "it is missing")
    assert statement.verify(tmp_path, "stage1", {"stage1a": locks["stage1a"]}, NEEDS) == ()


def test_locks_that_do_not_stand_on_one_another_are_no_plan(tmp_path: Path) -> None:
    """Run again, the first stage has another lock and other files than the second was made from."""
    locks = plan(tmp_path)
    locks["stage1a"] = made(tmp_path, "stage1a", "other", run="stage1a-0002")
    statement.write(tmp_path, "stage1", locks)
    found = statement.verify(tmp_path, "stage1", locks, NEEDS)

    assert [one.what for one in found] == [
        "stage1a, on which it stands, was locked again since",
        "its input out/stage1a/a is not the file that stage1a is locked with",
    ]


def test_a_lock_that_somebodys_own_files_stood_in_for_is_no_part_of_a_plan(tmp_path: Path) -> None:
    """The stage that was left out and locked later is not what the other one was made from."""
    locks = plan(tmp_path)
    locks["stage1b"] = locks["stage1b"].model_copy(update={"needs": {}})
    found = statement.broken_links(NEEDS, locks)

    assert found["stage1a"] == ()
    assert [one.what for one in found["stage1b"]] == [
        "stage1a, on which it stands, was not locked when it ran"
    ]


def test_a_plan_is_its_stages_by_name() -> None:
    """stage1a to stage1e are the plan stage1; a user's own stage belongs to none."""
    found = statement.plans(["stage1a", "stage1e", "hello", "stage12b"])

    assert found == {"stage1": ("stage1a", "stage1e"), "stage12": ("stage12b",)}
