"""The main job: rent, train, pull, verify, lock, shut down; and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

LOST = {"name": "drop_reply", "times": 1}


def test_one_command_rents_runs_pulls_locks_and_ends_the_pod(laptop: Laptop) -> None:
    """Artifacts are here and read-only, the lock is written, no pod is left, the bill agrees."""
    laptop.write()
    laptop.podctl("run", "hello", "-y")

    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    assert stat.S_IMODE((laptop.folder / "out" / "copy.txt").stat().st_mode) == 0o444
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    assert lock["run"] == "hello-0001"
    assert {one["status"] for one in lock["criteria"]} == {"PASS"}
    assert {one["path"] for one in lock["inputs"]} == {"in.txt", "job.sh"}
    assert "[x] **hello**" in (laptop.folder / "STATUS.md").read_text()
    assert laptop.living_pods() == []
    laptop.assert_books_agree()
    assert "begin\nend\n" in laptop.podctl("logs", "hello").out


def test_a_command_in_one_text_is_run_by_a_shell(laptop: Laptop) -> None:
    """As one would type it: with a shell's own words, and `python` is the environment's."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    text = "\"python -c 'import os' && X=job && bash $X.sh > log.txt 2>&1\""
    config.write_text(config.read_text().replace('["bash", "job.sh"]', text))
    laptop.podctl("run", "hello", "-y")
    laptop.assert_done()


def test_a_locked_stage_refuses_until_it_is_unlocked(laptop: Laptop) -> None:
    """Exit code 4 with when and at what price; unlock archives the certificate."""
    laptop.write()
    laptop.podctl("run", "hello", "-y")

    refused = laptop.podctl("run", "hello", "-y", expect=4)
    laptop.podctl("unlock", "hello", "--reason", "the input changed")
    laptop.podctl("run", "hello", "-y")

    assert "locked since" in refused.err
    assert "a re-run would cost" in refused.err
    assert (laptop.folder / "locks" / "archive" / "hello-1.json").exists()
    assert len(laptop.journal().runs("hello")) == 2


def test_row_01_a_lost_reply_of_the_create_is_settled_by_listing(laptop: Laptop) -> None:
    """One pod is ever created, and it is the one that runs."""
    laptop.write()
    laptop.cloud.faults(LOST)
    told = laptop.podctl("run", "hello", "-y")

    assert "found pod" in told.err
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []


def test_row_04_capacity_is_looked_for_at_the_next_price(laptop: Laptop) -> None:
    """The cheaper type has none: the dearer is rented."""
    laptop.write()
    fault = {"name": "no_capacity", "match": {"gpu": "NVIDIA GeForce RTX 4090"}, "value": "stale"}
    laptop.cloud.faults(fault)
    told = laptop.podctl("run", "hello", "-y")

    assert "renting 1 x RTX 4090" in told.err
    assert "renting 1 x L40S" in told.err


def test_row_04_no_capacity_anywhere_says_what_was_tried(laptop: Laptop) -> None:
    """Exit code 9; nothing was rented."""
    laptop.write()
    laptop.cloud.faults({"name": "no_capacity", "value": "stale"})
    told = laptop.podctl("run", "hello", "-y", expect=9)

    assert "NVIDIA GeForce RTX 4090" in told.err
    assert "NVIDIA L40S" in told.err
    assert laptop.cloud.state()["pods"] == []


def test_a_balance_too_low_is_refused_before_renting(laptop: Laptop) -> None:
    """Exit code 6."""
    laptop.write()
    laptop.cloud.set_balance(0.5)
    told = laptop.podctl("run", "hello", "-y", expect=6)

    assert "balance" in told.err
    assert laptop.cloud.state()["pods"] == []


def test_a_worst_case_over_the_budget_is_refused_before_renting(laptop: Laptop) -> None:
    """Exit code 6, with the sum."""
    laptop.write()
    told = laptop.podctl("run", "hello", "-y", "--budget", "0.10", expect=6)

    assert "worst case" in told.err


