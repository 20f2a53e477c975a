"""Commands that look: at a running job, at what is kept, at pods that nobody owns."""

from __future__ import annotations

import csv
import io
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import run
from controller.diagnostics.doctor import public_key
from controller.project.project import Project
from controller.status.overview import progress_text
from remote.contract import ENV_NONCE, ENV_OWNER
from state.database import installation, open_database
from state.journal import Journal
from state.last_seen import LastSeen
from state.ledger import Ledger
from state.project_lock import acquire
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.laptop import Laptop
from tests.support.shell import Shell

NONCE = "0123456789abcdef"


@pytest.fixture
def shell(
    tmp_path: Path,
    cloud: EmulatedCloud,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """A project with the one stage `hello`, whose provider is the emulator."""
    Laptop(tmp_path, cloud).write()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", cloud.base_url)
    return Shell(tmp_path, capsys)


@pytest.fixture
def working(laptop: Laptop) -> Iterator[Laptop]:
    """A laptop whose job runs on a pod, and whose controller has been left."""
    laptop.write(seconds=60)
    laptop.podctl("run", "hello", "-y", "--detach")
    yield laptop
    for pod in laptop.living_pods():
        laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")


def own_pod(cloud: EmulatedCloud, shell: Shell, **env: str) -> dict[str, Any]:
    """A pod that carries podctl's marks."""
    named = {ENV_NONCE: NONCE, ENV_OWNER: "elsewhere", "PUBLIC_KEY": public_key(shell.project)}
    start = "bash -c 'exec \"${PODCTL_EMULATED_ROOT-}/start.sh\"'"
    return cloud.create(name=f"podctl-hello-{NONCE}", env={**named, **env}, args=start)


def test_a_running_job_is_seen_from_every_side(working: Laptop) -> None:
    """status, logs, cost, gc, exec and ssh all find the job that runs without us."""
    seen = working.json("status")
    (job,) = seen["runs"]
    (pod,) = seen["pods"]

    assert (job["state"], job["source"]) == ("running", "agent")
    assert 0 <= job["age_seconds"] < 30
    assert (pod["state"], pod["source"]) == ("RUNNING", "provider")
    assert pod["usd_per_hour"] > 0
    assert seen["schema"] == "podctl/status/1"

    log = working.json("logs", "hello")
    assert log["source"] == "pod"
    assert log["text"].endswith("bash job.sh\nbegin\n")

    total = working.json("cost")["total"]
    assert total["usd"] > 0
    assert total["usd_per_hour_now"] == pytest.approx(pod["usd_per_hour"])

    (listed,) = working.json("gc")["pods"]
    assert (listed["pod"], listed["whose"]) == (pod["pod"], "live")
    refused = working.podctl("gc", pod["pod"], "--terminate", "-y", expect=10)
    assert "podctl stop hello" in refused.err

    told = working.podctl(
        "exec", "hello", "--", "sh", "-c", "cat in.txt; echo oops >&2; exit 9", expect=9
    )
    assert told.out == "hi\n"
    assert "oops" in told.err

    command = working.podctl("ssh", "hello", "--print").out
    assert command.startswith("ssh -F ")
    assert command.rstrip().endswith("podctl-hello")

    # A provider that does not answer makes nothing running.
    working.environment["PODCTL_EMULATOR_URL"] = "http://127.0.0.1:9"
    assert "warning:" in working.podctl("status", expect=8).err


def test_the_log_of_a_lost_disk_is_not_shown_as_the_pods(working: Laptop) -> None:
    """A copy that another disk's log left here is no part of what the pod says; following, it is
    told where the new one begins. An own copy, cut anywhere, is gone on from."""
    whole = working.json("logs", "hello")["text"]
    copy = Project(working.folder).job_log("hello-0001")
    copy.parent.mkdir(parents=True, exist_ok=True)
    seen = []
    for kept in (b"another\n", b"another\n" * 1000, whole[:-3].encode()):
        copy.write_bytes(kept)
        seen.append(working.json("logs", "hello"))
    copy.write_bytes(b"another\n")
    following = working.start("logs", "hello", "-f")
    assert following.stdout is not None
    lines = [following.stdout.readline() for _ in range(3 + len(whole.splitlines()))]
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)

    assert [(log["source"], log["text"]) for log in seen] == [("pod", whole)] * 3
    assert lines[0] == "another\n"
    assert "a new log starts here" in lines[2]
    assert "".join(lines[3:]) == whole


