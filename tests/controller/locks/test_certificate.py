"""Certificates: written once, readable by people, and any change of lock or artifact shows."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import NotFound, VerificationFailed
from controller.locks.artifacts import (
    archive,
    artifacts_of,
    check_recorded,
    own_folders,
    protect,
    release,
    set_aside,
    verify_artifacts,
)
from controller.locks.certificate import (
    Artifact,
    Certificate,
    CriterionMet,
    Price,
    lock_path,
    read,
    read_all,
    write,
)

FILES = {
    "checkpoints/stage1_sft/adapter_config.json": b"{}",
    "checkpoints/stage1_sft/checkpoint-100/adapter.safetensors": b"weights" * 1000,
    "data/stage1/metrics.jsonl": b'{"loss": 1}\n',
}
OUTPUTS = ("checkpoints/stage1_sft/**", "data/stage1/metrics.jsonl")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, content in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    return tmp_path


def certificate(root: Path, **changes: Any) -> Certificate:
    values: dict[str, Any] = {
        "stage": "stage1c",
        "title": "Fine-tune",
        "run": "stage1c-0001",
        "criteria": (
            CriterionMet(criterion="loss decreases", status="PASS", measured=-0.75, detail="ok"),
            CriterionMet(criterion="opens", status="PASS", measured=2),
        ),
        "artifacts": artifacts_of(root, FILES),
        "outputs": OUTPUTS,
        "needs": {"stage1b": "a" * 64},
        "parameters": {"lr": 2e-4, "epochs": 3, "nested": {"list": [1, None, "ü"]}},
        "cost": Price(usd=1.25, hours=0.5, hardware="NVIDIA L40S", pods=("p1",)),
        "started_at": 1.5,
        "ended_at": 2.5,
        "locked_at": 3.5,
    }
    return Certificate(**(values | changes))


def test_certificate_comes_back_as_it_was(root: Path) -> None:
    """Writing and reading is the identity, with the same sha256; the file is read-only."""
    made = certificate(root)
    path = write(root, made)

    assert read(root, "stage1c") == made
    assert read_all(root) == {"stage1c": made}
    assert path == root / "locks" / "stage1c.json"
    assert path.stat().st_mode & 0o777 == 0o444
    document = json.loads(path.read_text())
    assert document["schema"] == 1
    assert document["sha256"] == made.sha256
    assert document["criteria"][0]["measured"] == -0.75


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
        ),
        max_leaves=8,
    )
)
def test_parameters_survive_the_file(value: Any) -> None:
    """Whatever JSON a parameter is, text and hash are the same after a round trip."""
    made = Certificate(
        stage="s",
        title="",
        run="s-0001",
        criteria=(),
        artifacts=(),
        outputs=(),
        parameters={"value": value},
        cost=Price(usd=0, hours=0),
        started_at=0,
        ended_at=0,
        locked_at=0,
    )
    again = Certificate.model_validate(json.loads(json.dumps(made.document())))

    assert again.sha256 == made.sha256


def test_writing_again_changes_nothing(root: Path) -> None:
    """The same certificate may be written twice (a crash in between); another one may not."""
    path = write(root, certificate(root))
    before = path.stat()

    write(root, certificate(root))
    assert path.stat().st_ino == before.st_ino
    with pytest.raises(VerificationFailed, match="another certificate"):
        write(root, certificate(root, title="Other"))


def test_a_lock_without_warnings_is_written_as_before(root: Path) -> None:
    """What an older podctl wrote keeps its sha256; a warning and an acceptance change it."""
    plain = certificate(root)
    document = plain.document()
    assert "warnings" not in document
    assert all("accepted" not in one for one in document["criteria"])

    met = plain.criteria[0].model_copy(update={"status": "INCONCLUSIVE", "accepted": "why"})
    for changes in ({"warnings": ("a.json: not JSON",)}, {"criteria": (met,)}):
        made = certificate(root, stage="other", **changes)
        write(root, made)
        found = read(root, "other")
        assert found == made
        assert found.sha256 != plain.sha256
        (root / "locks" / "other.json").unlink()


def test_stage_without_lock_has_no_certificate(root: Path) -> None:
    """Not locked is None, not an error."""
    assert read(root, "stage1c") is None
    assert read_all(root) == {}


def edit(path: Path, change: Any) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.chmod(0o644)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["criteria"][0].update(measured=-0.76),
        lambda document: document["artifacts"].pop(),
        lambda document: document.update(title="Better"),
        lambda document: document.pop("environment"),  # a default must not hide it
        lambda document: document.pop("sha256"),
        lambda document: document.update(sha256="0" * 64),
        lambda document: document.update(extra=1),
        lambda document: document.update(schema=2),
        lambda document: document["artifacts"][0].update(path="../../etc/passwd"),
        lambda document: document["cost"].update(usd=0.01),
    ],
)
def test_edited_lock_is_detected(root: Path, change: Any) -> None:
    """No field of a lock can be edited by hand unnoticed."""
    path = write(root, certificate(root))
    edit(path, change)

    with pytest.raises(VerificationFailed, match="not the certificate") as caught:
        read(root, "stage1c")
    assert "git checkout -- locks/stage1c.json" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"sha256": 1}', "[" * 100_000, "\xff"])
def test_nonsense_is_no_certificate(root: Path, text: str) -> None:
    """A file that is not even JSON is an explained error."""
    path = lock_path(root, "stage1c")
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(VerificationFailed):
        read(root, "stage1c")


def test_certificate_of_another_stage_is_refused(root: Path) -> None:
    """A lock that was copied to another stage's name does not lock it."""
    path = write(root, certificate(root))
    path.rename(path.with_name("stage1d.json"))

    with pytest.raises(VerificationFailed) as caught:
        read(root, "stage1d")
    assert "stage1c" in caught.value.cause


