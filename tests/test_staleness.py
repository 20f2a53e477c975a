"""Stale locks: found in words, passed downstream, never deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller import certificate, statement
from controller.certificate import Artifact, Certificate, CriterionMet, Price
from controller.safekeeping import hash_file
from controller.staleness import all_differences, differences, downstream
from jobs.stage import Criterion, Stage
from tests.laptop import Laptop

SHA = "a" * 64
OTHER = "b" * 64


def stage(name: str = "stage1c", **changes: object) -> Stage:
    found = {
        "name": name,
        "title": name,
        "command": ("python", "train.py"),
        "inputs": ("data.jsonl",),
        "outputs": (f"out/{name}/**",),
        "criteria": (Criterion(kind="exists", path="out/a"),),
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
        command=of.command,
        parameters=of.parameters,
        cost=Price(usd=2.0, hours=1.0),
        started_at=1.0,
        ended_at=2.0,
        locked_at=3.0,
    )
    return found.model_copy(update=changes)


def test_a_lock_of_what_would_run_now_is_current() -> None:
    """Nothing differs."""
    assert differences(stage(), lock(), {"data.jsonl": SHA}, {}) == ()


@pytest.mark.parametrize(
    ("changed", "inputs", "words"),
    [
        ({"parameters": {"lr": 2e-4}}, {"data.jsonl": SHA}, "parameter lr was 0.0001, is 0.0002"),
        ({"parameters": {}}, {"data.jsonl": SHA}, "parameter lr was 0.0001, is not set"),
        ({"command": ("bash",)}, {"data.jsonl": SHA}, "the command was"),
        ({"outputs": ("new/**",)}, {"data.jsonl": SHA}, "the outputs were"),
        ({}, {"data.jsonl": OTHER}, "input data.jsonl changed"),
        ({}, {}, "input data.jsonl is no longer there"),
        ({}, {"data.jsonl": SHA, "more": SHA}, "input more is new"),
    ],
)
def test_each_difference_is_said_in_words(
    changed: dict[str, object], inputs: dict[str, str], words: str
) -> None:
    """One change, one sentence."""
    (found,) = differences(stage(**changed), lock(), inputs, {})

    assert words in found.text


def test_staleness_goes_downstream() -> None:
    """What stands on a stale lock is stale, through any number of stages."""
    stages = {
        "stage1a": stage("stage1a"),
        "stage1b": stage("stage1b", needs=("stage1a",)),
        "stage1c": stage("stage1c", needs=("stage1b",)),
    }
    locks = {name: lock(name) for name in stages}
    inputs = {name: {"data.jsonl": SHA} for name in stages} | {"stage1a": {"data.jsonl": OTHER}}
    found = all_differences(stages, locks, inputs)

    assert [one.kind for one in found["stage1a"]] == ["input"]
    assert [one.kind for one in found["stage1b"]] == ["upstream"]
    assert [one.kind for one in found["stage1c"]] == ["upstream"]
    assert downstream(stages, "stage1a") == ("stage1b", "stage1c")


def test_a_need_that_was_locked_again_makes_its_users_stale() -> None:
    """The certificate names the very lock that it stands on."""
    user = stage("stage1b", needs=("stage1a",))
    standing = lock("stage1b", needs={"stage1a": OTHER})

    (found,) = differences(user, standing, {"data.jsonl": SHA}, {"stage1a": lock("stage1a")})

    assert "locked again since" in found.text


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


def plan(root: Path) -> dict[str, Certificate]:
    """Two locked stages with their files, and the statement over them."""
    locks: dict[str, Certificate] = {}
    for name in ("stage1a", "stage1b"):
        path = root / "out" / name / "a"
        path.parent.mkdir(parents=True)
        path.write_text(name)
        size, sha256 = hash_file(path)
        found = lock(name, artifacts=(Artifact(path=f"out/{name}/a", size=size, sha256=sha256),))
        if locks:
            found = found.model_copy(update={"needs": {"stage1a": locks["stage1a"].sha256}})
        certificate.write(root, found)
        locks[name] = found
    statement.write(root, "stage1", locks)
    return locks


def test_the_statement_is_in_toto_and_verifies(tmp_path: Path) -> None:
    """Subjects are the artifacts; the chain ends in the predicate."""
    locks = plan(tmp_path)
    document = json.loads(statement.statement_path(tmp_path, "stage1").read_text())

    assert statement.verify(tmp_path, "stage1", locks) == ()
    assert document["_type"] == "https://in-toto.io/Statement/v1"
    assert {one["name"] for one in document["subject"]} == {"out/stage1a/a", "out/stage1b/a"}
    assert document["predicate"]["chain"] == document["predicate"]["locks"][-1]["chain"]


@pytest.mark.parametrize("what", ["artifact", "verdict", "lock", "statement"])
def test_one_changed_byte_breaks_the_statement(tmp_path: Path, what: str) -> None:
    """Artifact, verdict, lock or statement: whichever it is."""
    locks = plan(tmp_path)
    path = statement.statement_path(tmp_path, "stage1")
    if what == "artifact":
        (tmp_path / "out" / "stage1a" / "a").write_text("stage1A")
    elif what == "verdict":
        met = (CriterionMet(criterion="it is there", status="FAIL", measured=1),)
        locks["stage1a"] = locks["stage1a"].model_copy(update={"criteria": met})
    elif what == "lock":
        del locks["stage1b"]
    else:
        path.chmod(0o644)
        path.write_bytes(path.read_bytes().replace(b"stage1a-0001", b"stage1a-0002"))

    assert statement.verify(tmp_path, "stage1", locks)


def test_a_plan_is_its_stages_by_name() -> None:
    """stage1a to stage1e are the plan stage1; a user's own stage belongs to none."""
    found = statement.plans(["stage1a", "stage1e", "hello", "stage12b"])

    assert found == {"stage1": ("stage1a", "stage1e"), "stage12": ("stage12b",)}