@pytest.mark.long
def test_a_log_is_followed_to_the_end_of_its_run(working: Laptop) -> None:
    """`logs -f` shows each byte once and ends with the run; Ctrl-C ends only the follower."""
    left, following = (working.start("logs", "hello", "-f") for _ in range(2))
    assert left.stdout is not None
    assert following.stdout is not None
    left.stdout.readline()
    left.send_signal(signal.SIGINT)
    _, err = left.communicate(timeout=30)
    first = [following.stdout.readline() for _ in range(2)]
    working.podctl("stop", "hello", "-y", "--terminate")
    rest, _ = following.communicate(timeout=60)

    assert left.returncode == 130
    assert "podctl status" in err
    assert "Traceback" not in err
    assert first[1] == "begin\n"
    assert "begin" not in rest
    assert following.returncode == 0


def sighted(shell: Shell, age: float, clock: Callable[[], float]) -> str:
    """A run whose agent was last seen `age` seconds ago; returns its id."""
    shell.project.prepare()
    with acquire(shell.project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        lease = journal.open_lease({})
        name = journal.open_run(lease, "hello", {"stage": {"hours": 1.0}})
        journal.note(lease, "generation", {"number": 1, "nonce": NONCE})
        journal.note(lease, "adopt", {"pod": "podone"})
        Ledger(owner.connection, owner.epoch).open_interval(
            pod_id="podone",
            lease=lease,
            run=name,
            stage="hello",
            kind="compute",
            usd_per_hour=3.6,
            rate_source="offer",
            started_at=clock() - 1000.0,
        )
        seen = LastSeen(owner.connection, lambda: clock() - age)
        seen.see(f"run:{name}", "agent", {"state": "running", "step": 250, "max_steps": 1000})
        seen.see("pod:podone", "provider", {"status": "RUNNING"})
    return name


def test_a_fresh_sign_of_life_stands(shell: Shell) -> None:
    """What was seen a moment ago is shown with its source and age, without asking anybody."""
    import time

    name = sighted(shell, 5.0, time.time)
    seen = shell.json("status", "--cached")

    assert [row["run"] for row in seen["runs"]] == [name]
    assert seen["runs"][0]["state"] == "running"
    assert seen["runs"][0]["age_seconds"] == pytest.approx(5.0, abs=2.0)
    assert "step 250/1000" in shell("status", "--cached")


def test_an_old_sign_of_life_is_unknown(shell: Shell) -> None:
    """A pod that has been silent is `unknown`, never `running`; the exit code says so."""
    import time

    sighted(shell, 500.0, time.time)
    seen = shell.json("status", "--cached", expect=8)

    assert seen["runs"][0]["state"] == "unknown"
    assert seen["runs"][0]["detail"].startswith("was running")
    assert seen["pods"][0]["state"] == "unknown"


def test_cost_by_stage_and_pod(shell: Shell) -> None:
    """The same figures as a table, JSON and CSV; the budget left is what was not spent."""
    import time

    sighted(shell, 5.0, time.time)
    found = shell.json("cost")
    (stage,) = found["stages"]
    rows = list(csv.DictReader(io.StringIO(shell("cost", "--csv"))))

    assert stage["usd"] == pytest.approx(1.0, abs=0.02)
    assert stage["usd_per_hour_now"] == 3.6
    assert found["left_usd"] == pytest.approx(50.0 - found["total"]["usd"])
    assert [row["scope"] for row in rows] == ["stage", "pod", "total"]
    assert float(rows[0]["usd"]) == pytest.approx(stage["usd"], abs=0.02)
    assert "budget $50.00, left $49." in shell("cost")


def test_the_bill_that_differs_is_said(shell: Shell) -> None:
    """A ledger that claims what the provider never billed fails with exit code 5."""
    import time

    sighted(shell, 5.0, time.time)

    assert "FAIL" in shell("cost", "--reconcile", expect=5)
    assert shell.json("cost", "--reconcile", expect=5)["agrees"] is False


def test_pods_are_told_apart(cloud: EmulatedCloud, shell: Shell) -> None:
    """Ours that nobody owns, another podctl's, and strangers are three different things."""
    shell.project.prepare()
    owner = installation(open_database(shell.project.database))
    stale = own_pod(cloud, shell, **{ENV_OWNER: owner})
    other = cloud.create(name="podctl-x-fedcba9876543210", env={ENV_NONCE: "fedcba9876543210"})
    foreign = cloud.create(name="jupyter")
    found = {row["pod"]: row["whose"] for row in shell.json("gc")["pods"]}

    assert found == {
        stale["id"]: "stale-own",
        other["id"]: "other-podctl",
        foreign["id"]: "foreign",
    }


def test_gc_ends_only_what_is_ours_and_stale(cloud: EmulatedCloud, shell: Shell) -> None:
    """Without a terminal it asks for -y; then it ends the stale pod, and books what it cost."""
    shell.project.prepare()
    owner = installation(open_database(shell.project.database))
    stale = own_pod(cloud, shell, **{ENV_OWNER: owner})
    foreign = cloud.create(name="jupyter")
    shell("gc", "--terminate", expect=2)
    assert "-y" in shell.err

    shell("gc", "--terminate", "-y")
    shell("gc", foreign["id"], "--terminate", "-y", expect=10)

    left = [pod["id"] for pod in cloud.api("GET", "/v2/pods").body["pods"]]
    assert left == [foreign["id"]]
    assert [row["name"] for row in shell.json("cost")["pods"]] == [stale["id"]]
    assert shell.json("cost", "--reconcile")["agrees"] is True


def test_an_adopted_pod_gets_a_run(cloud: EmulatedCloud, shell: Shell) -> None:
    """A pod of podctl's that no run owns is carried on with by the next sync."""
    pod = own_pod(cloud, shell)
    shell("gc", pod["id"], "--adopt")
    assert "podctl sync" in shell.err
    (row,) = shell.json("gc")["pods"]

    assert row["whose"] == "live"
    assert row["lease"] == "l0001"


def test_gpus_are_listed_by_price(shell: Shell) -> None:
    """Types with memory, price and availability, the cheapest first."""
    offers = shell.json("gpus", "--available")["offers"]
    prices = [offer["usd_per_hour"] for offer in offers]

    assert prices == sorted(prices)
    assert "NVIDIA L40S" in shell("gpus")


def test_plan_shows_what_would_happen(shell: Shell) -> None:
    """Offers in order, with why others are not accepted, hours, expected and worst cost."""
    (pod,) = shell.json("plan", "hello")["pods"]

    assert pod["ready"] is True
    prices = [offer["usd_per_hour"] for offer in pod["quote"]["offers"]]
    assert prices == sorted(prices)
    assert 0 < pod["quote"]["expected_usd"] < pod["quote"]["worst"]["usd"]
    assert all(row["reason"] for row in pod["rejected"])
    text = shell("plan", "hello")
    assert "worst case" in text
    assert "guard: stops the pod" in text


def test_plan_says_where_the_worst_case_has_a_caveat(shell: Shell) -> None:
    """Without a volume the guard cannot count over restarts, and a stop wipes what was made: both
    are said, and the guard's longer patience with an ended job is in the worst case."""
    with_volume = shell("plan", "hello")
    (short,) = shell.json("plan", "hello")["pods"]
    text = shell.project.file.read_text()
    gpus = next(line for line in text.splitlines() if line.startswith("gpus ="))
    shell.project.file.write_text(text.replace(gpus, 'cpu = "cpu3c"'))
    without = shell("plan", "hello")
    (long,) = shell.json("plan", "hello")["pods"]

    assert "without a volume the guard's count restarts" in without
    assert "that were not downloaded last 6 h after the job's end" in without
    assert long["guard_hours"] - short["guard_hours"] == pytest.approx(5.5)
    assert long["quote"]["worst"]["hours"] - short["quote"]["worst"]["hours"] == pytest.approx(5.5)
    assert "without a volume" not in with_volume
    assert "the worst case assumes that the job" in with_volume


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({"state": "running", "armed": True}, "guard armed (reported by the pod)"),
        ({"state": "running", "armed": False}, "guard not armed (reported by the pod)"),
        ({"state": "running", "armed": None}, ""),
        ({"state": "ended", "armed": True}, ""),
    ],
)
def test_status_says_whose_word_an_armed_guard_is(seen: dict[str, object], told: str) -> None:
    """A job that is root can write it: it is the pod's word, never a fact of ours."""
    assert progress_text(seen) == told