def test_edit_with_its_hash_renewed_is_seen_by_the_database(root: Path) -> None:
    """Somebody who re-computes the hash in the file is caught by the recorded one."""
    made = certificate(root)
    forged = certificate(root, title="Better")

    assert check_recorded(made, made.sha256) == ()
    assert check_recorded(made, None) == ()
    (problem,) = check_recorded(forged, made.sha256)
    assert problem.path == "locks/stage1c.json"


def test_unchanged_artifacts_have_no_problem(root: Path) -> None:
    """Verification of what was locked finds nothing, before and after protecting it."""
    made = certificate(root)
    assert verify_artifacts(root, made) == ()
    protect(root, made)

    assert verify_artifacts(root, made) == ()


def test_every_change_of_an_artifact_is_found(root: Path) -> None:
    """Changed content, another size, a missing file, a link, a folder, an added file."""
    made = certificate(root)
    adapter = root / "checkpoints/stage1_sft/checkpoint-100/adapter.safetensors"
    adapter.write_bytes(b"Weights" + adapter.read_bytes()[7:])
    config = root / "checkpoints/stage1_sft/adapter_config.json"
    config.unlink()
    config.symlink_to(adapter)
    (root / "data/stage1/metrics.jsonl").unlink()
    (root / "checkpoints/stage1_sft/extra.bin").write_bytes(b"")
    (root / "data/stage1/sibling.jsonl").write_bytes(b"")  # of nobody's concern

    found = {problem.path: problem.what for problem in verify_artifacts(root, made)}
    assert found.keys() == {*FILES, "checkpoints/stage1_sft/extra.bin"}
    assert found[adapter.relative_to(root).as_posix()] == "its content changed"
    assert "cannot be read" in found["checkpoints/stage1_sft/adapter_config.json"]
    assert found["data/stage1/metrics.jsonl"] == "it is missing"
    assert found["checkpoints/stage1_sft/extra.bin"] == "it is not in the certificate"

    adapter.write_bytes(b"short")
    assert Artifact(path="x", size=5, sha256="0" * 64).size == 5
    assert "5 bytes, was 7000" in {problem.what for problem in verify_artifacts(root, made)}


def test_what_an_earlier_run_left_is_set_aside(root: Path) -> None:
    """Files of the stage's own folders that are no artifacts move away whole; none is deleted."""
    made = certificate(root)
    for text in ("first", "second"):
        left = root / "checkpoints/stage1_sft/checkpoint-50/old.bin"
        left.parent.mkdir(exist_ok=True)
        left.write_text(text)
        assert set_aside(root, made, root / ".podctl/aside") == (
            "checkpoints/stage1_sft/checkpoint-50/old.bin",
        )

        assert verify_artifacts(root, made) == ()
    kept = sorted((root / ".podctl/aside/checkpoints/stage1_sft/checkpoint-50").iterdir())
    assert [path.read_text() for path in kept] == ["first", "second"]


