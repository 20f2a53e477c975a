"""The dead-man switch: stops this pod from inside when nobody else will.

Runs beside the image's start script from the create call's `args`, so this file stands alone: it
knows the contract's names by heart and needs only Python 3.8's standard library. Time is the
monotonic clock of this boot; of an earlier boot only the seconds count that it ran unvisited.
"""

# ruff: noqa: UP031, S310, S108 - it travels in one argument; URL and folder are the pod's own
from __future__ import annotations

import fcntl
import glob
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from typing import Any, Iterator, Mapping  # noqa: UP035 - Python 3.8

DEFAULTS = {"boot_grace": 2700.0, "idle": 1200.0, "hard_cap": 86400.0}
CALL_SECONDS = 20.0
SLOWEST = 60  # ticks between two tries
PROOF = 100  # ticks for which a proof is good: a key can be revoked while a job runs
CDN = {"cloudflare_error", "ray_id", "error_code"}  # in documents that are not of the API
EVICTION_SECONDS = 4.5  # of the five that a stopped container is said to get
SECRET = re.compile("TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL")
HOUSES = "/usr/lib", "/usr/local/lib", "/opt/*/lib"  # of a Python with certificates
clock = time.monotonic


def say(text: str) -> None:
    print("PODCTL-GUARD " + text, flush=True)


def document(raw: bytes) -> dict[str, Any]:
    """A JSON object; empty when broken."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def near(path: str, flags: int) -> int:
    """Opens a file of the container's own: a job may have put a pipe there, for us to wait at."""
    return os.open(path, flags | os.O_NONBLOCK, 0o600)


def load(path: str, opener: Any = None) -> dict[str, Any]:
    """A small JSON object; empty when absent or broken."""
    try:
        with open(path, "rb", opener=opener) as file:
            return document(file.read(65536))
    except OSError:
        return {}


def save(path: str, value: Mapping[str, Any]) -> None:
    """Best effort: a full disk must not stop the clock."""
    beside = "%s.%d" % (path, os.getpid())
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(beside, "w", opener=near) as file:
            json.dump(value, file)
        os.replace(beside, path)
    except OSError:
        pass


def number(value: Any, default: float = 0.0) -> float:
    """`value` when it is a sane number."""
    return float(value) if type(value) in (int, float) and abs(value) < 1e12 else default


def limits(text: str) -> dict[str, float]:
    """PODCTL_GUARD's numbers; what is absent or senseless keeps its default."""
    given = document(text.encode())
    if not given and text != "{}":
        say("PODCTL_GUARD cannot be read: default limits")
    return {k: number(given.get(k)) if number(given.get(k)) > 0 else v for k, v in DEFAULTS.items()}


def local_folder(prefix: str) -> str:
    """As remote/pod/paths.py finds it."""
    for parent in ("/run", "/tmp"):
        folder = prefix + parent + "/podctl"
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise SystemExit("PODCTL-GUARD not armed: neither /run nor /tmp can be written")


class Plain(urllib.request.HTTPErrorProcessor):
    """Takes every answer as it is: no redirect is followed, so the key goes to one address."""

    def http_response(self, _: Any, answer: Any) -> Any:
        return answer

    https_response: Any = http_response


