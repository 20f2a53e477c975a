"""A run outlives its supervisor, its container and its restarts; what was lost is not done."""

from __future__ import annotations

import json
import os
import signal
import time

from remote import contract
from tests.support.pod_side import PodSide, second_pod, until

# Counts to `last`, one step at a time, from wherever the checkpoint is. `slow` is per step.
COUNT = """
here = pathlib.Path('out'); here.mkdir(exist_ok=True); state = here / 'state'
step = int(state.read_text()) if state.exists() else 0
open('starts', 'a').write(f'{step}\\n')
def save(*_):
    (here / 'tmp').write_text(str(step)); os.replace(here / 'tmp', state)
def leave(*_):
    save(); pathlib.Path('left').write_text(str(step)); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
while step < last:
    step += 1; save(); time.sleep(slow)
"""


# Writes down when it begins, is told to end, and ends; that only once there is a file `go`.
TURNS = """
me = os.environ['RUNPOD_POD_ID']
def say(what):
    with open('story', 'a') as f: f.write(f'{me} {what}\\n')
def leave(*_):
    say('is told')
    while not os.path.exists('go'): time.sleep(0.01)
    say('ends'); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
say('begins')
time.sleep(60)
"""


def count(last: int, slow: float) -> str:
    return f"last, slow = {last}, {slow}\n{COUNT}"


def starts(pod: PodSide) -> list[int]:
    return [int(line) for line in (pod.work() / "starts").read_text().split()]


def started(pod: PodSide, times: int) -> None:
    """Wait until the job began so many times."""
    path = pod.work() / "starts"
    until(lambda: path.exists() and len(starts(pod)) == times, f"start {times}")


def test_row_54_a_killed_supervisor_leaves_a_running_job(pod: PodSide) -> None:
    """While the job lives the run is running; then it is lost, never done, and can go on."""
    spec = pod.spec(count(10**6, 0.02))
    pod.start(spec)
    pod.file("out/state")
    os.kill(pod.shim(), signal.SIGKILL)
    alone = pod.status()
    second_start = pod.start(spec)
    job = next(p for p, c in pod.processes().items() if "last, slow" in c)
    os.kill(job, signal.SIGKILL)
    lost = pod.state("lost")
    resumed = pod.start(spec)
    started(pod, 2)

    assert alone.state == "running"
    assert second_start.attempt == 1
    assert lost.exit is None
    assert resumed.attempt == 2
    assert starts(pod)[1] > 0


def test_a_terminal_that_closes_and_a_volume_that_fails_end_nothing(pod: PodSide) -> None:
    """SIGHUP means nothing to a supervisor, and what cannot be read for a moment is read later."""
    pod.start(pod.spec(count(10**6, 0.02)))
    step = int(pod.file("out/state"))
    owner = pod.run() / "owner.json"
    text = owner.read_text()
    owner.unlink()
    owner.mkdir()
    os.kill(pod.shim(), signal.SIGHUP)
    until(lambda: int(pod.file("out/state") or 0) > step + 30, "the job to go on")
    owner.rmdir()
    owner.write_text(text)
    seen = pod.status()

    assert (seen.state, seen.attempt) == ("running", 1)
    assert pod.shim()


def test_row_56_a_container_that_stops_while_outputs_are_hashed_loses_no_end(
    pod: PodSide,
) -> None:
    """The job's end is kept: the next start hashes again and runs nothing. The guard waits so long.

    The file has no bytes on the disk, and hashing it takes longer than the container has.
    """
    job = (
        "pathlib.Path('out').mkdir(exist_ok=True)\nopen('runs', 'a').write('x')\n"
        "with open('out/big', 'wb') as f: f.truncate(2**38)\n"
    )
    spec = pod.spec(job, max_seconds=30.0)
    pod.start(spec)
    until(lambda: pod.status().phase == "hashing", f"hashing; {pod.text()}")
    terms = json.loads((pod.local / "lease.json").read_text())
    os.kill(pod.shim(), signal.SIGTERM)
    lost = pod.state("lost")
    os.truncate(pod.work() / "out/big", 3)
    pod.start(spec)
    end = pod.ended(attempt=2)

    assert terms["deadline"] - time.monotonic() > 600
    assert lost.exit is None
    assert (end.rc, end.reason) == (0, "exited")
    assert pod.file("runs") == "x"
    assert pod.manifest() == {"out/big": contract.digest(bytes(3))}


