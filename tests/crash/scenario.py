"""One history: podctl is struck as the case says, carried on, and then judged."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.crash import oracle
from tests.crash.case import MODES, Blow, Case
from tests.crash.fork_server import Nursery, Podctl
from tests.crash.job_monitor import Seen, Witness
from tests.crash.system_calls import STRACE, Calls
from tests.crash.workload import SETTLE, STAGE, Homework
from tests.support.emulated_cloud import EmulatedCloud

COMMAND_SECONDS = 120.0  # of one podctl on a machine that is busy with many
NAP = SETTLE + 1.0  # how long a lid is closed: longer than the settle window
CHAIN = 25  # podctls that a "*" strikes before one is let through
COMMANDS = {False: 1, True: 5}  # that must do to end it: without and with harm to the pod
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75, 130, 141, 143}
_MISTAKE = re.compile(r"Traceback|internal error")


@dataclass
class Result:
    """What became of one case."""

    case: Case
    violations: list[str] = field(default_factory=list)
    processes: int = 0
    kills: int = 0
    stops: int = 0
    errors: int = 0  # injected
    requests: int = 0  # that the provider saw
    starts: int = 0  # of the job
    pods: int = 0
    seconds: float = 0.0
    off_usd: float = 0.0  # ledger against bill, the worst pod
    off_seconds: float = 0.0  # the same in seconds of its rate
    boundaries: list[str] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)


@dataclass
class Drill:
    """One worker's surroundings: a cloud and a folder of its own."""

    cloud: EmulatedCloud
    nursery: Nursery
    witness: Witness
    folder: Path
    count: int = 0

    def run(self, case: Case) -> Result:
        """Play `case` from an empty account to its judgement."""
        self.count += 1
        began = time.monotonic()
        name = f"{self.folder.name}-{self.count}"
        play = _Play(self, case, Homework(self.folder / name / "project", name))
        self.cloud.reset()
        requests = int(self.cloud.state()["request_count"])
        self.cloud.faults(*MODES[case.mode])
        play.homework.write(self.witness.port, seconds=1.5 if case.four else 0.2)
        try:
            play.begin()
            if case.given_up:
                play.give_up()
            else:
                play.carry_on()
                play.judge()
        finally:
            play.end()
        play.result.requests = int(self.cloud.state()["request_count"]) - requests
        play.result.seconds = time.monotonic() - began
        return play.result

    def watched(
        self,
        watch: Callable[[int, Path], subprocess.Popen[bytes]],
        read: Callable[[Path, Path], Calls],
    ) -> Calls:
        """A clean run with a tracer that only counts."""
        self.count += 1
        name = f"{self.folder.name}-{self.count}"
        play = _Play(self, Case("0"), Homework(self.folder / name / "project", name))
        self.cloud.reset()
        play.homework.write(self.witness.port, seconds=0.2)
        podctl = play.podctl(blow="kill:none:1")
        tracer = watch(podctl.pid, podctl.folder / "strace")
        if not podctl.ended(COMMAND_SECONDS) or podctl.code != 0:
            raise RuntimeError(f"a clean run ended with {podctl.code}: {podctl.err}")
        tracer.wait(30.0)
        return read(podctl.folder / "strace", play.homework.folder)