class Api:
    """RunPod with the key that belongs to this pod. Every call has its deadline."""

    def __init__(self, base: str, key: str, pod: str) -> None:
        self.base, self.key, self.pod = base.rstrip("/"), key, pod
        self.headers = {"User-Agent": "podctl-guard/1", "Authorization": "Bearer " + key}
        self.headers.update(dict.fromkeys(("Accept", "Content-Type"), "application/json"))
        tls = ssl.create_default_context()
        if not tls.get_ca_certs():  # slim images: what pip brought along will do
            for house in HOUSES:
                for path in glob.glob(house + "/python3*/*-packages/**/cacert.pem", recursive=True):
                    tls.load_verify_locations(path)
        https = urllib.request.HTTPSHandler(context=tls)
        self.open = urllib.request.build_opener(Plain, https).open

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any], str]:
        """(status, document, text); status 0 when the API did not answer."""
        data = None if body is None else json.dumps(body).encode()
        ask = urllib.request.Request(self.base + path, data, self.headers, method=method)
        try:
            with self.open(ask, timeout=CALL_SECONDS) as answer:
                status, raw = answer.status, answer.read(1 << 20)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return 0, {}, str(error) or type(error).__name__
        value = document(raw)
        if (value and not CDN & set(value)) or status == 401 or (not raw and status < 300):
            return status, value, "HTTP %d" % status
        return 0, {}, "HTTP %d from something before the API" % status

    def reads_itself(self) -> tuple[int, str | None]:
        """(status, None when this key can read this pod, else why not)."""
        if not self.pod or not self.key:
            return 0, "no pod id or key"
        status, value, text = self.call("GET", "/v2/pods/" + self.pod)
        own = status == 200 and value.get("id") == self.pod
        return status, None if own else "cannot read this pod: " + text

    def stop(self, gone: bool = False) -> str | None:
        """None when the cloud took the order, else why not. `gone`: terminate, if that is let."""
        if gone and 200 <= self.call("DELETE", "/v2/pods/" + self.pod)[0] < 300:
            return None
        status, _, text = self.call("POST", "/v2/pods/%s/action" % self.pod, {"action": "stop"})
        if 200 <= status < 300:
            return None
        query = 'mutation { podStop(input: {podId: "%s"}) { id desiredStatus } }' % self.pod
        old, value, last = self.call("POST", "/graphql", {"query": query})
        done = old == 200 and not value.get("errors")
        return None if done else "%s; GraphQL: %s" % (text, "refused" if old == 200 else last)