def test_plan_says_who_makes_what_is_missing(shell: Shell) -> None:
    """An input that is not here comes with the stage that makes it, and exit code 3."""
    file = shell.project.file
    file.write_text(file.read_text().replace("[project]", '[project]\nplan = "stage1"'))
    text = shell("plan", "stage1c", expect=3)

    assert "data/stage1/sft_training_data.jsonl (podctl run stage1b makes it)" in text
    shell("run", "stage1c", "-y", expect=3)
    assert "stage1b" in shell.err


def test_plan_and_run_refuse_the_same_budget(cloud: EmulatedCloud, shell: Shell) -> None:
    """A balance under the worst case refuses with exit code 6, and nothing is rented."""
    cloud.set_balance(0.05)

    assert "refused: the balance" in shell("plan", "hello", expect=6)
    shell("run", "hello", "-y", expect=6)
    assert cloud.api("GET", "/v2/pods").body["pods"] == []


def test_a_wrong_key_is_refused(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's no is exit code 10, with the next command."""
    monkeypatch.setenv("PODCTL_EMULATOR_KEY", "rpa_emulator_wrong")
    for words in (["gpus"], ["plan", "hello"], ["gc"], ["run", "hello", "-y"]):
        shell(*words, expect=10)
        assert "podctl doctor" in shell.err
        assert "rpa_emulator_wrong" not in shell.err


def test_running_without_an_answer_asks_for_the_flag(shell: Shell) -> None:
    """Where no terminal is, run rents nothing without -y."""
    shell("run", "hello", expect=2)

    assert "-y" in shell.err


def test_what_is_not_there_is_exit_code_3(shell: Shell) -> None:
    """Names that mean nothing are said to, with the next command."""
    shell.project.prepare()
    for words in (
        ["logs", "nothing"],
        ["exec", "nothing", "--", "true"],
        ["ssh", "nothing"],
        ["locks", "hello"],
        ["verify", "hello"],
        ["unlock", "hello", "--reason", "x"],
        ["gc", "nopod", "--terminate", "-y"],
    ):
        shell(*words, expect=3)
        assert "next:" in shell.err


def test_a_driven_project_is_busy(shell: Shell) -> None:
    """What writes says who drives; what reads works meanwhile."""
    shell.project.prepare()
    with acquire(shell.project.state_dir, "run hello"):
        shell("unlock", "hello", "--reason", "x", expect=75)
        assert "run hello" in shell.err
        assert "controlled by" in (shell("status"), shell.err)[1]


def test_logs_of_the_past_are_cleaned(shell: Shell) -> None:
    """What a pod wrote cannot move the cursor, and the copy here outlives the pod."""
    shell.project.prepare()
    with acquire(shell.project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        name = journal.open_run(journal.open_lease({}), "hello", {})
        journal.finish_run(name, "failed", {})
    path = shell.project.job_log(name)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"one\n\x1b[2J\x1b]0;x\x07two\n10%\r20%\nrpa_ABCDEF123456\n")

    assert shell("logs", "hello") == "one\ntwo\n20%\nrpa_[redacted]\n"
    assert "failed" in shell.err
    assert shell("logs", name, "-n", "1") == "rpa_[redacted]\n"
    assert shell.json("logs", name)["source"] == "local copy"


def test_a_pods_shell_output_arrives_whole(cloud: EmulatedCloud, shell: Shell) -> None:
    """exec passes bytes of any kind through a pipe as they are."""
    pod = own_pod(cloud, shell)
    cloud.until_running(pod["id"])
    shell("gc", pod["id"], "--adopt")
    with acquire(shell.project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        journal.note("l0001", "adopt", {"pod": pod["id"]})

    def said() -> str | None:
        code = run(["exec", "hello", "--", "printf", "%s", "a b\nc"])
        return "yes" if code == 0 else None

    assert until(said) == "yes"