def test_a_failing_job_is_pulled_and_parks_nothing(laptop: Laptop) -> None:
    """No lock; the log is here; the pod waits for another run; stop --terminate ends it. The
    script runs although it lost its run bit, and the message has the last line that it wrote."""
    laptop.write(rc=3)
    job, config = laptop.folder / "job.sh", laptop.folder / "podctl.toml"
    job.write_text("#!/bin/bash\n" + job.read_text().replace("echo end", "printf '1%%\\r99%%\\n'"))
    config.write_text(config.read_text().replace('["bash", "job.sh"]', '["./job.sh"]'))
    told = laptop.podctl("run", "hello", "-y", expect=1)
    assert "the job's last line: 99%\n" in told.err
    files = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files"

    assert "ended with 3" in told.err
    assert (files / "out" / "copy.txt").exists()
    assert not (laptop.folder / "locks" / "hello.json").exists()
    assert not (laptop.folder / "out").exists()
    assert [pod["status"] for pod in laptop.living_pods()] == ["RUNNING"]
    laptop.podctl("stop", "hello", "--terminate", "-y")
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_criteria_that_are_not_met_lock_nothing(laptop: Laptop) -> None:
    """Exit code 5; the measured value is on screen."""
    laptop.write(ok="false")
    told = laptop.podctl("run", "hello", "-y", expect=5)

    assert "False" in told.err
    assert not (laptop.folder / "locks").exists() or not list((laptop.folder / "locks").iterdir())


def test_a_missing_input_is_named_before_renting(laptop: Laptop) -> None:
    """Exit code 3."""
    laptop.write()
    (laptop.folder / "in.txt").unlink()
    told = laptop.podctl("run", "hello", "-y", expect=3)

    assert "in.txt" in told.err
    assert laptop.cloud.state()["pods"] == []


def test_nothing_is_rented_without_an_answer_to_the_question(laptop: Laptop) -> None:
    """Not on a terminal: exit code 2 naming the flag."""
    laptop.write()
    told = laptop.podctl("run", "hello", expect=2)

    assert "-y" in told.err
    assert laptop.cloud.state()["pods"] == []


@pytest.mark.long
def test_a_pod_whose_ssh_never_comes_is_replaced(laptop: Laptop) -> None:
    """The first is terminated before the second is rented."""
    laptop.write(boot_minutes=0.05)
    laptop.cloud.faults({"name": "no_runtime", "times": 1})
    laptop.podctl("run", "hello", "-y")
    pods = laptop.cloud.state()["pods"]

    assert len(pods) == 2
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_row_38_ctrl_c_detaches_and_sync_brings_it_home(laptop: Laptop) -> None:
    """The job goes on; the message says what bills; exit code 130."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "still billing" in err
    laptop.podctl("sync")
    assert (laptop.folder / "locks" / "hello.json").exists()
    assert len(laptop.cloud.state()["pods"]) == 1


def test_a_second_controller_is_told_who_drives(laptop: Laptop) -> None:
    """Exit code 75 with the pid of the first."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        told = laptop.podctl("run", "hello", "-y", expect=75)
    process.communicate(timeout=60)

    assert str(process.pid) in told.err
    assert process.returncode == 0


def test_a_run_after_a_stop_starts_the_parked_pod_again(laptop: Laptop) -> None:
    """The next `run` uses the pod that the stop parked, and nothing is left afterwards."""
    laptop.write(seconds=60)
    laptop.detach()
    laptop.podctl("stop", "hello", "-y")
    (parked,) = laptop.living_pods()
    laptop.job()
    done = laptop.podctl("run", "hello", "-y")
    again = laptop.podctl("sync")

    assert parked["status"] == "EXITED"
    assert parked["id"] in done.err
    assert "nothing is unfinished" in again.err
    laptop.assert_done(pods=1)


def test_stop_ends_a_run_early_and_pulls_first(laptop: Laptop) -> None:
    """What the job wrote until then is here; the pod is gone."""
    laptop.write(seconds=60)
    (laptop.folder / "job.sh").write_text("mkdir -p out; echo early > out/early.txt; sleep 60\n")
    process = laptop.start("run", "hello", "-y")
    until(laptop.works, 60)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    laptop.podctl("stop", "hello", "--terminate", "-y")
    files = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files"

    assert (files / "out" / "early.txt").read_text() == "early\n"
    assert laptop.living_pods() == []


@pytest.mark.long
def test_kill_9_at_five_moments_ends_in_the_same_place(laptop: Laptop) -> None:
    """One pod is ever billed at a time, one job runs, and the stage is locked."""
    laptop.write(seconds=2)
    for delay in (0.5, 1.0, 1.6, 2.4, 3.2):
        process = laptop.start("run", "hello", "-y")
        try:
            process.communicate(timeout=delay)
        except subprocess.TimeoutExpired:  # whatever it was doing, it dies now
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert len(laptop.living_pods()) <= 1
    if not (laptop.folder / "locks" / "hello.json").exists():
        laptop.podctl("run", "hello", "-y")

    assert (laptop.folder / "locks" / "hello.json").exists()
    laptop.podctl("sync")
    assert laptop.living_pods() == []
    runs = laptop.journal().runs("hello")
    assert len(runs) == 1
    laptop.assert_books_agree()