class Guard:
    """Watches beat and lease; `due` decides, `run` acts."""

    # A volume may hang: only threads beside the counting one touch it. They share attributes and
    # no lock, as a signal may interrupt anywhere.

    def __init__(self, env: Mapping[str, str]) -> None:
        prefix = env.get("PODCTL_EMULATED_ROOT", "")
        self.root = prefix + env.get("PODCTL_MOUNT", "/workspace") + "/podctl"
        self.local = local_folder(prefix)
        self.limits = limits(env.get("PODCTL_GUARD", "{}"))
        self.pod = env.get("RUNPOD_POD_ID", "")
        base = env.get("PODCTL_API_BASE") or "https://api.runpod.io"
        self.api = Api(base, env.get("RUNPOD_API_KEY", ""), self.pod)
        self.tick = min(1.0, min(self.limits.values()) / 10)
        self.slowest = SLOWEST * self.tick
        self.boot = env.get("PODCTL_BOOT") or uuid.uuid4().hex
        self._enter_boot(env)
        # Only a beat that changes is a visit; a guard that was killed missed some, perhaps.
        self.beat, self.came = self._beat(), 0.0 if self.fresh else clock()
        self.lost = 0.0  # since when a leased job has no process
        self.armed = self.read = self.denied = False  # now; ever; not allowed to read its pod
        self.detail, self.proven_until = "starting", 0.0
        self.told, self.next_try, self.pause = 0.0, 0.0, self.tick
        self.ran = self.waited = self.waiting = 0.0  # earlier boots' seconds; this one's, unvisited
        self.ordered = self.recalled = False  # a stop: who starts the pod after it means it
        self.book = "%s/guard-%s.json" % (self.root, self.pod)  # two pods may share a volume
        self.found: Any = None  # in the book; None before the volume answered
        self.page: dict[str, Any] = {}  # what the book is to say
        self.kept = self.page  # what it says
        for visit in [self._keep_book] + [self._resume] * self.fresh:
            threading.Thread(target=visit, daemon=True).start()
        until = clock() + 5 * self.tick
        while not self._recall() and clock() < until:
            time.sleep(0.01)

    def _enter_boot(self, env: Mapping[str, str]) -> None:
        """Name this life of the container; a guard that is started again in it goes on counting."""
        path = self.local + "/boot.json"
        known = load(path, near)
        self.fresh = known.get("boot_id") != self.boot
        self.started = clock() - float(env.get("PODCTL_LIVED") or 0)
        if not self.fresh:  # what was written down may be forged, and was exact if it was not
            self.started = min(self.started, number(known.get("started"), clock()))
            return
        for old in glob.glob(glob.escape(self.local) + "/*"):  # where the disk was kept
            if os.path.isfile(old) and not old.endswith("lock"):
                os.unlink(old)
        environment = {k: v for k, v in env.items() if k != "PODCTL_GUARD" and not SECRET.search(k)}
        save(path, {"boot_id": self.boot, "pod": self.pod,
                    "started": self.started, "env": environment})  # fmt: skip

    def _recall(self) -> bool:
        """Count what the book says, once; a volume that hangs may say it late, or never."""
        if not self.recalled and self.found is not None:
            self.recalled = True
            self.ran, self.waited = self._used(self.found)
        return self.recalled

    def _used(self, known: Mapping[str, Any]) -> list[float]:
        """What this pod's earlier boots used up since the last visit, or the last ordered stop."""
        # Each costs SLOWEST ticks more: the pause before it, and what was not written at its end.
        if known.get("pod") != self.pod:
            return [0.0, 0.0]
        same = known.get("boot_id") == self.boot  # this guard was killed
        spent = known.get("before" if same else "spent")
        pair = spent if isinstance(spent, list) and len(spent) == 2 else [0.0, 0.0]
        return [max(0.0, number(value)) + (0.0 if same else self.slowest) for value in pair]

    def _note(self, now: float) -> None:
        """Say what counts against the limits when the container starts once more."""
        if not self.recalled:
            return  # the book knows more
        spent = [self.ran + now - self.started, self.waited + self.waiting]
        self.page = {} if self.ordered else {
            "pod": self.pod, "boot_id": self.boot, "spent": spent, "before": [self.ran, self.waited]
        }  # fmt: skip

    def _beat(self) -> int:
        """When a controller came to this pod in this life; 0 when none did."""
        try:
            return os.stat(self.local + "/beat").st_mtime_ns
        except OSError:
            return 0

    def due(self, now: float) -> tuple[str, float, str]:
        """(phase, seconds until this pod is to be stopped, why)."""
        beat = self._beat()
        if beat != self.beat:
            self.beat, self.came = beat, now
            self.ran = self.waited = self.waiting = 0.0  # somebody is there, and counts the money
            self.recalled = True
        self._recall()
        cap = self._cap(now)
        phase, left, why = self._phase(now)
        return (phase, left, why) if left < cap else (phase, cap, "the hard cap is reached")

    def _cap(self, now: float) -> float:
        return self.started + self.limits["hard_cap"] - self.ran - now

    def _phase(self, now: float) -> tuple[str, float, str]:
        lease = load(self.local + "/lease.json", near)
        if lease.get("boot_id") == self.boot:
            if lease.get("ended") is not None:
                warm = load(self.local + "/warm.json", near)  # nothing is only on this pod
                if all(warm.get(k) == lease.get(k) for k in ("boot_id", "run", "attempt")):
                    phase = "warm" if warm.get("then") == "terminate" else "done"
                    return phase, number(warm.get("until")) - now, "no other run came"
                until = max(number(lease["ended"]), self.came) + number(lease.get("grace_done"))
                return "done", until - now, "the job ended, nobody came"
            if self._held():
                self.lost = 0.0
                return "job", number(lease.get("deadline")) - now, "the job's budget is used up"
            self.lost = self.lost or now
        if not self.came and not self.lost:
            self.waiting = now - self.started
            left = self.limits["boot_grace"] - self.waited - self.waiting
            return "boot", left, "nobody ever came"
        return "idle", max(self.came, self.lost) + self.limits["idle"] - now, "idle, nobody came"

    def _held(self) -> bool:
        """Whether a job, or its supervisor, lives."""
        try:
            with open(self.local + "/lock", "rb", opener=near) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return isinstance(error, BlockingIOError)
        return False

    def run(self) -> None:
        """For ever: prove, watch, tell, and at the end stop the pod."""
        signal.signal(signal.SIGTERM, lambda *_: self.evict())
        while True:
            now = clock()
            phase, left, why = self.due(now)
            if now >= self.next_try:
                self._try(left <= 0, why, phase == "warm")
            self._tell(phase, left, now)
            time.sleep(self.tick)

    def _try(self, overdue: bool, why: str, gone: bool) -> None:
        """Stop the pod when overdue, prove that it could when not; slower after each failure."""
        if overdue:
            say("stopping this pod: " + why)  # first: nothing is said once the order is carried out
            self.ordered = True
            failed = self.api.stop(gone)
            self.ordered = failed is None
            self._note(clock())
            say("the order to stop is " + ("refused: " + failed if failed else "accepted"))
            again = self.slowest if failed is None else 0.0  # still alive then: once more
        elif clock() < self.proven_until:
            self.pause = self.tick
            return
        else:
            failed, again = self._prove(), 0.0
        self.pause = min(self.slowest, self.pause * 2) if failed else self.tick
        self.next_try = clock() + max(again, self.pause)
        self.told = 0.0

    def _prove(self) -> str | None:
        """Arm or disarm; None when this key reads this pod, else why that could not be seen."""
        status, failed = self.api.reads_itself()
        if failed is None:
            if not self.armed:
                say("armed: " + json.dumps(self.limits))
            self.armed, self.detail, self.read = True, "reads its own pod", True
            self.proven_until = clock() + PROOF * self.tick
        elif not self.armed or status in (401, 403):  # silence and errors take no proof back
            self.armed, self.detail = False, failed
            say("not armed: " + failed)
        self.denied = status == 403 and not self.read
        return failed

    def _tell(self, phase: str, left: float, now: float) -> None:
        """guard.json; also the sign that the guard itself lives."""
        if now - self.told < max(5 * self.tick, 0.2):
            return
        self.told = now
        self._note(now)
        save(self.local + "/guard.json", {
            "schema": 1, "boot_id": self.boot, "armed": self.armed, "denied": self.denied,
            "detail": self.detail, "phase": phase, "monotonic": now,
            "stops_in_seconds": left, "hard_cap_in_seconds": self._cap(now),
        })  # fmt: skip

    def _keep_book(self) -> None:
        """For ever, beside the count."""
        self.found = load(self.book)
        while True:
            page = self.page
            if page is not self.kept:
                save(self.book, page)
                self.kept = page
            time.sleep(0.1)

    def unfinished(self) -> Iterator[str]:
        """Runs that a restart of this pod's container cut short, the newest first."""
        paths = glob.glob(glob.escape(self.root) + "/runs/*/attempt.json")
        for path in sorted(paths, key=os.path.getmtime, reverse=True):
            folder = os.path.dirname(path)
            attempt, owner = load(path), load(folder + "/owner.json")
            done = load(folder + "/exit.json").get("attempt") == attempt.get("number")
            if not done and attempt.get("boot_id") != self.boot and owner.get("pod") == self.pod:
                yield folder

    def _resume(self) -> None:
        """Start the newest unfinished run again; the agent sees to it that it runs once."""
        for folder in list(self.unfinished()):
            code = str(load(folder + "/spec.json").get("code"))
            place = os.path.join(self.root, "code", code)
            if not re.fullmatch("[0-9a-f]{64}", code) or not os.path.isdir(place):
                continue
            say("resuming " + os.path.basename(folder))
            # The shell changes folder: until it runs, this whole process waits for it.
            argv = ["sh", "-c", 'cd "$0" && exec "$@"', place, sys.executable, "-S", "-m"]
            argv += ["remote.agent", "start", "--unattended", "--root", self.root]
            env = {k: v for k, v in os.environ.items() if k != "RUNPOD_API_KEY"}
            with open(folder + "/spec.json", "rb") as spec:
                if not subprocess.call(argv, env=env, stdin=spec, stdout=subprocess.DEVNULL,
                                       start_new_session=True, timeout=600):  # fmt: skip
                    return

    def evict(self) -> None:
        """The container is being stopped: the job gets what time there is for a checkpoint."""
        try:
            with open(self.local + "/evict", "w", opener=near) as file:
                file.write(self.boot)
        except OSError as error:
            say("cannot tell the job: %s" % error)
        self._note(clock())
        until = clock() + EVICTION_SECONDS
        while (self._held() or self.page is not self.kept) and clock() < until:
            time.sleep(0.05)
        raise SystemExit(0)


if __name__ == "__main__":
    os.umask(0o077)
    Guard(os.environ).run()
