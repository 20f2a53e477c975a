"""A pod that lies, and a laptop that is surprised: nothing is installed, lost or rented in vain."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from controller.agent.job_log import masked
from controller.credentials.secret import Secret
from controller.transfer.manifest_check import job_outputs, undeclared
from remote.contract import FileEntry, Manifest
from remote.stages.instructions.sets import load
from remote.stages.verification.scoring import score
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.own_instructions import TOPICS, records, write


@pytest.mark.parametrize(
    "path",
    [
        "podctl.toml",
        "STATUS.md",
        "locks/stage1b.json",
        "Locks/stage1b.json",
        ".git/hooks/pre-commit",
        ".podctl/ssh_config",
        "job.sh",
        "other/file",
    ],
)
def test_only_declared_paths_are_ever_taken(path: str) -> None:
    """Whatever matches no output glob, or is podctl's or git's own, is refused."""
    assert undeclared(["out/a", path], ["out/**"]) == (path,)


def test_reserved_names_are_left_out_even_when_a_glob_matches() -> None:
    """A glob that matches everything does not open the door, and does not hold the rest up."""
    files = tuple(
        FileEntry(path, 1, "0" * 64) for path in ("a.txt", "podctl.toml", ".git/config", "Locks/x")
    )

    assert [one.path for one in job_outputs(Manifest("r", 1, True, files), {}).files] == ["a.txt"]


def test_what_an_output_excludes_is_not_declared() -> None:
    """A pod may not send what its stage left out."""
    assert undeclared(["runs/a.pt", "runs/b/optimizer.pt"], ["runs/**", "!optimizer.pt"]) == (
        "runs/b/optimizer.pt",
    )


def test_secrets_are_masked_without_moving_an_offset() -> None:
    """Exact values and what looks like a key, by as many asterisks."""
    line = b"token my-very-own hf_abcdefghijklmnopqrstuvwx end\n"
    found = masked(line, [Secret("my-very-own")])

    assert len(found) == len(line)
    assert b"my-very-own" not in found
    assert b"hf_" not in found
    assert found.endswith(b" end\n")


@pytest.mark.long
def test_a_manifest_that_names_more_than_the_stage_declares_is_refused(laptop: Laptop) -> None:
    """The pod rewrote manifest and exit record after the job: nothing of it is installed."""
    laptop.write()
    laptop.detach()
    ended = laptop.ended()
    _smuggle(ended.parent, "podctl.toml", "[project]\nname = 'evil'\n")
    told = laptop.podctl("sync", expect=7)

    assert "podctl.toml" in told.err
    assert "evil" not in (laptop.folder / "podctl.toml").read_text()
    assert not (laptop.folder / "locks" / "hello.json").exists()


def test_row_69_a_manifest_that_changes_after_the_exit_record_is_refused(laptop: Laptop) -> None:
    """The exit record names its manifest by hash: another one brings nothing and ends nothing."""
    laptop.write()
    laptop.detach()
    path = laptop.ended().with_name("manifest.json")
    good = path.read_bytes()
    found = json.loads(good)
    found["files"] = [one for one in found["files"] if one["path"] != "out/copy.txt"]
    path.write_text(json.dumps(found))
    told = laptop.podctl("sync", expect=7)
    (kept,) = laptop.living_pods()
    path.write_bytes(good)
    laptop.podctl("sync")

    assert "not the one that its exit record names" in told.err
    assert kept["status"] == "RUNNING"
    assert (laptop.folder / "out" / "copy.txt").exists()
    assert laptop.living_pods() == []


def test_row_76_an_exit_record_of_success_does_not_replace_an_artifact(laptop: Laptop) -> None:
    """rc 0, every criterion met, and a declared output nowhere: refused, not locked, kept."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    more = 'outputs = ["out/**", "weights/*.bin"]'
    config.write_text(config.read_text().replace('outputs = ["out/**"]', more))
    laptop.detach()
    ended = laptop.ended()
    record = json.loads(ended.read_text())
    assert record["rc"] == 1  # the pod's own word, before it lies
    ended.write_text(json.dumps(record | {"rc": 0, "detail": ""}))
    told = laptop.podctl("sync", expect=5)

    assert "FAIL  every declared output could travel: nothing is at weights/*.bin" in told.err
    assert not (laptop.folder / "locks" / "hello.json").exists()
    assert not (laptop.folder / "out").exists()
    assert [pod["status"] for pod in laptop.living_pods()] == ["RUNNING"]


def test_a_pods_verdicts_are_judged_again_here(laptop: Laptop) -> None:
    """Instructions that would not be sent cost no pod; one forged verdict and nothing is locked."""
    laptop.write()
    own = write(laptop.folder / "mine", {part: records(part) for part in TOPICS})
    config = laptop.folder / "podctl.toml"
    there = 'kind = "value", path = "out/result.json", key = "ok", equals = true'
    rescored = 'kind = "rescored", path = "out/copy.txt", parts = ["held_out"]'
    parameters = '[stages.hello.parameters]\ninstructions = "mine"\n'
    config.write_text(config.read_text().replace(there, rescored) + parameters)
    asked = load(str(own)).held_out
    scored = score(asked, ["In Tokyo.", "In Rome.", "In Havana."])
    said = [record.to_json() for record in scored]
    _put_lines(laptop.folder / "in.txt", [one | {"correct": True} for one in said])
    unsent = laptop.podctl("run", "hello", "-y", expect=3)
    pods = laptop.cloud.state()["pods"]
    config.write_text(f'{config.read_text()}\n[upload]\ninclude = ["mine"]\n')
    told = laptop.podctl("run", "hello", "-y", expect=5)
    locked = (laptop.folder / "locks" / "hello.json").exists()
    _put_lines(laptop.folder / "in.txt", said)
    laptop.podctl("run", "hello", "-y")

    assert "the instructions in mine would not be sent" in unsent.err
    assert pods == []
    assert "record 2: the answer is wrong, and something else is said" in told.err
    assert not locked
    assert (laptop.folder / "locks" / "hello.json").exists()


@pytest.mark.long
def test_a_deleted_certificate_does_not_unlock(laptop: Laptop) -> None:
    """The record in the database counts; only unlock releases it."""
    laptop.write()
    laptop.podctl("run", "hello", "-y")
    (laptop.folder / "locks" / "hello.json").unlink()
    told = laptop.podctl("run", "hello", "-y", expect=5)

    assert "its certificate is missing" in told.err
    laptop.podctl("verify", "--all", expect=5)
    laptop.podctl("unlock", "hello", "--reason", "lost the file")
    laptop.podctl("run", "hello", "-y")


def test_a_kill_just_after_the_lock_is_carried_on_by_sync(laptop: Laptop) -> None:
    """The stage is locked, and the end of its pod, which was told to go, is not recorded: sync
    records it."""
    laptop.write()
    process = laptop.start("run", "hello", "-y")
    lock = laptop.folder / "locks" / "hello.json"
    until(lock.exists, 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    laptop.podctl("sync")

    assert laptop.living_pods() == []
    laptop.podctl("run", "hello", "-y", expect=4)


@pytest.mark.long
def test_the_users_own_file_moves_aside(laptop: Laptop) -> None:
    """What stood under an artifact's name is kept, and said."""
    laptop.write()
    (laptop.folder / "out").mkdir()
    (laptop.folder / "out" / "copy.txt").write_text("mine\n")
    told = laptop.podctl("run", "hello", "-y")
    aside = laptop.folder / ".podctl" / "aside" / "hello-0001" / "out" / "copy.txt"

    assert aside.read_text() == "mine\n"
    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    assert "was another file" in told.err


def test_a_secret_among_the_inputs_is_refused_before_renting(laptop: Laptop) -> None:
    """Nothing is rented for what may not be sent."""
    laptop.write()
    (laptop.folder / "in.txt").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n")
    laptop.podctl("run", "hello", "-y", expect=2)

    assert laptop.cloud.state()["pods"] == []


@pytest.mark.long
def test_a_pod_that_the_listing_hides_is_asked_for_by_its_id(laptop: Laptop) -> None:
    """One pod, however the list looks, and it is ended."""
    laptop.write()
    laptop.cloud.faults({"name": "list_hides"})
    laptop.podctl("run", "hello", "-y")
    laptop.cloud.faults()

    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


@pytest.mark.long
def test_row_57_a_run_whose_disk_was_lost_begins_again_from_what_is_here(laptop: Laptop) -> None:
    """The pod comes back with an empty volume: what was pulled goes on there, at a told price."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(
        "mkdir -p out\n"
        "if [ -f out/part ]; then echo '{\"ok\": true}' > out/result.json; exit 0; fi\n"
        "echo half > out/part; sleep 60\n"
    )
    process = laptop.start("run", "hello", "-y")
    part = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files" / "out" / "part"
    until(part.exists, 90)
    (pod,) = laptop.living_pods()
    laptop.cloud.kill_pod(pod["id"], lost_volume=True)
    _, err = process.communicate(timeout=90)

    assert process.returncode == 0, err
    assert "restarting from the downloaded files" in err
    assert "of work ($" in err
    assert (laptop.folder / "out" / "part").read_text() == "half\n"
    assert [run.outcome for run in laptop.journal().runs("hello")] == ["passed"]
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


@pytest.mark.long
def test_the_ledger_ends_where_the_bill_does_when_nobody_watched(laptop: Laptop) -> None:
    """A pod stopped at the provider while we were away is not booked until we came back."""
    laptop.write()
    with laptop.held():
        laptop.podctl("run", "hello", "-y", "--detach")
        (pod,) = laptop.living_pods()
        laptop.cloud.api("POST", f"/v2/pods/{pod['id']}/action", {"action": "stop"})
    stopped = time.time()
    until(lambda: time.time() > stopped + 4.0, 10)  # the absence itself is what is measured
    laptop.podctl("sync")
    found = laptop.json("cost", "--reconcile")

    (row,) = found["pods"]
    assert abs(row["ledger_usd"] - row["billed_usd"]) < 0.0004  # two seconds of $0.69 an hour


def _put_lines(path: Path, found: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(one)}\n" for one in found))


def _smuggle(run: Path, path: str, text: str) -> None:
    """As a hostile pod would: one more file, and both records made to agree."""
    target = run / "work" / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    manifest: dict[str, Any] = json.loads((run / "manifest.json").read_text())
    data = text.encode()
    manifest["files"].append(
        {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    raw = json.dumps(manifest).encode()
    (run / "manifest.json").write_bytes(raw)
    record = json.loads((run / "exit.json").read_text())
    record["manifest_sha256"] = hashlib.sha256(raw).hexdigest()
    (run / "exit.json").write_text(json.dumps(record))

    def document(self, run: str, name: str) -> bytes:
        files = [{"path": "out/evil", "size": 0, "sha256": hashlib.sha256().hexdigest()}]
        found = {"schema": 1, "run": run, "attempt": 1, "final": True, "files": files}
        return json.dumps(found).encode() if name == "manifest.json" else b""
