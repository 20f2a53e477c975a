"""A simulated JobRuntime: pods behind a network, and the files on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from zlib import crc32

from controller.engine.lease_context import LeaseContext
from controller.engine.outcomes import JudgedRun, LockedRun, PulledRun, UploadedRun
from controller.errors import ArtifactsNotSafe, ConnectionLost, PodctlError
from controller.planner import pod_spec as order
from controller.planner.lease_state import RunFacts
from controller.planner.observation import Contact
from controller.providers.base import Endpoint, PodStatus
from jobs.stage import Stage
from remote.contract import Exit, GuardReport, Status
from tests.simulation.cloud import EPOCH, Cloud
from tests.simulation.machine import Machine, Work
from tests.simulation.process import Process

ASK, START, TRANSFER, LOOK = 0.4, 1.0, 30.0, 150.0  # seconds
T = TypeVar("T")


@dataclass
class LocalFiles:
    """The files on the host's disk, which survive every process."""

    checkpoints: dict[str, float] = field(default_factory=dict)  # run → seconds of work
    checkpoint_at: dict[str, float] = field(default_factory=dict)  # run → Unix time it came
    outputs: dict[str, str] = field(default_factory=dict)  # run → what was pulled and verified
    certificates: dict[str, str] = field(default_factory=dict)  # stage → run


