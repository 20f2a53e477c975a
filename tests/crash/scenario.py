"""Plays one case: injects its faults into podctl, resumes, and checks the invariants."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.crash import oracle
from tests.crash.case import MODES, Case, Fault
from tests.crash.fork_server import ForkServer, Podctl
from tests.crash.job_monitor import JobMonitor, ObservedJobs
from tests.crash.result import Result
from tests.crash.system_calls import Calls, inject
from tests.crash.workload import SETTLE, STAGE, Workload
from tests.support.emulated_cloud import EmulatedCloud

COMMAND_SECONDS = 120.0  # of one podctl on a machine that is busy with many
NAP = SETTLE + 1.0  # how long podctl is stopped: longer than the settle window
CHAIN = 25  # podctl processes with a "*" fault before one runs without it
COMMANDS = {False: 1, True: 5}  # commands that must suffice: if the pod did not fail, and if it did
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 75, 130, 141, 143}
_MISTAKE = re.compile(r"Traceback|internal error")


@dataclass
class ScenarioRunner:
    """One worker, with a cloud and a folder of its own."""

    cloud: EmulatedCloud
    fork_server: ForkServer
    job_monitor: JobMonitor
    folder: Path
    count: int = 0

    def run(self, case: Case) -> Result:
        """Play `case` from an empty account to the check of the invariants."""
        self.count += 1
        began = time.monotonic()
        name = f"{self.folder.name}-{self.count}"
        play = _Scenario(self, case, Workload(self.folder / name / "project", name))
        self.cloud.reset()
        requests = int(self.cloud.state()["request_count"])
        self.cloud.faults(*MODES[case.mode])
        play.workload.write(self.job_monitor.port, seconds=1.5 if case.four else 0.2)
        try:
            play.begin()
            if case.given_up:
                play.give_up()
            else:
                play.resume()
                play.judge()
        finally:
            play.end()
        play.result.requests = int(self.cloud.state()["request_count"]) - requests
        play.result.seconds = time.monotonic() - began
        return play.result

    def count_calls(
        self,
        watch: Callable[[int, Path], subprocess.Popen[bytes]],
        read: Callable[[Path, Path], Calls],
    ) -> Calls:
        """Count the system calls of a run without faults."""
        self.count += 1
        name = f"{self.folder.name}-{self.count}"
        play = _Scenario(self, Case("0"), Workload(self.folder / name / "project", name))
        self.cloud.reset()
        play.workload.write(self.job_monitor.port, seconds=0.2)
        podctl = play.podctl(fault="kill:none:1")
        tracer = watch(podctl.pid, podctl.folder / "strace")
        if not podctl.ended(COMMAND_SECONDS) or podctl.code != 0:
            raise RuntimeError(f"a clean run ended with {podctl.code}: {podctl.err}")
        tracer.wait(30.0)
        return read(podctl.folder / "strace", play.workload.folder)


class _Scenario:
    def __init__(self, runner: ScenarioRunner, case: Case, workload: Workload) -> None:
        self.runner, self.case, self.workload = runner, case, workload
        self.result = Result(case)
        self.started: list[Podctl] = []

    # -- faults ----------------------------------------------------------------

    def begin(self) -> None:
        if self.case.four:
            self._start_four()
        for fault in self.case.faults:
            for _ in range(CHAIN if fault.on == "*" else 1):
                if self._play_fault(fault) != -signal.SIGKILL:
                    break

    def _play_fault(self, fault: Fault) -> int | None:
        podctl = self.podctl(fault=str(fault))
        tracer = inject(podctl, fault) if fault.traced else None
        if not podctl.settle(COMMAND_SECONDS):
            self._hangs(podctl)
        if podctl.stopped:
            self.result.stops += 1
            self._harm_pod(fault.event, podctl)
            time.sleep(NAP)
            self._wake(podctl)
        elif podctl.code == -signal.SIGKILL:
            self.result.kills += 1
            self._harm_pod(fault.event, podctl)
        if tracer is not None:
            tracer.wait(30.0)
            log = (podctl.folder / "strace").read_text(errors="replace")
            self.result.errors += log.count("(INJECTED)") if fault.effect.startswith("E") else 0
        self._check_exit(podctl)
        return podctl.code

    def _wake(self, podctl: Podctl) -> None:
        """Continue the process until it ends; strace may stop each of its threads once."""
        deadline = time.monotonic() + COMMAND_SECONDS
        while time.monotonic() < deadline:
            podctl.send(signal.SIGCONT)
            if podctl.ended(3.0):
                return
        self._hangs(podctl)

    def _harm_pod(self, event: str, podctl: Podctl) -> None:
        """Let `event` happen to the pod while podctl is dead or stopped."""
        cloud = self.runner.cloud
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

    def _start_four(self) -> None:
        four = [self.podctl() for _ in range(4)]
        for podctl in four:
            if not podctl.ended(COMMAND_SECONDS):
                self._hangs(podctl)
        winners = [podctl for podctl in four if podctl.code == 0]
        if len(winners) != 1:
            self._violation(
                f"I5 {len(winners)} of four processes drove: {[podctl.code for podctl in four]}"
            )
            return
        for podctl in four:
            if podctl is not winners[0]:
                self._refused(podctl, winners[0].pid)

    def _refused(self, podctl: Podctl, driver: int) -> None:
        """While another process drives, podctl exits with 75 and names its pid."""
        podctl.ended(COMMAND_SECONDS)
        if podctl.code != 75 or str(driver) not in podctl.err:
            self._violation(f"I5 beside {driver} a podctl ended with {podctl.code}: {podctl.err}")

    # -- afterwards ------------------------------------------------------------------------

    def resume(self) -> None:
        """Run the same command again until the stage has passed."""
        codes: list[int | None] = []
        limit = COMMANDS[self.case.disturbed]
        while len(codes) < limit and not set(codes) & {0, 4}:
            codes.append(self._command("run", STAGE, "-y"))
        if not set(codes) & {0, 4}:
            self._violation(f"I9 the stage did not pass: {codes}; {self.started[-1].err[-600:]}")
        if self._evidence().rows("SELECT 1 FROM lease WHERE closed_at IS NULL"):
            code = self._command("sync")
            if code != 0:
                self._violation(f"I9 sync ended with {code}: {self.started[-1].err[-600:]}")

    def give_up(self) -> None:
        """Give up the lease while every podctl raises; the lease must be closed anyway."""
        fault = str(self.case.faults[-1])
        for words in (("sync",), ("stop", STAGE, "--terminate", "--abandon", "enough", "-y")):
            podctl = self.podctl(*words, fault=fault)
            if not podctl.ended(COMMAND_SECONDS):
                self._hangs(podctl)
            self._check_exit(podctl)
        if self.started[-1].code not in (0, 3):  # 3: nothing was left to stop
            violation = f"{self.started[-1].code}: {self.started[-1].err[-600:]}"
            self._violation(f"I10 giving up ended with {violation}")
        for violation in oracle.given_up(self._evidence()):
            self._violation(violation)

    def judge(self) -> None:
        pods, starts = len(self.runner.cloud.state()["pods"]), len(self._seen.starts)
        code = self._command("run", STAGE, "-y")
        if code != 4:
            self._violation(f"I4 a locked stage answered with {code}")
        context = self._evidence()
        if (len(context.pods), len(self._seen.starts)) != (pods, starts):
            self._violation("I4 a locked stage was rented for again")
        for violation in oracle.violations(context):
            self._violation(violation)
        self._measure(context)

    def _measure(self, context: oracle.Evidence) -> None:
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
        self._check_exit(podctl)
        return podctl.code

    def podctl(self, *words: str, fault: str = "") -> Podctl:
        folder = self.workload.folder.parent / f"podctl{len(self.started) + 1}"
        environment = {"PODCTL_EMULATOR_URL": self.runner.cloud.base_url, "NO_COLOR": "1"}
        podctl = self.runner.fork_server.podctl(
            *(words or ("run", STAGE, "-y")),
            cwd=self.workload.folder,
            folder=folder,
            env=environment,
            fault=fault,
            moments="" if ":" in fault and fault.split(":")[1] not in ("before", "after")
            else str(folder / "moments"),
        )  # fmt: skip
        self.started.append(podctl)
        self.result.processes += 1
        return podctl

    @property
    def _seen(self) -> ObservedJobs:
        return self.runner.job_monitor.of(self.workload.name)

    def _evidence(self) -> oracle.Evidence:
        state = self.runner.cloud.state()
        return oracle.Evidence(self.workload, state, self._seen, self.case.disturbed)

    def _hangs(self, podctl: Podctl) -> None:
        self._violation(f"I9 a podctl did not end in {COMMAND_SECONDS:.0f} s: {podctl.err[-600:]}")
        podctl.send(signal.SIGKILL)
        podctl.ended(10.0)

    def _check_exit(self, podctl: Podctl) -> None:
        """Check for a documented exit code, an error message, and no traceback."""
        message = podctl.err
        if podctl.code == -signal.SIGKILL:
            return
        if podctl.code not in CODES or _MISTAKE.search(message):
            self._violation(f"a podctl ended with {podctl.code}: {message[-1500:]}")
        elif podctl.code and not message:
            self._violation(f"a podctl ended with {podctl.code} without any message")

    def _violation(self, text: str) -> None:
        self.result.violations.append(text)


def _cut_sessions(emulator: int) -> None:
    """End every SSH session of the emulator's pods; the SSH servers keep running."""
    for process in psutil.Process(emulator).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            parent = process.parent()
            if parent is not None and process.name() == parent.name() == "sshd":
                process.kill()
