"""The dead-man switch against a small real API: when it stops the pod, and that it persists."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from remote import guard
from remote.contract import GuardLimits
from tests.support.guard_api import ACTION, LONG, POD, Bench
from tests.support.pod_side import CODE, PodSide, second_pod, until


def test_row_63_a_pod_that_nobody_visits_is_stopped(bench: Bench) -> None:
    """Boot grace over: the stop order goes out, with the pod's key, and the log says why."""
    bench.start(GuardLimits(boot_grace=0.5, idle=60.0, hard_cap=60.0))
    body = bench.stopped()[0]
    headers = bench.api.calls[-1][2]

    assert body == {"action": "stop"}
    assert headers["Authorization"] == "Bearer rpa_pod"
    assert headers["User-Agent"].startswith("podctl-guard/")
    until(lambda: "stopping this pod: nobody ever came" in bench.log(), "the reason in the log")


def test_it_is_armed_once_it_read_its_own_pod(bench: Bench) -> None:
    """guard.json and the container's log say that the switch works, and until when."""
    bench.start(LONG)
    seen = bench.reports(armed=True)

    assert (seen.boot_id, seen.phase) == ("boot1", "boot")
    assert seen.stops_in_seconds is not None
    assert 0 < seen.stops_in_seconds <= 60
    assert "PODCTL-GUARD armed" in bench.log()
    assert not bench.api.of(ACTION)


def test_row_63_a_guard_without_an_answer_still_orders_the_stop(bench: Bench) -> None:
    """Not armed means not proven; when the time comes it tries all the same, for ever."""
    bench.api.statuses["/v2/pods/pod1"] = [500]
    bench.api.statuses[ACTION] = [500, 500, 200]
    bench.api.statuses["/graphql"] = [502]
    bench.start(GuardLimits(boot_grace=0.3, idle=60.0, hard_cap=60.0))
    until(lambda: len(bench.api.of(ACTION)) >= 3, f"three orders: {bench.log()}")

    assert len(bench.api.of("/graphql")) == 2
    assert "podStop" in bench.api.of("/graphql")[0]["query"]
    until(lambda: "accepted" in bench.log(), "the third to be taken")


def test_row_63_visits_keep_the_pod_and_silence_ends_it(bench: Bench) -> None:
    """Idle counts from the last beat that changed."""
    bench.start(GuardLimits(boot_grace=60.0, idle=1.0, hard_cap=60.0))
    bench.reports(armed=True)
    until_time = time.monotonic() + 2.0
    while time.monotonic() < until_time:
        bench.beat()
        assert not bench.api.of(ACTION)
        time.sleep(0.1)
    last = time.monotonic()
    bench.stopped()

    assert time.monotonic() - last > 0.7


def test_a_beat_from_before_the_boot_is_no_visit(bench: Bench) -> None:
    """Only change counts; the old file of a disk that was kept does not."""
    bench.beat()
    bench.start(LONG)

    assert bench.reports(armed=True).phase == "boot"


def test_a_visit_to_another_pod_on_the_volume_is_no_visit(bench: Bench) -> None:
    """A pod that nobody knows of is stopped, however often its neighbour is looked at."""
    other = second_pod(bench.pod)
    bench.start(GuardLimits(boot_grace=2.0, idle=60.0, hard_cap=60.0))
    bench.reports(armed=True)

    def look() -> bool:
        other.status()
        return bool(bench.api.of(ACTION))

    until(look, f"the order to stop: {bench.log()}")

    assert "nobody ever came" in bench.log()


def test_row_63_the_hard_cap_beats_beats_and_lease(bench: Bench) -> None:
    """However alive everything is, this boot ends."""
    bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=1.2))
    bench.reports(armed=True)
    bench.lease()
    _lock(bench.pod)
    bench.beat()
    bench.stopped()
    until(lambda: "the hard cap is reached" in bench.log(), "the reason")