def test_pipe_in_place_of_an_artifact_does_not_hang(root: Path) -> None:
    """A named pipe is no artifact, and waiting for its writer would be for ever."""
    made = certificate(root)
    (root / "data/stage1/metrics.jsonl").unlink()
    os.mkfifo(root / "data/stage1/metrics.jsonl")

    assert [problem.path for problem in verify_artifacts(root, made)] == [
        "data/stage1/metrics.jsonl"
    ]


def modes(root: Path) -> dict[str, int]:
    return {
        path.relative_to(root).as_posix(): path.stat().st_mode & 0o777 for path in root.rglob("*")
    }


def test_artifacts_are_read_only_and_siblings_can_come(root: Path) -> None:
    """Files 0444; folders of this stage alone 0555; shared folders stay writable."""
    before = modes(root)
    made = certificate(root)
    protect(root, made)
    protect(root, made)

    after = modes(root)
    assert all(after[path] == 0o444 for path in FILES)
    assert after["checkpoints/stage1_sft"] == 0o555
    assert after["checkpoints/stage1_sft/checkpoint-100"] == 0o555
    for shared in ("checkpoints", "data", "data/stage1"):
        assert after[shared] == before[shared]
    (root / "checkpoints" / "stage1_dpo").mkdir()
    (root / "data/stage1/next.jsonl").write_text("{}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to anything")
def test_locked_artifact_cannot_be_overwritten(root: Path) -> None:
    """An accident ends in a permission error."""
    protect(root, certificate(root))

    for path in FILES:
        with pytest.raises(PermissionError):
            (root / path).write_bytes(b"oops")
    with pytest.raises(PermissionError):
        (root / "checkpoints/stage1_sft/extra.bin").write_bytes(b"")


def test_folder_that_another_stage_writes_to_stays_writable(root: Path) -> None:
    """Another stage's outputs below this stage's folder keep it open."""
    protect(root, certificate(root), others=["checkpoints/stage1_sft/merged/**"])

    assert modes(root)["checkpoints/stage1_sft"] & 0o200
    assert modes(root)["checkpoints/stage1_sft/adapter_config.json"] == 0o444


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (("checkpoints/sft/**", "checkpoints/sft/**/*.json"), ("checkpoints/sft",)),
        (("a/b/c/**",), ("a/b/c",)),
        (("artifacts/**", "**", "data/*/x/**", "data/x.json", "data/s/*.json"), ()),
    ],
)
def test_own_folders_are_those_taken_whole(
    root: Path, outputs: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    """Only `a/b/**` makes a/b the stage's own; a top folder is never anybody's own."""
    assert own_folders(certificate(root, outputs=outputs)) == expected


def test_protection_does_not_follow_links(root: Path, tmp_path: Path) -> None:
    """A link in place of an artifact does not change what it points at."""
    made = certificate(root)
    outside = root.parent / f"{root.name}-outside"
    outside.write_text("mine")
    outside.chmod(0o640)
    target = root / "data/stage1/metrics.jsonl"
    target.unlink()
    target.symlink_to(outside)
    protect(root, made)
    release(root, made)

    assert outside.stat().st_mode & 0o777 == 0o640


def test_unlocking_keeps_the_old_certificate_and_frees_the_files(root: Path) -> None:
    """The lock moves to the archive with the reason, numbered; artifacts are writable again."""
    made = certificate(root)
    write(root, made)
    protect(root, made)
    first = archive(root, "stage1c", "new data", now=9.0)
    write(root, made)
    second = archive(root, "stage1c", "again", now=10.0)

    assert read(root, "stage1c") is None
    assert [first.name, second.name] == ["stage1c-1.json", "stage1c-2.json"]
    document = json.loads(first.read_text())
    assert (document["reason"], document["archived_at"]) == ("new data", 9.0)
    assert document["certificate"]["sha256"] == made.sha256
    assert read_all(root) == {}
    for path in FILES:
        (root / path).write_bytes(b"changed")
    (root / "checkpoints/stage1_sft/more.bin").write_bytes(b"")
    assert modes(root)["checkpoints/stage1_sft"] == 0o755


def test_unlocking_what_is_not_locked_is_an_error(root: Path) -> None:
    """There is nothing to archive."""
    with pytest.raises(NotFound, match="not locked"):
        archive(root, "stage1c", "why", now=0.0)


def test_artifact_that_is_not_there_is_named(root: Path) -> None:
    """Measuring a missing file says which."""
    with pytest.raises(NotFound, match=r"data/none\.json"):
        artifacts_of(root, ["data/none.json"])