def test_a_key_that_is_no_longer_accepted_stops_the_drive(laptop: Laptop) -> None:
    """Exit code 10 with what to do by hand; nothing is forgotten."""
    laptop.write()
    body = {"title": "Unauthorized", "status": 401, "detail": "missing bearer token"}
    value = {"status": 401, "body": body, "type": "application/problem+json"}
    laptop.cloud.faults({"name": "respond", "match": {"path": "^/v2/"}, "value": value})
    told = laptop.podctl("run", "hello", "-y", expect=10)

    assert "RUNPOD_API_KEY" in told.err or "key" in told.err


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.long
def test_row_34_a_full_disk_here_keeps_the_pod_and_says_what_is_missing(
    laptop: Laptop, tmp_path: Path
) -> None:
    """It is waited for, with pod and price; with room again the same command finishes the job."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(
        "mkdir -p out; head -c 30000000 /dev/urandom > out/big.bin;"
        " echo '{\"ok\": true}' > out/result.json\n"
    )
    runs = laptop.folder / ".podctl" / "runs"
    runs.mkdir(parents=True, mode=0o700)
    os.chmod(runs.parent, 0o700)
    assert os.system(f"mount -t tmpfs -o size=8m,mode=0700 none {runs}") == 0
    try:
        process = laptop.start("run", "hello", "-y")
        assert process.stderr is not None
        told = next(line for line in process.stderr if "waiting for room" in line)
        (pod,) = laptop.living_pods()
        assert os.system(f"mount -o remount,size=200m {runs}") == 0
        out, err = process.communicate(timeout=90)
    finally:
        os.system(f"umount {runs}")

    assert process.returncode == 0, out + err
    assert "bytes" in told
    assert f"still billing: pod {pod['id']} $0.69" in told
    assert laptop.living_pods() == []


@pytest.mark.long
def test_row_68_an_artifact_that_changed_after_its_manifest_keeps_the_pod(laptop: Laptop) -> None:
    """Exit code 7 with retry, park and abandon; the pod is there until one is chosen."""
    laptop.write()
    laptop.detach()
    ended = laptop.ended()
    copy = ended.parent / "work" / "out" / "copy.txt"
    copy.write_text("HI\n")
    told = laptop.podctl("sync", expect=7)

    assert "--abandon" in told.err
    assert len(laptop.living_pods()) == 1
    assert not (laptop.folder / "locks" / "hello.json").exists()
    copy.write_text("hi\n")
    laptop.podctl("sync")
    assert laptop.living_pods() == []


def test_abandoning_with_a_reason_gives_the_pod_up(laptop: Laptop) -> None:
    """What is only there is lost by decision, and the decision is on record."""
    laptop.write()
    laptop.detach()
    ended = laptop.ended()
    (ended.parent / "work" / "out" / "copy.txt").write_text("HI\n")
    laptop.podctl("sync", expect=7)
    laptop.podctl("stop", "hello", "--terminate", "--abandon", "a test of mine", "-y")

    assert laptop.living_pods() == []
    assert laptop.journal().runs("hello")[0].outcome == "abandoned"


def test_row_38_sigterm_leaves_the_job_running_and_the_books_in_order(laptop: Laptop) -> None:
    """Exit code 143; the next command carries on with the same pod."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        os.kill(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)
    laptop.podctl("run", "hello", "-y")

    assert process.returncode == 143
    assert len(laptop.cloud.state()["pods"]) == 1


def test_row_38_ctrl_c_twice_ends_at_once(laptop: Laptop) -> None:
    """The second one does not wait for anything; nothing is lost."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        os.killpg(process.pid, signal.SIGINT)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    laptop.podctl("sync")

    assert process.returncode in (130, -signal.SIGINT)
    assert laptop.living_pods() == []


def test_row_55_a_pod_killed_by_its_host_is_started_again_and_the_job_goes_on(
    laptop: Laptop,
) -> None:
    """The volume survives; the agent starts the job anew as its second attempt."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        (pod,) = laptop.living_pods()
        laptop.cloud.kill_pod(pod["id"])
    _, err = process.communicate(timeout=80)

    assert process.returncode == 0, err
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_two_stages_share_one_pod(laptop: Laptop) -> None:
    """The second stage reads what the first one made, on the same hardware, without a new boot."""
    more = """
[stages.second]
title = "Read what hello made"
command = ["bash", "-c", "mkdir -p next; cat out/copy.txt > next/again.txt"]
needs = ["hello"]
inputs = ["out/copy.txt"]
outputs = ["next/**"]
hours = 0.01
max_hours = 0.1
criteria = [{ kind = "exists", path = "next/again.txt" }]

[stages.second.hardware]
gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]
disk_gb = 10
volume_gb = 20
"""
    laptop.write(more=more)
    laptop.podctl("run", "hello", "second", "-y")

    assert (laptop.folder / "next" / "again.txt").read_text() == "hi\n"
    assert len(laptop.cloud.state()["pods"]) == 1
    stages = {row["name"]: row for row in laptop.json("cost")["stages"]}
    assert stages["hello"]["usd"] > 0
    assert stages["second"]["usd"] > 0


