"""A mistyped criterion costs no training, and what a failed job left is the user's."""

from __future__ import annotations

import json
from typing import Any

from tests.support.laptop import Laptop


def mistyped(laptop: Laptop) -> None:
    """A project whose one criterion names a key that the job does not write."""
    laptop.write()
    edit(laptop, 'key = "ok"', 'key = "okay"')


def edit(laptop: Laptop, old: str, new: str) -> None:
    file = laptop.folder / "podctl.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def lock_of(laptop: Laptop) -> dict[str, Any]:
    found = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    assert isinstance(found, dict)
    return found


def test_a_mended_criterion_is_judged_without_a_pod(laptop: Laptop) -> None:
    """Case 25b: `podctl judge` locks the files of the run that failed, with that run's cost and
    today's criteria, and ends the pod that was parked for it."""
    mistyped(laptop)
    failed = laptop.podctl("run", "hello", "-y", expect=5)
    assert "there is ok" in failed.err
    assert "podctl judge hello" in failed.err
    still = laptop.podctl("judge", "hello", expect=5)
    assert "FAIL" in still.err
    edit(laptop, 'key = "okay"', 'key = "ok"')

    laptop.podctl("judge", "hello")

    lock = lock_of(laptop)
    assert lock["run"] == "hello-0001"
    assert lock["cost"]["usd"] > 0
    assert lock["asked"][0]["key"] == "ok"
    assert {one["status"] for one in lock["criteria"]} == {"PASS"}
    assert "warnings" not in lock
    laptop.podctl("verify", "--all")
    laptop.podctl("judge", "hello", expect=4)
    laptop.podctl("run", "hello", "-y", expect=4)
    laptop.assert_done()


def test_run_judges_a_finished_run_before_it_rents(laptop: Laptop) -> None:
    """Case 25b: a second `run` with nothing but the criteria changed locks what is here; without a
    terminal and without -y it says so and rents nothing; with another input, an unmended criterion
    or --fresh it trains anew and says why."""
    mistyped(laptop)
    laptop.podctl("run", "hello", "-y", expect=5)
    edit(laptop, 'key = "okay"', 'key = "ok"')

    asked = laptop.podctl("run", "hello", expect=2)
    assert "at no cost instead of renting" in asked.err
    assert "--fresh" in asked.err
    told = laptop.podctl("run", "hello", "-y")
    assert "its files meet the criteria" in told.err
    assert len(laptop.creates()) == 1
    laptop.assert_done()

    laptop.podctl("unlock", "hello", "--reason", "to be made again")
    edit(laptop, 'key = "ok"', 'key = "okay"')
    laptop.podctl("run", "hello", "-y", expect=5)
    assert len(laptop.creates()) == 2  # what was unlocked on purpose is not offered again
    (laptop.folder / "in.txt").write_text("ho\n")
    edit(laptop, 'key = "okay"', 'key = "ok"')
    told = laptop.podctl("run", "hello", "-y")
    assert "is run again: hello-0002 is finished, but since then input in.txt changed" in told.err
    assert lock_of(laptop)["run"] == "hello-0003"


def test_files_of_a_failed_run_are_taken_and_judged(laptop: Laptop) -> None:
    """They are told where they are; `take` copies them, and nothing that stood there is lost;
    `judge` says what holds, and locks on a person's reason, which the lock has, also while the
    provider does not answer."""
    laptop.write(rc=3)
    failed = laptop.podctl("run", "hello", "-y", expect=1)
    assert "podctl take hello-0001" in failed.err
    assert str(laptop.folder / ".podctl" / "runs" / "hello-0001" / "files") in failed.err
    (laptop.folder / "out").mkdir()
    (laptop.folder / "out" / "copy.txt").write_text("mine\n")

    taken = laptop.json("take", "hello-0001")

    assert taken["files"] == ["out/copy.txt", "out/result.json"]
    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    aside = laptop.folder / ".podctl" / "aside" / "hello-0001" / "out" / "copy.txt"
    assert aside.read_text() == "mine\n"
    (laptop.folder / "out" / "copy.txt").write_text("edited\n")
    judged = laptop.podctl("judge", "hello", expect=5)
    assert "INCONCLUSIVE  the job came to its end: it ended with 3" in judged.err
    assert "--accept REASON" in judged.err

    laptop.environment["PODCTL_EMULATOR_URL"] = "http://127.0.0.1:9"  # no provider answers
    judged = laptop.podctl("judge", "hello", "--accept", "it crashed after saving")

    assert "its pod still exists" in judged.err
    assert "podctl stop hello-0001 --terminate" in judged.err
    by = {one["criterion"]: one for one in lock_of(laptop)["criteria"]}
    assert by["the job came to its end"]["status"] == "INCONCLUSIVE"
    assert by["the job came to its end"]["accepted"] == "it crashed after saving"
    assert (laptop.folder / "out" / "copy.txt").read_text() == "hi\n"
    laptop.podctl("verify", "hello")
    assert "it crashed after saving" in laptop.podctl("locks", "hello").out
    laptop.podctl("take", "hello-0001", expect=4)


def test_a_criterion_that_nothing_can_meet_is_refused_before_renting(laptop: Laptop) -> None:
    """`plan` and `run` end with 2 alike and name the key and its line; nothing is rented."""
    laptop.write()
    edit(laptop, "out/result.json", "ouput/result.json")

    for words in (("plan", "hello"), ("run", "hello", "-y")):
        told = laptop.podctl(*words, expect=2).err
        assert "stages.hello.criteria.0.path: no output can be at 'ouput/result.json'" in told
        assert "line " in told
    assert laptop.creates() == []


def test_what_nobody_asked_about_warns_and_is_locked(laptop: Laptop) -> None:
    """Cases 01 and 02: a broken file that no criterion names is a warning in output, in the lock
    and in `locks`; NaN in trainer_state.json and lines in train.json are none."""
    laptop.write()
    job = laptop.folder / "job.sh"
    lines = (
        """echo '{"log_history": [{"grad_norm": NaN}]}' > out/trainer_state.json""",
        r"""printf '{"text": 1}\n{"text": 2}\n' > out/train.json""",
        "echo '{' > out/cut.json",
        "touch out/errors.jsonl",
    )
    job.write_text(job.read_text().replace("echo end", "\n".join((*lines, "echo end"))))

    told = laptop.podctl("run", "hello", "-y").err

    assert "WARN  out/cut.json: not JSON" in told
    (warning,) = lock_of(laptop)["warnings"]
    assert warning.startswith("out/cut.json: not JSON")
    assert warning in laptop.podctl("locks", "hello").out
    laptop.podctl("verify", "--all")