def test_row_56_a_container_that_stops_interrupts_and_does_not_end(pod: PodSide) -> None:
    """SIGTERM to the supervisor: the job saves, there is no exit record, the next start goes on."""
    spec = pod.spec(count(10**6, 0.02))
    pod.start(spec)
    pod.file("out/state")
    os.kill(pod.shim(), signal.SIGTERM)
    lost = pod.state("lost")
    saved = int(pod.file("left"))
    pod.start(spec)
    started(pod, 2)

    note = json.loads(pod.read("r1", "interrupted.json") or b"{}")
    assert lost.exit is None
    assert (note["attempt"], note["detail"]) == (1, "the container is being stopped")
    assert starts(pod)[1] == saved
    assert pod.status().attempt == 2


def test_row_56_a_job_that_uses_up_its_seconds_is_killed_and_can_go_on(pod: PodSide) -> None:
    """Of the five seconds a job gets four, whatever its own grace: the note is written in time."""
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('up', 'a').write('x')\n"
    pod.start(pod.spec(deaf + "time.sleep(90)\n", term_grace_seconds=80.0))
    pod.file("up")
    began = time.monotonic()
    os.kill(pod.shim(), signal.SIGTERM)
    until(lambda: not pod.processes(), "job and supervisor to end")
    took = time.monotonic() - began

    assert took < 20
    assert pod.read("r1", "interrupted.json")
    assert pod.status().state == "lost"


def test_row_56_an_eviction_note_of_this_boot_interrupts(pod: PodSide) -> None:
    """The guard's note is heeded; one from another boot is not."""
    pod.start(pod.spec(count(10**6, 0.02)))
    pod.file("out/state")
    (pod.local / "evict").write_text("another boot")
    first = pod.status()
    until(lambda: pod.status().heartbeat_age is not None, "a heartbeat")
    still = pod.status()
    (pod.local / "evict").write_text(first.boot_id)

    assert still.state == "running"
    assert pod.state("lost").exit is None


def test_row_55_a_rebooted_pod_resumes_as_the_next_attempt(pod: PodSide) -> None:
    """All killed, the container's disk wiped: another boot, attempt 2, from the last step."""
    spec = pod.spec(count(200, 0.01))
    first = pod.start(spec)
    until(lambda: int(pod.file("out/state")) > 10, "some steps")
    pod.reboot()
    between = pod.status()
    second = pod.start(spec)
    end = pod.ended()

    assert between.state == "lost"
    assert between.heartbeat_age is None
    assert (second.attempt, end.attempt, end.rc) == (2, 2, 0)
    assert second.boot_id != first.boot_id
    assert starts(pod)[1] > 10
    assert pod.manifest() == {"out/state": contract.digest(b"200")}


def test_an_end_is_not_lost_with_its_manifest(pod: PodSide) -> None:
    """A supervisor killed after the job's end: the next attempt commits without running it."""
    spec = pod.spec(count(3, 0.0))
    pod.start(spec)
    pod.ended()
    (pod.run() / "exit.json").unlink()
    (pod.run() / "manifest.json").unlink()
    lost = pod.status()
    pod.start(spec)
    end = pod.ended(attempt=2)

    assert lost.state == "lost"
    assert end.rc == 0
    assert starts(pod) == [0]
    assert "out/state" in pod.manifest()


def test_a_stop_is_not_undone_by_a_reboot(pod: PodSide) -> None:
    """Asked to end, and the host died before it did: the next start records the end."""
    spec = pod.spec(count(10**6, 0.02))
    pod.start(spec)
    pod.file("out/state")
    os.kill(pod.shim(), signal.SIGSTOP)
    pod.stop("--reason", "enough")
    pod.reboot()
    pod.start(spec)
    end = pod.ended()

    assert (end.attempt, end.reason, end.detail) == (2, "stopped", "enough")
    assert len(starts(pod)) == 1


def test_restarts_are_counted(pod: PodSide) -> None:
    """After `max_restarts` interruptions the run ends as lost, with what there is."""
    spec = pod.spec(count(10**6, 0.02), max_restarts=1)
    for attempt in (1, 2):
        assert pod.start(spec).attempt == attempt
        started(pod, attempt)
        pod.file("out/state")
        pod.reboot()
    pod.start(spec)
    end = pod.ended()
    kept = pod.manifest()
    again = pod.start(spec, "--again")
    started(pod, 3)
    pod.reboot()
    after = pod.start(spec)
    started(pod, 4)

    assert (end.attempt, end.reason) == (3, "lost")
    assert end.rc != 0
    assert "out/state" in kept
    assert (again.attempt, after.attempt) == (4, 5)  # an end that was asked again counts anew