def test_row_21_a_pod_dearer_than_quoted_is_given_back_at_once(
    laptop: Laptop,
) -> None:
    """What it really costs decides; the next one is as quoted."""
    laptop.write()
    laptop.cloud.faults({"name": "price_differs", "times": 1, "value": 3.0})
    told = laptop.podctl("run", "hello", "-y")

    assert "it costs $2.07/h" in told.err
    assert len(laptop.cloud.state()["pods"]) == 2
    laptop.assert_books_agree()


@pytest.mark.long
def test_row_64_a_guard_that_cannot_stop_its_pod_is_asked_about(laptop: Laptop) -> None:
    """Without an answer nothing is started and the pod is given back; --unguarded accepts it."""
    laptop.write()
    laptop.cloud.faults({"name": "pod_key_denied"})
    told = laptop.podctl("run", "hello", "-y", expect=10)

    assert "worst case" in told.err
    assert "--unguarded" in told.err
    assert laptop.living_pods() == []
    laptop.podctl("run", "hello", "-y", "--unguarded")
    assert (laptop.folder / "locks" / "hello.json").exists()


def test_a_new_attempt_goes_on_from_what_the_lost_one_left_here(laptop: Laptop) -> None:
    """The pod vanished with its volume: what was pulled of its work travels to the next pod."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(
        "mkdir -p out\n"
        "if [ -f out/part ]; then echo '{\"ok\": true}' > out/result.json; exit 0; fi\n"
        "echo half > out/part; sleep 60\n"
    )
    process = laptop.start("run", "hello", "-y")
    part = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files" / "out" / "part"
    until(part.exists, 60)
    (pod,) = laptop.living_pods()
    laptop.cloud.kill_pod(pod["id"], lost_volume=True, status="TERMINATED")
    _, err = process.communicate(timeout=80)
    laptop.podctl("run", "hello", "-y")

    assert process.returncode == 1
    assert "pod-lost" in err
    assert (laptop.folder / "out" / "part").read_text() == "half\n"
    assert laptop.living_pods() == []


def test_row_23_a_pod_stopped_in_the_console_is_left_alone_until_the_next_command(
    laptop: Laptop,
) -> None:
    """Exit code 7 with what bills; `podctl run` then starts it again and brings everything home."""
    laptop.write(seconds=60)
    script = (
        "mkdir -p out; [ -f out/half ] && { echo '{\"ok\": true}' > out/result.json; exit 0; };"
        " echo half > out/half; sleep 60\n"
    )
    (laptop.folder / "job.sh").write_text(script)
    process = laptop.start("run", "hello", "-y")
    half = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files" / "out" / "half"
    until(half.exists, 90)
    (pod,) = laptop.living_pods()
    laptop.cloud.api("POST", f"/v2/pods/{pod['id']}/action", {"action": "stop"})
    _, err = process.communicate(timeout=90)
    stopped = [one["status"] for one in laptop.living_pods()]
    laptop.podctl("run", "hello", "-y")

    assert process.returncode == 7, err
    assert "was stopped, but not by podctl" in err
    assert stopped == ["EXITED"]
    laptop.assert_done()


def test_row_23_a_pod_deleted_in_the_console_is_not_rented_again_unasked(laptop: Laptop) -> None:
    """The run ends as lost, saying so; with `on_vanished = "retry"` it goes on on another pod."""
    laptop.write(seconds=60)
    process = laptop.start("run", "hello", "-y")
    until(lambda: laptop.works(), 60)
    (pod,) = laptop.living_pods()
    laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")
    _, err = process.communicate(timeout=90)

    assert process.returncode == 1, err
    assert "disappeared" in err
    assert "nothing is rented" in err
    assert len(laptop.creates()) == 1
    assert laptop.living_pods() == []