@dataclass
class SimulatedRuntime:
    """Implements `JobRuntime` for one process and one lease."""

    process: Process
    cloud: Cloud
    files: LocalFiles
    stages: dict[str, Stage]  # run → stage
    context: LeaseContext
    record_lock: Callable[[str, str], None]
    verifies: bool = True
    at_most_once: bool = True

    def ask(self, pod: str, endpoint: Endpoint, run: RunFacts, pause: float = 0.0) -> Contact:
        self._await_change(pod, run.run, pause)
        try:
            return self.process.effect(ASK, lambda: self._ask(pod, endpoint, run))
        except ConnectionLost as error:
            return Contact(False, error=error.what)

    def _await_change(self, pod: str, run: str, pause: float) -> None:
        """Wait as the agent does: until the job ends or is lost, or `pause` is over."""
        until = self.cloud.event_loop.now + pause
        work = self.cloud.pods[pod].disk.works.get(run)
        while (left := until - self.cloud.event_loop.now) > 0:
            self.process.sleep(min(left, LOOK))
            if work is not None and work.began is None:
                return

    def _ask(self, pod: str, endpoint: Endpoint, run: RunFacts) -> Contact:
        machine = self._reach(pod, endpoint.port)
        machine.visited()
        if run.uploaded_to != pod:
            machine.call_off()
            return Contact(True, guard=self._guard(machine))
        if not machine.disk.code:
            return Contact(True, forgotten=True)
        return Contact(True, status=self._status(machine, run.run), guard=self._guard(machine))

    def _reach(self, pod: str, port: int | None = None) -> Machine:
        machine = self.cloud.pods[pod]
        now = self.cloud.event_loop.now
        if self.cloud.faults.strikes(0.1):
            machine.silent_until = now + self.cloud.faults.between(30.0, 2400.0)
        silent = machine.deaf or (now < machine.silent_until and not self.cloud.faults.calm)
        moved = port is not None and port != machine.port
        if machine.status is not PodStatus.RUNNING or silent or moved:
            raise ConnectionLost("no answer")
        if self.cloud.faults.strikes(0.3):
            raise ConnectionLost("the connection broke")
        return machine

    def _guard(self, machine: Machine) -> GuardReport:
        armed = machine.armed and self.cloud.guarded
        return GuardReport(f"boot{machine.life}", armed, "", "job", None, None)

    def _status(self, machine: Machine, run: str) -> Status:
        work = machine.disk.works.get(run)
        boot = f"boot{machine.life}"
        if machine.lies and work is not None and work.attempt:
            armed = GuardReport(boot, True, "", "job", None, None)
            return Status(run, "running", boot, work.attempt, guard=armed)
        if work is None or not work.attempt:
            return Status(run, "absent", boot, guard=self._guard(machine))
        if work.began is not None:
            work.checkpoint(self.cloud.event_loop.now)
            ready = f"{work.saved:.0f}" if work.saved else None
            return Status(
                run, "running", boot, work.attempt, ready_sha256=ready, guard=self._guard(machine)
            )
        if work.ended is None:
            return Status(run, "lost", boot, work.attempt, guard=self._guard(machine))
        rc, reason = work.ended
        end = Exit(run, work.attempt, rc, reason, "", "0" * 64, 0, 0.0, EPOCH + work.ended_at)
        return Status(run, "ended", boot, work.attempt, exit=end, guard=self._guard(machine))

    def upload(self, run: str) -> UploadedRun:
        def arrive() -> None:
            machine = self._reach(self._pod())
            machine.visited()
            machine.disk.code = True
            work = machine.disk.works.setdefault(run, self._work(run, machine))
            work.resume = max(work.resume, self.files.checkpoints.get(run, 0.0))
            if work.owner != machine.id:  # the newer pod has the disk now, so the older job ends
                work.owner, work.began = machine.id, None

        self.process.effect(TRANSFER, arrive)
        return UploadedRun("c" * 64, 1, "t")

    def _work(self, run: str, machine: Machine) -> Work:
        """The job's course, drawn once per run."""
        stage = self.stages[run]
        draw = crc32(f"{self.cloud.faults.seed} {run}".encode()) % 1000
        endings = ("fails", 30), ("criteria", 60), ("stalls", 100), ("hangs", 115)
        if self.cloud.faults.keep_warm:
            endings = ("fails", 300), ("criteria", 600), ("stalls", 640), ("hangs", 655)
        ending = next((name for name, below in endings if draw < below), "passes")
        need = 900.0 + (draw * 37 % 3600)
        grace = order.grace_done(self.context.stage_list, self.context.shape)
        return Work(run, need, stage.max_hours * 3600.0, grace, ending, machine.id)

    def start(self, run: str, *, again: bool) -> int:
        def begin() -> int:
            machine = self._reach(self._pod())
            machine.visited()
            work = machine.disk.works[run]
            alive = work.began is not None and self.at_most_once
            if not alive and (work.ended is None or again):
                machine.begin(work)
            return work.attempt

        return self._answered(START, begin)

    def stop(self, run: str, reason: str) -> None:
        def end() -> None:
            machine = self._reach(self._pod())
            work = machine.disk.works[run]
            if work.began is not None and not machine.lies:
                work.saved = max(
                    work.saved, min(work.need, work.progress(self.cloud.event_loop.now))
                )
                machine.end(work, 1, "stopped")

        self._answered(START, end)

    def keep_warm(self, pod: str, endpoint: Endpoint, run: str, seconds: float, then: str) -> float:
        def wait() -> float:
            machine = self._reach(pod, endpoint.port)
            machine.visited()
            work = machine.disk.works.get(run)
            if work is None or work is not machine.lease or work.ended is None:
                raise PodctlError("it is not what ended last")
            if not (machine.armed and self.cloud.guarded):
                raise PodctlError("no guard would end the pod")
            machine.keep_warm(work, seconds, then)
            return min(seconds, machine.due() - self.cloud.event_loop.now)

        return self._answered(START, wait)

    def pull_ready(self, run: str) -> None:
        def bring() -> None:
            machine = self._reach(self._pod())
            machine.visited()
            work = machine.disk.works[run]
            work.checkpoint(self.cloud.event_loop.now)
            self._keep(run, work.saved)

        self.process.effect(TRANSFER / 3, bring)

    def pull(self, run: str, contact: Contact) -> PulledRun:
        assert contact.status is not None

        def bring() -> PulledRun:
            machine = self._reach(self._pod())
            machine.visited()
            work = machine.disk.works[run]
            self._keep(run, work.saved)
            if work.ended is None:
                return PulledRun(-1, "lost", "")
            spoiled = self.cloud.faults.strikes(kind="pull")
            if spoiled and self.verifies:
                raise ArtifactsNotSafe("a file is not what the manifest says")
            if not spoiled and self.cloud.faults.strikes(0.5):
                raise ArtifactsNotSafe("the disk here is full")
            self.files.outputs[run] = "spoiled" if spoiled else work.output
            rc, reason = work.ended
            return PulledRun(rc, reason, "m")

        return self.process.effect(TRANSFER, bring)

    def kept_until(self, run: str) -> float | None:
        return self.files.checkpoint_at.get(run)

    def judge(self, run: str) -> JudgedRun:
        good = "/criteria/" not in self.files.outputs.get(run, "")
        finding = {"status": "FAIL", "criterion": "it is good", "detail": "it is not"}
        return JudgedRun("PASS" if good else "FAIL", [] if good else [finding])

    def lock(self, run: str) -> LockedRun:
        stage = self.stages[run].name
        self.process.effect(0.0, lambda: self.files.certificates.setdefault(stage, run))
        self.process.effect(0.0, lambda: self.record_lock(stage, run))
        return LockedRun("0" * 64)

    def drop(self) -> None:
        """There is no connection to close."""

    def _keep(self, run: str, work: float) -> None:
        if work > self.files.checkpoints.get(run, 0.0):
            self.files.checkpoints[run] = work
            self.files.checkpoint_at[run] = EPOCH + self.cloud.event_loop.now

    def _pod(self) -> str:
        pod = self.context.lease_state().pod
        if pod is None:
            raise ConnectionLost("there is no connection to the pod")
        return pod

    def _answered(self, seconds: float, act: Callable[[], T]) -> T:
        """Send an order to the agent; its answer may be lost after the order took effect."""
        answer = self.process.effect(seconds, act)
        if self.cloud.faults.strikes(0.5):
            raise ConnectionLost("the answer was lost")
        return answer