class _Play:
    def __init__(self, drill: Drill, case: Case, homework: Homework) -> None:
        self.drill, self.case, self.homework = drill, case, homework
        self.result = Result(case)
        self.started: list[Podctl] = []

    # -- what is done to it ----------------------------------------------------------------

    def begin(self) -> None:
        if self.case.four:
            self._four()
        for blow in self.case.blows:
            for _ in range(CHAIN if blow.on == "*" else 1):
                if self._strike(blow) != -signal.SIGKILL:
                    break

    def _strike(self, blow: Blow) -> int | None:
        podctl = self.podctl(blow=str(blow))
        tracer = _trace(podctl, blow) if blow.traced else None
        if not podctl.settle(COMMAND_SECONDS):
            self._hangs(podctl)
        if podctl.stopped:
            self.result.stops += 1
            self._meanwhile(blow.event, podctl)
            time.sleep(NAP)
            self._wake(podctl)
        elif podctl.code == -signal.SIGKILL:
            self.result.kills += 1
            self._meanwhile(blow.event, podctl)
        if tracer is not None:
            tracer.wait(30.0)
            log = (podctl.folder / "strace").read_text(errors="replace")
            self.result.errors += log.count("(INJECTED)") if blow.effect.startswith("E") else 0
        self._loud(podctl)
        return podctl.code

    def _wake(self, podctl: Podctl) -> None:
        """Let it go on to its end; under strace each of its threads may be stopped once."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            podctl.send(signal.SIGCONT)
            if podctl.ended(3.0):
                return
        self._hangs(podctl)

    def _meanwhile(self, event: str, podctl: Podctl) -> None:
        """What happens to its pod, or beside it, while podctl cannot see it."""
        cloud = self.drill.cloud
        living = [pod["id"] for pod in cloud.state()["pods"] if pod["status"] == "RUNNING"]
        if event == "cut":
            _cut_sessions(cloud.process.pid)
        elif event == "other":
            self._refused(self.podctl(), podctl.pid)
        for pod in living:
            with contextlib.suppress(AssertionError):  # it was gone already
                if event == "reboot":
                    cloud.reboot_pod(pod)
                elif event == "evict":
                    cloud.evict_pod(pod)
                elif event in ("death", "loss"):
                    cloud.kill_pod(pod, lost_volume=event == "loss")
                elif event == "vanish":
                    cloud.kill_pod(pod, lost_volume=True, status="TERMINATED")

    def _four(self) -> None:
        four = [self.podctl() for _ in range(4)]
        for podctl in four:
            if not podctl.ended(COMMAND_SECONDS):
                self._hangs(podctl)
        winners = [podctl for podctl in four if podctl.code == 0]
        if len(winners) != 1:
            self._violation(f"I5 of four, {len(winners)} drove: {[one.code for one in four]}")
            return
        for podctl in four:
            if podctl is not winners[0]:
                self._refused(podctl, winners[0].pid)

    def _refused(self, podctl: Podctl, driver: int) -> None:
        """Another drives: exit 75, and its pid is told."""
        podctl.ended(COMMAND_SECONDS)
        if podctl.code != 75 or str(driver) not in podctl.err:
            self._violation(f"I5 beside {driver} a podctl ended with {podctl.code}: {podctl.err}")

    # -- afterwards ------------------------------------------------------------------------

    def carry_on(self) -> None:
        """The same command again, until it says that the stage is passed."""
        codes: list[int | None] = []
        limit = COMMANDS[self.case.disturbed]
        while len(codes) < limit and not set(codes) & {0, 4}:
            codes.append(self._command("run", STAGE, "-y"))
        if not set(codes) & {0, 4}:
            self._violation(f"I9 the stage did not pass: {codes}; {self.started[-1].err[-600:]}")
        if self._scene().rows("SELECT 1 FROM lease WHERE closed_at IS NULL"):
            code = self._command("sync")
            if code != 0:
                self._violation(f"I9 sync ended with {code}: {self.started[-1].err[-600:]}")

    def give_up(self) -> None:
        """Every podctl raises, also the one that ends it: the lease is closed all the same."""
        blow = str(self.case.blows[-1])
        for words in (("sync",), ("stop", STAGE, "--terminate", "--abandon", "enough", "-y")):
            podctl = self.podctl(*words, blow=blow)
            if not podctl.ended(COMMAND_SECONDS):
                self._hangs(podctl)
            self._loud(podctl)
        if self.started[-1].code not in (0, 3):  # 3: nothing was left to stop
            told = f"{self.started[-1].code}: {self.started[-1].err[-600:]}"
            self._violation(f"I10 giving up ended with {told}")
        for told in oracle.given_up(self._scene()):
            self._violation(told)

    def judge(self) -> None:
        pods, starts = len(self.drill.cloud.state()["pods"]), len(self._seen.starts)
        code = self._command("run", STAGE, "-y")
        if code != 4:
            self._violation(f"I4 a locked stage answered with {code}")
        context = self._scene()
        if (len(context.pods), len(self._seen.starts)) != (pods, starts):
            self._violation("I4 a locked stage was rented for again")
        for told in oracle.violations(context):
            self._violation(told)
        self._measure(context)

    def _measure(self, context: oracle.Scene) -> None:
        result = self.result
        result.pods, result.starts = len(context.pods), len(context.seen.starts)
        for _, billed, booked, rate in oracle.differences(context):
            off = abs(billed - (booked or 0.0))
            result.off_usd = max(result.off_usd, off)
            result.off_seconds = max(result.off_seconds, off / rate * oracle.HOUR)
        moments = self.started[0].folder / "moments"
        if moments.exists():
            result.boundaries = moments.read_text().splitlines()

    def end(self) -> None:
        self.result.codes = [podctl.code for podctl in self.started]
        for podctl in self.started:
            if podctl.code is None:
                podctl.send(signal.SIGKILL)
                podctl.ended(10.0)

    # -- pieces ----------------------------------------------------------------------------

    def _command(self, *words: str) -> int | None:
        podctl = self.podctl(*words)
        if not podctl.ended(COMMAND_SECONDS):
            self._hangs(podctl)
        self._loud(podctl)
        return podctl.code

    def podctl(self, *words: str, blow: str = "") -> Podctl:
        folder = self.homework.folder.parent / f"podctl{len(self.started) + 1}"
        environment = {"PODCTL_EMULATOR_URL": self.drill.cloud.base_url, "NO_COLOR": "1"}
        podctl = self.drill.nursery.podctl(
            *(words or ("run", STAGE, "-y")),
            cwd=self.homework.folder,
            folder=folder,
            env=environment,
            blow=blow,
            moments="" if ":" in blow and blow.split(":")[1] not in ("before", "after")
            else str(folder / "moments"),
        )  # fmt: skip
        self.started.append(podctl)
        self.result.processes += 1
        return podctl

    @property
    def _seen(self) -> Seen:
        return self.drill.witness.of(self.homework.name)

    def _scene(self) -> oracle.Scene:
        state = self.drill.cloud.state()
        return oracle.Scene(self.homework, state, self._seen, self.case.disturbed)

    def _hangs(self, podctl: Podctl) -> None:
        self._violation(f"I9 a podctl did not end in {COMMAND_SECONDS:.0f} s: {podctl.err[-600:]}")
        podctl.send(signal.SIGKILL)
        podctl.ended(10.0)

    def _loud(self, podctl: Podctl) -> None:
        """A documented exit code, an error in words, and never a traceback."""
        said = podctl.err
        if podctl.code == -signal.SIGKILL:
            return
        if podctl.code not in CODES or _MISTAKE.search(said):
            self._violation(f"a podctl ended with {podctl.code}: {said[-1500:]}")
        elif podctl.code and not said:
            self._violation(f"a podctl ended with {podctl.code} and said nothing")

    def _violation(self, told: str) -> None:
        self.result.violations.append(told)


def _trace(podctl: Podctl, blow: Blow) -> subprocess.Popen[bytes]:
    """strace on that process, which waits for it."""
    effect = {"kill": "signal=KILL", "stop": "signal=STOP"}.get(blow.effect, f"error={blow.effect}")
    when = f"{blow.number}{'+' if blow.on == '-' else ''}"
    return subprocess.Popen(
        [*STRACE, "-o", str(podctl.folder / "strace"),
         "-e", f"trace={blow.place}", "-e", f"inject={blow.place}:{effect}:when={when}",
         "-p", str(podctl.pid)],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def _cut_sessions(emulator: int) -> None:
    """Every SSH session of this emulator's pods ends; the servers themselves live on."""
    for process in psutil.Process(emulator).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if parent is not None and process.name() == parent.name() == "sshd":
                process.kill()
