"""A simulated pod: its boots, its disk, one job at a time, and its guard."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.providers.base import PodSpec, PodStatus
from remote.contract import ENV_GUARD, ENV_NONCE

if TYPE_CHECKING:
    from tests.simulation.cloud import Cloud

CHECKPOINT = 300.0  # seconds of work between two checkpoints
GRACE = 4.0  # of an evicted container, enough for one more checkpoint
SLACK = 1200.0  # seconds that a guard may need to get its order through


@dataclass
class Work:
    """One run's job on a disk."""

    run: str
    need: float  # seconds of work in all
    budget: float  # seconds of one attempt
    grace_done: float
    ending: str  # passes | fails | criteria | stalls | hangs
    owner: str  # the pod that may run it: two pods may mount one network volume
    resume: float = 0.0  # work that came with the upload
    saved: float = 0.0  # work in the newest checkpoint on the disk
    attempt: int = 0
    began: float | None = None  # when the running attempt began; None: none runs
    start: float = 0.0  # work that was done before it
    ended: tuple[int, str] | None = None  # (rc, reason): the exit record of this attempt
    ended_at: float = 0.0
    output: str = ""  # what the job committed

    def progress(self, now: float) -> float:
        return self.start + (now - self.began if self.began is not None else 0.0)

    def checkpoint(self, now: float) -> None:
        """Save the checkpoints that the job has written by `now`."""
        if self.began is not None:
            steps = int((self.progress(now) - self.start) // CHECKPOINT)
            self.saved = max(self.saved, self.start + steps * CHECKPOINT)


@dataclass
class Disk:
    """A volume; a network volume outlives its pods."""

    works: dict[str, Work] = field(default_factory=dict)
    code: bool = False
    lost: bool = False


@dataclass(frozen=True)
class Warm:
    """Until when a pod waits for another run after the attempt of `work`."""

    work: Work
    attempt: int
    until: float
    then: str  # terminate | park


@dataclass
class Machine:
    """One pod. `life` counts its starts; an event of an earlier start has no effect."""

    cloud: Cloud
    id: str
    spec: PodSpec
    disk: Disk
    usd_per_hour: float
    created: float
    visible_at: float
    status: PodStatus = PodStatus.PROVISIONING
    life: int = 0
    started: float = 0.0
    port: int = 0
    booted: float | None = None
    beat: float | None = None  # the last visit of a controller in this life
    armed: bool = True
    never_boots: bool = False
    deaf: bool = False  # SSH never answers
    unfit: bool = False  # the preflight refuses the host
    lies: bool = False  # its agent always reports "running" and its guard "armed"
    no_room: bool = False  # its host has no free GPU for it after it was stopped
    silent_until: float = 0.0  # until then SSH does not answer
    hidden_until: float = 0.0  # until then no listing shows it
    hidden_by_id: bool = False  # and the provider answers 404 to its id
    forgot_order: bool = False  # a terminate was accepted without effect
    odd_until: float = 0.0  # until then it is reported as `odd`
    odd: PodStatus = PodStatus.UNKNOWN
    lives: list[tuple[float, float]] = field(default_factory=list)  # billed, from and to
    last_change: str = ""
    log: list[str] = field(default_factory=list)
    system: list[str] = field(default_factory=list)  # the host's log of the container
    guard_pause: float = 1.0
    lease: Work | None = None
    warm: Warm | None = None
    claimed: float | None = None  # when a job was started on it last
    stopped_by: str = ""

    @property
    def nonce(self) -> str:
        return self.spec.env[ENV_NONCE]

    def since(self, moment: float) -> float:
        """Dollars of compute after `moment`."""
        seconds = sum(max(0.0, end - max(begin, moment)) for begin, end in self.lives)
        return self.usd_per_hour * seconds / 3600.0

    def unknown_by_id(self, now: float) -> bool:
        """Whether the provider answers 404 although the pod exists."""
        return now < self.visible_at or (self.hidden_by_id and now < self.hidden_until)

    @property
    def billing(self) -> bool:
        return self.status in (PodStatus.PROVISIONING, PodStatus.RUNNING)

    @property
    def living(self) -> Work | None:
        works = (work for work in self.disk.works.values() if work.owner == self.id)
        return next((work for work in works if work.began is not None), None)

    # -- life --------------------------------------------------------------------------------

    def start(self, boot_seconds: float) -> None:
        self.life += 1
        self.started = self.cloud.event_loop.now
        self.status, self.booted, self.beat, self.lease = PodStatus.PROVISIONING, None, None, None
        self.warm = None
        self.port = 10_000 + self.life
        self.guard_pause = 1.0
        self._soon(boot_seconds, self._boot)

    def _soon(self, seconds: float, event: Callable[[], None]) -> None:
        boot_number = self.life
        self.cloud.event_loop.after(seconds, lambda: event() if boot_number == self.life else None)

    def _boot(self) -> None:
        if self.status is not PodStatus.PROVISIONING:
            return
        self.booted = self.cloud.event_loop.now  # the container runs, whatever is reported
        if not self.never_boots:
            self.status = PodStatus.RUNNING
        elif len(self.cloud.pods) % 2:
            self.system.append("nvidia-container-cli: requirement error: cuda>=12.8")
        self._watch()
        for work in self.disk.works.values():  # the guard resumes what a restart cut short
            runs_own_code = work.owner == self.id and self.disk.code
            if runs_own_code and work.attempt and work.ended is None and work.began is None:
                self.begin(work)
                break

    def halt(self, why: str, *, grace: bool = False) -> None:
        """EXITED: the processes are gone, the disk stays. With `grace` a job saves first."""
        now = self.cloud.event_loop.now
        if (work := self.living) is not None:
            work.checkpoint(now)
            if grace:
                work.saved = max(work.saved, min(work.need, work.progress(now)))
            work.began = None
        self.life += 1
        self.cloud.meter(self)
        self.status, self.booted = PodStatus.EXITED, None
        self.last_change = why
        self.cloud.meter(self)

    def lose_disk(self) -> None:
        self.disk.works.clear()
        self.disk.code = False
        self.disk.lost = True

    # -- the job -----------------------------------------------------------------------------

    def begin(self, work: Work) -> None:
        """A new attempt from the newest checkpoint."""
        now = self.cloud.event_loop.now
        self.cloud.check_start(self, work)
        self.claimed = now
        work.attempt += 1
        work.ended, work.began = None, now
        work.start = max(work.saved, work.resume)
        self.lease = work
        attempt = work.attempt

        def alive() -> bool:  # it may have been stopped or restarted
            return work.attempt == attempt and work.began is not None

        seconds = {
            "stalls": 3600.0 if work.attempt == 1 else work.need - work.start,
            "hangs": work.budget,
        }.get(work.ending, work.need - work.start)
        seconds = 20.0 if self.unfit else seconds
        self._soon(
            min(max(0.0, seconds), work.budget),
            lambda: self._finish(work) if alive() else None,
        )
        self._watch()

    def _finish(self, work: Work) -> None:
        now = self.cloud.event_loop.now
        used = now - (work.began or now)
        work.checkpoint(now)
        if self.unfit:
            self.end(work, 1, "preflight")
        elif work.ending == "stalls" and work.attempt == 1:
            self.end(work, 1, "stalled")
        elif work.ending == "hangs" or used >= work.budget:
            self.end(work, 1, "budget")
        else:
            self.end(work, 3 if work.ending == "fails" else 0, "exited")

    def end(self, work: Work, rc: int, reason: str) -> None:
        """End the attempt: write its manifest, then its exit record."""
        work.began = None
        work.ended, work.ended_at = (rc, reason), self.cloud.event_loop.now
        work.output = f"{work.run}/{work.ending}/{work.need:.3f}/{rc}"
        self._watch()

    # -- the guard ---------------------------------------------------------------------------

    def keep_warm(self, work: Work, seconds: float, then: str) -> None:
        """The guard ends the pod after `seconds`, unless another run is started on it before."""
        self.warm = Warm(work, work.attempt, self.cloud.event_loop.now + seconds, then)
        self._watch()

    def call_off(self) -> None:
        """Before another run uses the pod: the guard does not end it at that time."""
        self.warm = None

    def is_warm(self) -> bool:
        """Whether the guard's note is about the attempt that ended last."""
        warm = self.warm
        return warm is not None and warm.work is self.lease and warm.attempt == warm.work.attempt

    def visited(self) -> None:
        self.beat = self.cloud.event_loop.now

    def due(self) -> float:
        """When the guard stops this pod, by the limits that came with the create call."""
        limits = json.loads(self.spec.env[ENV_GUARD])
        assert self.booted is not None
        cap = self.booted + float(limits["hard_cap"])
        return min(cap, self._phase(limits))

    def _phase(self, limits: dict[str, float]) -> float:
        assert self.booted is not None
        since = self.beat if self.beat is not None else self.booted
        if (work := self.lease) is not None:
            if work.ended is not None and self.warm is not None and self.is_warm():
                return self.warm.until
            if work.ended is not None:
                return max(work.ended_at, since) + work.grace_done
            if work.began is not None:
                return work.began + work.budget
        if self.beat is None and self.lease is None:
            return self.booted + float(limits["boot_grace"])
        return since + float(limits["idle"])

    def _watch(self) -> None:
        """Schedule the guard's check; a visit of the controller postpones its stop."""
        if self.cloud.guarded and self.armed and self.booted is not None:
            self._soon(max(0.0, self.due() - self.cloud.event_loop.now), self._guard)

    def _guard(self) -> None:
        if self.booted is None or self.lies:
            return
        if self.due() > self.cloud.event_loop.now + 0.001:
            self._watch()
            return
        self.log.append("PODCTL-GUARD stopping this pod: it is due")
        if self.cloud.fails("guard"):
            if self.cloud.stubborn:
                self.guard_pause = min(60.0, self.guard_pause * 2)
                self._soon(self.guard_pause, self._guard)
            return
        self.stopped_by = "guard"
        if self.warm is not None and self.is_warm() and self.warm.then == "terminate":
            self.cloud.destroy(self, by="order")
            self.stopped_by = "guard"
            return
        self.halt("Exited by user: the guard's order")
