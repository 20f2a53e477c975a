"""The guard's limits over several lives of one container: what counts on, and what begins anew."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from controller.agent.guard_bootstrap import bootstrap
from remote.contract import ENV_API_BASE, ENV_GUARD, ENV_MOUNT, GuardLimits, dump
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.guard_api import ACTION, LONG, Api, Bench, serving
from tests.support.pod_side import PodSide, until

BOOK = "pods/*/volume/podctl/guard-*.json"
TICK = 0.01  # seconds; what `idle` below makes of it. Each restart is counted as 60 of them
CRASHES = 30  # far more than any of these limits allows


def limits(boot_grace: float = 60.0, hard_cap: float = 60.0) -> GuardLimits:
    return GuardLimits(boot_grace=boot_grace, idle=10 * TICK, hard_cap=hard_cap)


def book(bench: Bench, pod: str = "pod1") -> dict[str, Any]:
    """What the guard has written down of this pod's starts."""
    path = bench.pod.root / f"guard-{pod}.json"
    text = until(lambda: path.read_text() if path.exists() else None, f"the book: {bench.log()}")
    return dict(json.loads(text))


def begin(bench: Bench, boot: str, given: GuardLimits, **env: str) -> subprocess.Popen[bytes]:
    """One more life, until its guard has written down something."""
    pod = env.get("RUNPOD_POD_ID", "pod1")
    process = bench.start(given, PODCTL_BOOT=boot, **env)
    until(lambda: noted(bench, boot, pod), f"{boot} to be noted: {bench.log()}")
    return process


def noted(bench: Bench, boot: str, pod: str = "pod1") -> bool:
    return bool(book(bench, pod).get("boot_id") == boot)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (limits(hard_cap=4.0), "the hard cap is reached"),
        (limits(boot_grace=4.0), "nobody ever came"),
    ],
)
def test_row_63_a_container_that_restarts_over_and_over_is_stopped(
    bench: Bench, given: GuardLimits, why: str
) -> None:
    """No life reaches its limit; hard cap and boot grace count over all of them."""
    lives = 0
    for lives in range(1, CRASHES):
        bench.start(given, PODCTL_BOOT=f"boot{lives}")
        until(lambda: bench.api.of(ACTION) or noted(bench, f"boot{lives}") or None, "its note")  # noqa: B023
        if bench.api.of(ACTION):
            break
        bench.pod.reboot()

    assert 2 < lives < CRASHES - 1
    until(lambda: f"stopping this pod: {why}" in bench.log(), f"the reason: {bench.log()}")


def test_row_63_a_start_after_the_guards_own_stop_begins_anew(bench: Bench) -> None:
    """Only an order starts a stopped pod: it gets every limit whole, and isn't stopped at once."""
    begin(bench, "boot0", limits())
    bench.pod.reboot()
    bench.start(limits(boot_grace=1.5))
    until(lambda: "the order to stop is accepted" in bench.log(), "the stop")
    until(lambda: book(bench) == {}, "the allowance to be given back")
    bench.pod.reboot()
    begin(bench, "boot2", limits())

    assert book(bench)["before"] == [0.0, 0.0]


def test_row_63_a_stop_that_is_refused_gives_nothing_back(bench: Bench) -> None:
    """While the cloud takes no order, a restart does not help the pod to a new allowance."""
    bench.api.statuses |= {ACTION: [500], "/graphql": [500]}
    bench.start(limits(boot_grace=0.5))
    until(lambda: "the order to stop is refused" in bench.log(), "the refusal")
    bench.pod.reboot()
    begin(bench, "boot2", limits())

    assert book(bench)["before"][1] > 0.5


def test_row_63_a_visit_forgives_the_earlier_starts(bench: Bench) -> None:
    """Somebody is there and counts the money; what this life ran is counted on."""
    begin(bench, "boot0", limits())
    bench.pod.reboot()
    begin(bench, "boot1", limits())
    before = book(bench)["before"]
    with (bench.pod.local / "lock").open("w") as job:  # else it is idle soon
        fcntl.flock(job, fcntl.LOCK_EX)
        bench.lease()
        bench.reports(boot_id="boot1", phase="job")
        bench.beat()
        until(lambda: book(bench)["before"] == [0.0, 0.0], "the visit to be seen")
        after = book(bench)["spent"]

    assert min(before) >= 60 * TICK
    assert after[0] > 0
    assert after[1] == 0