def test_a_warm_pod_is_terminated_when_no_other_run_came(bench: Bench) -> None:
    """Everything is on the user's machine: no disk is worth paying for, whoever looks at it."""
    bench.start(LONG)
    bench.reports(armed=True)
    bench.lease(ended=time.monotonic())
    bench.warm(1.5)
    seen = bench.reports(phase="warm")
    bench.beat()
    until(lambda: bool(bench.api.of(f"DELETE {POD}")), f"the end: {bench.log()}")

    assert seen.stops_in_seconds is not None
    assert seen.stops_in_seconds < 2
    assert not bench.api.of(ACTION)
    until(lambda: "no other run came" in bench.log(), "the reason")


def test_a_warm_pod_is_stopped_where_it_is_to_be_parked_or_may_not_end_itself(bench: Bench) -> None:
    """A stop bills less than nothing being done."""
    bench.api.statuses[f"DELETE {POD}"] = [403]
    bench.start(LONG)
    bench.reports(armed=True)
    bench.lease(ended=time.monotonic())
    bench.warm(0.2)
    bench.stopped()

    assert bench.api.of(f"DELETE {POD}")


def test_a_note_about_an_earlier_attempt_does_not_end_the_pod(bench: Bench) -> None:
    """The next run's files may be only there when it ends."""
    bench.start(LONG)
    bench.reports(armed=True)
    bench.lease(ended=time.monotonic(), attempt=2)
    bench.warm(0.0)

    assert bench.reports(phase="done").stops_in_seconds is not None
    assert not bench.api.of(f"DELETE {POD}")


def test_row_63_a_lease_keeps_a_job_that_nobody_visits(bench: Bench) -> None:
    """A closed laptop must not kill a good job; at the end of its budget the pod stops."""
    bench.start(GuardLimits(boot_grace=60.0, idle=0.4, hard_cap=60.0))
    bench.reports(armed=True)
    _lock(bench.pod)
    bench.lease(deadline=time.monotonic() + 2.0)
    seen = bench.reports(phase="job")
    assert seen.stops_in_seconds is not None
    assert not bench.api.of(ACTION)
    bench.stopped()

    until(lambda: "the job's budget is used up" in bench.log(), "the reason")


def test_a_leased_job_that_died_is_no_job(bench: Bench) -> None:
    """Nobody holds the lock: only the idle time is left."""
    bench.start(GuardLimits(boot_grace=60.0, idle=0.5, hard_cap=60.0))
    bench.reports(armed=True)
    bench.lease()
    bench.stopped()

    until(lambda: "idle" in bench.log(), "the reason")


def test_row_63_a_lease_of_an_earlier_boot_means_nothing(bench: Bench) -> None:
    """A resumed pod neither stops at once nor lives on an old promise."""
    bench.start(GuardLimits(boot_grace=0.8, idle=60.0, hard_cap=60.0))
    bench.reports(armed=True)
    bench.lease(boot_id="boot0", ended=1.0, grace_done=0.0)
    _lock(bench.pod)
    phase = bench.report().phase
    bench.stopped()

    assert phase == "boot"


def test_row_63_a_visit_after_the_end_begins_the_grace_anew(bench: Bench) -> None:
    """Whoever fetches slowly is not cut off because the job ended long ago."""
    bench.start(LONG)
    bench.reports(armed=True)
    bench.beat()
    bench.reports(phase="idle")
    bench.lease(ended=time.monotonic() - 100.0, grace_done=50.0)
    seen = bench.reports(phase="done")

    assert seen.stops_in_seconds is not None
    assert seen.stops_in_seconds > 0
    assert not bench.api.of(ACTION)


def test_row_63_an_order_that_was_taken_and_not_carried_out_is_repeated(bench: Bench) -> None:
    """Still alive after the cloud said yes: the guard never believes that it is done."""
    bench.start(GuardLimits(boot_grace=0.2, idle=60.0, hard_cap=60.0))

    until(lambda: len(bench.api.of(ACTION)) >= 2, f"a second order: {bench.log()}")


def test_row_63_a_volume_that_takes_nothing_does_not_stop_the_clock(bench: Bench) -> None:
    """Full, read-only or not there: guard.json is for others, the order needs no file."""
    (bench.pod.folder / "no-folder").write_text("")
    bench.start(GuardLimits(boot_grace=0.5, idle=60.0, hard_cap=60.0), PODCTL_MOUNT="/no-folder")

    bench.stopped()


