"""The dead-man switch against a small real API: when it stops the pod, and that it persists."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from remote import contract, guard
from remote.contract import GuardLimits, GuardReport
from tests.pod_side import PodSide, until

LONG = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0)
ACTION = "/v2/pods/pod1/action"


@dataclass
class Api:
    """Answers for pod1; a queue of statuses per path goes before the good answer."""

    statuses: dict[str, list[int]] = field(default_factory=dict)
    calls: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    def answer(self, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        self.calls.append((path, body, headers))
        queue = self.statuses.get(path, [])
        status = queue.pop(0) if len(queue) > 1 else queue[0] if queue else 200
        return status, {"id": "pod1"} if status == 200 else {"title": "no"}

    def of(self, path: str) -> list[Any]:
        return [body for seen, body, _ in self.calls if seen == path]


@pytest.fixture
def api() -> Iterator[tuple[Api, str]]:
    """The API and its base URL."""
    known = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, value = known.answer(self.path, body, dict(self.headers))
            raw = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield known, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass
class Bench:
    """A guard in a pod's folder."""

    pod: PodSide
    api: Api
    base: str

    def start(self, limits: GuardLimits, **env: str) -> subprocess.Popen[bytes]:
        mine = {
            "PODCTL_GUARD": json.dumps(asdict(limits)),
            "PODCTL_API_BASE": self.base,
            "RUNPOD_API_KEY": "rpa_pod",
            "PODCTL_BOOT": "boot1",
        }
        with (self.pod.folder / "container.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-S", guard.__file__],
                env=self.pod.env | mine | env,
                stdout=log,
                stderr=log,
            )

    def report(self) -> GuardReport:
        path = self.pod.root / "guard.json"
        data = until(lambda: path.read_bytes() if path.exists() else None, f"guard: {self.log()}")
        return contract.load(GuardReport, data)

    def reports(self, **wanted: Any) -> GuardReport:
        def look() -> GuardReport | None:
            seen = self.report()
            return seen if all(getattr(seen, k) == v for k, v in wanted.items()) else None

        return until(look, f"guard.json with {wanted}: {self.log()}")

    def stopped(self) -> list[Any]:
        return until(lambda: self.api.of(ACTION) or None, f"a stop: {self.log()}")

    def log(self) -> str:
        return (self.pod.folder / "container.log").read_text()

    def beat(self) -> None:
        self.pod.root.mkdir(parents=True, exist_ok=True)
        (self.pod.root / "beat").touch()

    def lease(self, **changes: Any) -> None:
        now = time.monotonic()
        terms = {"boot_id": "boot1", "run": "r", "attempt": 1, "deadline": now + 60, "ended": None}
        terms |= {"grace_done": 60.0} | changes
        self.pod.local.mkdir(parents=True, exist_ok=True)
        (self.pod.local / "lease.json").write_text(json.dumps(terms))


@pytest.fixture
def bench(pod: PodSide, api: tuple[Api, str]) -> Bench:
    return Bench(pod, *api)


def test_a_pod_that_nobody_visits_is_stopped(bench: Bench) -> None:
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


def test_a_forbidden_key_is_not_armed_until_it_works(bench: Bench) -> None:
    """403 is said, tried again, and taken back once the key is good."""
    bench.api.statuses["/v2/pods/pod1"] = [403, 403, 200]
    bench.start(GuardLimits(boot_grace=4.0, idle=60.0, hard_cap=60.0))
    first = bench.reports(armed=False, detail="cannot read this pod: HTTP 403")
    until(lambda: "PODCTL-GUARD armed" in bench.log(), "the key to work")

    assert not first.armed
    assert "not armed: cannot read this pod: HTTP 403" in bench.log()


def test_a_guard_without_an_answer_still_orders_the_stop(bench: Bench) -> None:
    """Not armed means not proven; when the time comes it tries all the same, for ever."""
    bench.api.statuses["/v2/pods/pod1"] = [500]
    bench.api.statuses[ACTION] = [500, 500, 200]
    bench.api.statuses["/graphql"] = [502]
    bench.start(GuardLimits(boot_grace=0.3, idle=60.0, hard_cap=60.0))
    until(lambda: len(bench.api.of(ACTION)) >= 3, f"three orders: {bench.log()}")

    assert len(bench.api.of("/graphql")) == 2
    assert "podStop" in bench.api.of("/graphql")[0]["query"]
    until(lambda: "accepted" in bench.log(), "the third to be taken")


def test_visits_keep_the_pod_and_silence_ends_it(bench: Bench) -> None:
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
    """Only change counts; the volume's old file does not."""
    bench.beat()
    bench.start(LONG)

    assert bench.reports(armed=True).phase == "boot"


def test_the_hard_cap_beats_beats_and_lease(bench: Bench) -> None:
    """However alive everything is, this boot ends."""
    bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=1.2))
    bench.reports(armed=True)
    bench.lease()
    _lock(bench.pod)
    bench.beat()
    bench.stopped()
    until(lambda: "the hard cap is reached" in bench.log(), "the reason")


def test_a_lease_keeps_a_job_that_nobody_visits(bench: Bench) -> None:
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


def test_a_lease_of_an_earlier_boot_means_nothing(bench: Bench) -> None:
    """A resumed pod neither stops at once nor lives on an old promise."""
    bench.start(GuardLimits(boot_grace=0.8, idle=60.0, hard_cap=60.0))
    bench.reports(armed=True)
    bench.lease(boot_id="boot0", ended=1.0, grace_done=0.0)
    _lock(bench.pod)
    phase = bench.report().phase
    bench.stopped()

    assert phase == "boot"


def test_after_the_end_there_is_a_grace(bench: Bench) -> None:
    """grace_done counts from the job's end or the last visit."""
    bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0))
    bench.reports(armed=True)
    bench.lease(ended=time.monotonic(), grace_done=0.6)
    bench.stopped()

    until(lambda: "the job ended, nobody came" in bench.log(), "the reason")


@pytest.mark.parametrize("lease", ["[]", "{", '{"boot_id": "boot1", "ended": "x", "deadline": []}'])
def test_a_broken_lease_is_no_lease(bench: Bench, lease: str) -> None:
    """Whatever a job writes there, the guard lives and goes on counting."""
    process = bench.start(GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=1.5))
    bench.reports(armed=True)
    (bench.pod.local / "lease.json").write_text(lease)
    bench.stopped()

    assert process.poll() is None


def test_a_guard_started_again_goes_on_counting(bench: Bench) -> None:
    """Killing it gains no time: the hard cap is the boot's."""
    limits = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=60.0)
    first = bench.start(limits)
    before = bench.reports(armed=True)
    boot = json.loads((bench.pod.local / "boot.json").read_text())
    first.kill()
    first.wait()
    (bench.pod.root / "guard.json").unlink()
    bench.start(limits)
    after = bench.reports(armed=True)

    assert before.hard_cap_in_seconds is not None
    assert after.hard_cap_in_seconds is not None
    assert after.hard_cap_in_seconds < before.hard_cap_in_seconds
    assert json.loads((bench.pod.local / "boot.json").read_text()) == boot


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


def test_a_restarted_container_gets_its_job_back(bench: Bench) -> None:
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


def test_another_pods_run_is_left_alone(bench: Bench) -> None:
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


def test_sigterm_gives_the_job_its_seconds(bench: Bench) -> None:
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