def test_row_56_a_job_killed_with_its_supervisor_did_not_fail(pod: PodSide) -> None:
    """A host that kills the job a moment before the supervisor leaves no record of a failure."""
    spec = pod.spec(count(10**6, 0.02))
    pod.start(spec)
    pod.file("out/state")
    shim = pod.shim()
    job = next(p for p, c in pod.processes().items() if "last, slow" in c)
    os.kill(job, signal.SIGKILL)
    os.kill(shim, signal.SIGTERM)

    assert pod.state("lost").exit is None


def test_row_66_two_pods_on_one_volume_never_run_a_job_at_the_same_time(pod: PodSide) -> None:
    """The pod that starts last has the run; its job begins when the other's has ended."""
    later = second_pod(pod)
    try:
        pod.start(pod.spec(TURNS, term_grace_seconds=60.0))
        pod.file("story")
        second = later.start(later.spec(TURNS, term_grace_seconds=60.0))
        until(lambda: "pod1 is told" in pod.file("story"), f"the first; {pod.text()}")
        began = time.monotonic()  # longer than a silence of ten heartbeats
        until(lambda: time.monotonic() - began > 5.0 or "pod2" in pod.file("story"), "a while")
        doing = until(lambda: _beat_of(pod, second.boot_id), "a heartbeat of the second")
        (pod.work() / "go").touch()
        until(lambda: "pod2 begins" in pod.file("story"), f"the second; {pod.text()}")
        until(lambda: not pod.processes(), "everything of the first pod to end")
    finally:
        later.kill_all()

    assert second.attempt == 2
    assert doing == "waiting for the pod that had this run"
    assert pod.file("story").splitlines() == [
        "pod1 begins",
        "pod1 is told",
        "pod1 ends",
        "pod2 begins",
    ]
    assert not (pod.run() / "exit.json").exists()


def test_a_supervisor_that_dies_while_it_waits_for_another_pod_waits_again(pod: PodSide) -> None:
    """Its pod has the run already, and still the other pod's job has to end first."""
    later = second_pod(pod)
    spec = later.spec(TURNS, term_grace_seconds=60.0)
    try:
        pod.start(pod.spec(TURNS, term_grace_seconds=60.0))
        pod.file("story")
        later.start(spec)
        until(lambda: "pod1 is told" in pod.file("story"), f"the first; {pod.text()}")
        os.kill(later.shim(), signal.SIGKILL)
        later.state("lost")
        again = later.start(spec)
        began = time.monotonic()  # longer than a silence of ten heartbeats
        until(lambda: time.monotonic() - began > 5.0 or "pod2" in pod.file("story"), "a while")
        (pod.work() / "go").touch()
        until(lambda: "pod2 begins" in pod.file("story"), f"the second; {pod.text()}")
    finally:
        later.kill_all()

    assert again.attempt == 3
    assert pod.file("story").splitlines()[2:] == ["pod1 ends", "pod2 begins"]


def _beat_of(pod: PodSide, boot: str) -> str | None:
    """What a supervisor of that boot says it is doing; two pods write this file in turn here."""
    beat = json.loads(pod.read("r1", "heartbeat.json") or b"{}")
    return str(beat.get("text")) if beat.get("boot_id") == boot else None


def test_row_66_a_pod_that_is_gone_keeps_nobody_waiting(pod: PodSide) -> None:
    """A pod that died with the run says nothing: its silence is enough."""
    later = second_pod(pod)
    pod.start(pod.spec(count(10**6, 0.02)))
    pod.file("out/state")
    pod.kill_all()
    try:
        later.start(later.spec(count(10**6, 0.02)))
        started(pod, 2)
    finally:
        later.kill_all()

    assert starts(pod)[1] > 0


def test_row_66_another_pod_can_take_a_run_over(pod: PodSide) -> None:
    """On a shared volume the later owner has the run: the earlier one ends its job, silently."""
    pod.start(pod.spec(count(10**6, 0.02)))
    pod.file("out/state")
    (pod.run() / "owner.json").write_text('{"pod": "pod2", "boot_id": "other", "generation": 2}')
    pod.file("left")
    until(lambda: not pod.processes(), "everything of the run to end")

    assert not (pod.run() / "exit.json").exists()
    assert not (pod.run() / "interrupted.json").exists()