@pytest.mark.parametrize("name", ["guard-pod1.json", "runs/r1/attempt.json"])
def test_row_63_a_volume_that_hangs_does_not_stop_the_clock(bench: Bench, name: str) -> None:
    """Whoever opens a pipe that nobody writes hangs as on a network volume that is away: counted
    from the start all the same, and SIGTERM still ends the guard."""
    _hang(bench.pod.root / name)
    process = bench.start(GuardLimits(boot_grace=1.0, idle=60.0, hard_cap=60.0))
    bench.stopped()
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0


def test_row_63_a_volume_that_hangs_later_does_not_stop_the_clock(bench: Bench) -> None:
    """The book was read and hangs when it is written: the job's budget ends all the same."""
    process = bench.start(GuardLimits(boot_grace=60.0, idle=1.0, hard_cap=60.0))
    bench.reports(armed=True)
    _lock(bench.pod)
    beside = bench.pod.root / f"guard-pod1.json.{process.pid}"
    until(lambda: _hang(beside), "the next write to hang")
    bench.lease(deadline=time.monotonic() + 1.0)
    bench.stopped()

    until(lambda: "the job's budget is used up" in bench.log(), "the reason")


def test_row_63_what_a_volume_says_late_is_counted(bench: Bench) -> None:
    """It hung when the container started; what earlier starts used up counts once it is back."""
    book = bench.pod.root / "guard-pod1.json"
    _hang(book)
    bench.start(GuardLimits(boot_grace=60.0, idle=1.0, hard_cap=60.0))
    assert bench.reports(armed=True).phase == "boot"
    book.write_text('{"pod": "pod1", "boot_id": "boot0", "spent": [90, 90]}')
    bench.stopped()
    until(lambda: "stopping this pod: the hard cap is reached" in bench.log(), "the reason")


def _hang(path: Path) -> bool:
    """Whoever opens this file waits for ever; False while there is one already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mkfifo(path)
    except FileExistsError:
        return False
    return True


def test_row_63_a_job_that_ended_is_told_to_the_guard(bench: Bench) -> None:
    """The agent's lease says when: from then on the grace runs, not the budget."""
    pod = bench.pod
    bench.start(LONG)
    bench.reports(armed=True)
    pod.start(pod.spec("pathlib.Path('out').mkdir(); open('out/a', 'w').write('x')\n"))
    pod.ended()

    assert bench.reports(phase="done").stops_in_seconds


def test_outputs_that_take_long_to_hash_are_not_cut_off(bench: Bench) -> None:
    """Only a standstill is stopped: bytes that are hashed put the end off, here of three seconds.

    The file has no bytes on the disk, and hashing all of it would take many minutes.
    """
    pod = bench.pod
    lease = pod.root / "code" / CODE / "remote" / "supervisor" / "guard_deadline.py"
    text = lease.read_text().replace("HASHING_SECONDS = 900.0", "HASHING_SECONDS = 3.0")
    lease.write_text(text.replace("RENEW_SECONDS = 60.0", "RENEW_SECONDS = 0.1"))
    bench.start(GuardLimits(boot_grace=60.0, idle=5.0, hard_cap=120.0))
    bench.reports(armed=True)
    pod.start(pod.spec("os.mkdir('out')\nopen('out/big', 'wb').truncate(2**38)\n"))
    until(lambda: pod.status().phase == "hashing", f"hashing; {pod.text()}")
    over = time.monotonic() + 5.0
    until(lambda: time.monotonic() > over, "the time that hashing had at first to pass")
    seen, ordered = bench.report(), bench.api.of(ACTION)
    os.truncate(pod.work() / "out/big", 3)
    end = pod.ended()

    assert (seen.phase, ordered) == ("job", [])
    assert end.rc == 0