def test_row_64_a_guard_that_is_killed_counts_the_earlier_starts_once(bench: Bench) -> None:
    """Started again in the same life, it adds nothing and forgets nothing."""
    begin(bench, "boot0", limits())
    bench.pod.reboot()
    process = begin(bench, "boot1", limits())
    before = book(bench)["before"]
    process.kill()
    process.wait()
    (bench.pod.local / "guard.json").unlink()
    bench.start(limits())
    seen = bench.report()

    assert book(bench)["before"] == before
    assert seen.hard_cap_in_seconds is not None
    assert seen.hard_cap_in_seconds < 60.0 - before[0]


def test_row_66_another_pods_starts_count_for_that_pod_alone(bench: Bench) -> None:
    """Two pods on one network volume: each has its own allowance."""
    begin(bench, "boot0", limits())
    bench.pod.reboot()
    begin(bench, "boot1", limits(), RUNPOD_POD_ID="pod2")

    assert book(bench, "pod2")["before"] == [0.0, 0.0]
    assert book(bench)["boot_id"] == "boot0"


@pytest.mark.parametrize("spent", ["null", "[1]", '[-1e9, "x"]', "[NaN, 1e99]", '{"0": -5}'])
def test_row_63_a_broken_note_lengthens_no_limit(bench: Bench, spent: str) -> None:
    """Whatever a job writes there, the guard lives, and no limit is longer than it was ordered."""
    bench.pod.root.mkdir(parents=True, exist_ok=True)
    path = bench.pod.root / "guard-pod1.json"
    path.write_text(f'{{"pod": "pod1", "boot_id": "boot0", "spent": {spent}}}')
    begin(bench, "boot1", limits())

    assert book(bench)["before"] == [60 * TICK, 60 * TICK]


@dataclass
class Slow(Api):
    """Takes the order to stop, and answers when `go` is set."""

    go: threading.Event = field(default_factory=threading.Event)

    def answer(self, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        found = super().answer(path, body, headers)
        if path == ACTION:
            self.go.wait(60)
        return found


def test_row_63_a_container_that_ends_before_the_answer_was_stopped_by_order(pod: PodSide) -> None:
    """The cloud may end the container while it still answers the guard's order."""
    api = Slow()
    with serving(api) as base:
        bench = Bench(pod, api, base)
        process = bench.start(limits(boot_grace=0.5))
        bench.stopped()
        counted = book(bench)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        api.go.set()

        assert counted["boot_id"] == "boot1"
        assert book(bench) == {}


def test_row_56_a_container_that_is_ended_by_others_counts_to_its_end(bench: Bench) -> None:
    """SIGTERM alone is no order of ours: a host that restarts its pods gives no new allowance."""
    process = begin(bench, "boot1", LONG)  # its guard writes every five seconds
    began = book(bench)["spent"][0]
    at = time.monotonic()
    until(lambda: time.monotonic() - at > 0.3, "some time to count")
    process.send_signal(signal.SIGTERM)
    process.wait(60)

    assert book(bench)["spent"][0] > began + 0.2


def test_row_63_a_crash_loop_in_the_cloud_ends_and_a_start_gets_a_new_allowance(
    cloud: EmulatedCloud,
) -> None:
    """The cloud restarts what crashes and wipes its disk; the volume keeps the count."""
    env = {ENV_API_BASE: cloud.base_url, ENV_MOUNT: "/workspace"}
    env[ENV_GUARD] = dump(limits(boot_grace=2.0)).decode()
    mounts = {"persistent": {"size": 10, "path": "/workspace"}}
    pod = cloud.create(args=bootstrap(), env=env, mounts=mounts)["id"]
    (note,) = until(lambda: [*cloud.state_dir.glob(BOOK)] or None, "its guard", 60)
    lives: set[str] = set()

    def status() -> str:
        return str((cloud.pod(pod) or {}).get("status"))

    def one_more() -> bool:
        if status() == "EXITED":  # a crash now would hit what its guard has stopped already
            return True
        life = json.loads(note.read_text()).get("boot_id")  # none once it was stopped by order
        if life and life not in lives:
            lives.add(life)
            cloud.crash_pod(pod)
        return False

    until(one_more, f"the guard to stop it: {cloud.log(pod)}", 60)
    crashed = len(lives)
    assert cloud.api("POST", f"/v2/pods/{pod}/action", {"action": "start"}).status == 200
    until(lambda: json.loads(note.read_text()).get("before") == [0.0, 0.0], "a new allowance", 60)

    assert crashed > 1
    assert status() != "EXITED"