def test_a_new_boot_starts_without_what_the_last_one_left(bench: Bench) -> None:
    """Where a container's disk is kept, secrets and leases of before go; keys are not written."""
    local = bench.pod.local
    local.mkdir(parents=True)
    for name in ("secrets-r1.json", "lease.json", "lock"):
        (local / name).write_text("{}")
    bench.start(LONG, HF_TOKEN="hf_canary", HARMLESS="1")
    bench.reports(armed=True)
    known = (local / "boot.json").read_text()

    assert sorted(one.name for one in local.iterdir()) == ["boot.json", "guard.json", "lock"]
    assert "canary" not in known
    assert json.loads(known)["env"]["HARMLESS"] == "1"


def test_after_the_end_there_is_a_grace(bench: Bench) -> None:
    """grace_done counts from the job's end or the last visit."""
    bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0))
    bench.reports(armed=True)
    bench.lease(ended=time.monotonic(), grace_done=0.6)
    bench.stopped()

    until(lambda: "the job ended, nobody came" in bench.log(), "the reason")


@pytest.mark.parametrize(
    "lease",
    [
        "[]",
        "{",
        pytest.param("[" * 60_000, id="deep"),
        '{"boot_id": "boot1", "ended": "x", "deadline": []}',
    ],
)
def test_a_broken_lease_is_no_lease(bench: Bench, lease: str) -> None:
    """Whatever a job writes there, the guard lives and goes on counting."""
    process = bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=1.5))
    bench.reports(armed=True)
    (bench.pod.local / "lease.json").write_text(lease)
    bench.stopped()

    assert process.poll() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"idle": -1, "boot_grace": "x", "hard_cap": 1e99}']
)
def test_senseless_limits_are_the_defaults(text: str) -> None:
    """A pod is never without limits."""
    assert guard.limits(text) == guard.DEFAULTS


def test_the_limits_are_the_contracts() -> None:
    """The guard stands alone and yet agrees with the contract."""
    given = asdict(GuardLimits())
    given.pop("schema")

    assert given == guard.DEFAULTS


def test_row_55_a_restarted_container_gets_its_job_back(bench: Bench) -> None:
    """The guard starts the unfinished run again, as the next attempt, without any controller."""
    pod = bench.pod
    pod.start(pod.spec("open('n', 'a').write('x')\ntime.sleep(60)\n", outputs=("n",)))
    pod.file("n")
    pod.reboot()
    bench.start(LONG)
    until(lambda: (pod.work() / "n").read_text() == "xx", f"attempt 2: {bench.log()}")

    assert pod.status().attempt == 2
    assert "resuming r1" in bench.log()
    assert pod.status().guard is not None


def test_row_66_another_pods_run_is_left_alone(bench: Bench) -> None:
    """On a shared volume a pod resumes only what was its own; what ended it does not touch."""
    pod = bench.pod
    pod.start(pod.spec("open('n', 'a').write('x')", run="done", outputs=("n",)))
    pod.ended("done")
    pod.start(pod.spec("open('n', 'a').write('x')\ntime.sleep(60)\n", outputs=("n",)))
    pod.file("n")
    pod.reboot()
    bench.start(LONG, RUNPOD_POD_ID="pod2")
    bench.report()

    assert "resuming" not in bench.log()
    assert pod.status().state == "lost"


def test_row_56_sigterm_gives_the_job_its_seconds(bench: Bench) -> None:
    """Told to stop, the guard waits until the job has saved, and ends."""
    pod = bench.pod
    process = bench.start(LONG)
    bench.report()
    job = (
        "def bye(*_):\n  time.sleep(0.3); open('saved', 'w').write('1'); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, bye)\nopen('up', 'w').write('1')\ntime.sleep(60)\n"
    )
    pod.start(pod.spec(job, outputs=("saved",)))
    pod.file("up")
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    assert (pod.work() / "saved").exists()
    assert pod.status().state == "lost"


def _lock(pod: PodSide) -> None:
    """A process of the pod that holds the lock, as a job does."""
    pod.local.mkdir(parents=True, exist_ok=True)
    fd = os.open(pod.local / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    subprocess.Popen(["sleep", "60"], pass_fds=(fd,), env=pod.env)
    os.close(fd)


def test_it_runs_from_any_folder(tmp_path: Path) -> None:
    """It stands alone: no import of ours, no site-packages."""
    text = Path(guard.__file__).read_text()

    assert "from ." not in text
    assert "import remote" not in text
