"""The simulated provider: the pods it has, what its API shows of them, and what it bills."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.providers.base import BillingRecord, Endpoint, Offer, Pod, PodSpec, PodStatus
from tests.simulation.event_loop import EventLoop
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.machine import Disk, Machine, Work

EPOCH = 1_800_000_000.0  # Unix seconds at which a history begins
LATE = 120.0  # seconds after the client's time-out within which a create may still commit
BILL_LAG = 300.0  # seconds: what was used since then is not on the bill yet
LAG = 60.0  # seconds for which a listing may not show a new pod
OFFERS = tuple(
    Offer("gpu", name, name, 1, 48, usd, "HIGH", "SECURE")
    for name, usd in (("NVIDIA A40", 0.44), ("NVIDIA L40S", 0.86))
)


class LyingPods:
    """Pods that always report a running job; drawn from a random generator of their own."""

    SHARE = 0.04

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str], number: int) -> bool:
        random_source = random.Random(f"liar {seed} {number}")
        share = 0.0 if "foreseen" in bias else 0.5 if "liar" in bias else cls.SHARE
        return random_source.random() < share


class FullHosts:
    """Hosts without a free GPU for a pod that was stopped; drawn from a generator of their own."""

    SHARE = 0.1

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str], number: int) -> bool:
        random_source = random.Random(f"full host {seed} {number}")
        share = 0.0 if "foreseen" in bias else 0.7 if "full" in bias else cls.SHARE
        return random_source.random() < share


@dataclass
class Meter:
    """The bill of one pod."""

    usd: float = 0.0
    since: float = 0.0
    usd_per_hour: float = 0.0


@dataclass
class Cloud:
    """The provider's side of one account."""

    event_loop: EventLoop
    faults: FaultSchedule
    pods: dict[str, Machine] = field(default_factory=dict)
    meters: dict[str, Meter] = field(default_factory=dict)
    shared: Disk = field(default_factory=Disk)  # the network volume
    outage_until: float = 0.0
    guarded: bool = True
    stubborn: bool = True  # a guard tries again when its order failed
    pending: int = 0  # creates that have not committed yet
    on_start: Callable[[Machine, Work], None] = lambda *_: None
    on_destroy: Callable[[Machine], None] = lambda *_: None

    def fails(self, request: str) -> bool:
        """Whether this call fails, by an outage or on its own."""
        if self.event_loop.now < self.outage_until and not self.faults.calm:
            return True
        if self.faults.strikes(0.02):
            self.outage_until = self.event_loop.now + self.faults.between(60.0, 3600.0)
        return self.faults.strikes(kind=request)

    def check_start(self, machine: Machine, work: Work) -> None:
        self.on_start(machine, work)

    # -- what happens to pods ----------------------------------------------------------------

    def commit(self, spec: PodSpec) -> Machine:
        """Create the pod, which bills from now on."""
        faults = self.faults
        number = len(self.pods) + 1
        lag = faults.between(0.0, LAG) if faults.strikes(5) else 0.0
        disk = self.shared if spec.network_volume_id else Disk()
        machine = Machine(
            self,
            f"pod{number}",
            spec,
            disk,
            spec.offer.usd_per_hour,
            created=self.event_loop.now,
            visible_at=self.event_loop.now + lag,
            armed=not faults.strikes(0.2),
            never_boots=faults.strikes(0.3),
            deaf=faults.strikes(0.2),
            unfit=faults.strikes(0.3),
            lies=LyingPods.drawn(faults.seed, faults.bias, number),
            no_room=FullHosts.drawn(faults.seed, faults.bias, number),
        )
        self.pods[machine.id] = machine
        self.meters[machine.id] = Meter(since=self.event_loop.now)
        machine.start(faults.between(20.0, 300.0))
        self.meter(machine)
        self._schedule_harm(machine)
        return machine

    def _schedule_harm(self, machine: Machine) -> None:
        """Schedule what happens to a pod without an order."""
        faults = self.faults
        if faults.strikes(1.5):
            self.event_loop.after(
                faults.between(60.0, 7200.0), lambda: self._carry_out_fault(machine)
            )
        if faults.strikes(2, "hidden"):
            self.event_loop.after(faults.between(60.0, 7200.0), lambda: self._hide(machine))
        if faults.strikes(1.5, "odd"):
            self.event_loop.after(
                faults.between(10.0, 7200.0), lambda: self._report_wrong_status(machine)
            )
        if faults.strikes(1, "console"):
            self.event_loop.after(
                faults.between(60.0, 10_800.0), lambda: self._act_in_console(machine)
            )

    def _carry_out_fault(self, machine: Machine) -> None:
        if not machine.billing or self.faults.calm:
            return
        self.faults.tally.deaths += 1
        match self.faults.choose("evict", "evict", "host", "disk", "gone"):
            case "evict":
                machine.halt("Exited by Runpod", grace=True)
            case "host":
                machine.halt("Exited by Runpod")
            case "disk":
                machine.halt("Exited by Runpod")
                if machine.disk is not self.shared:
                    machine.lose_disk()
            case _:
                self.destroy(machine, by="provider")

    def _hide(self, machine: Machine) -> None:
        machine.hidden_until = self.event_loop.now + self.faults.between(30.0, 200.0)
        machine.hidden_by_id = self.faults.random.random() < 0.5

    def _report_wrong_status(self, machine: Machine) -> None:
        """For a while the provider reports a wrong status."""
        machine.odd_until = self.event_loop.now + self.faults.between(20.0, 900.0)
        machine.odd = PodStatus(self.faults.choose("UNKNOWN", "UNKNOWN", "STARTING", "ERROR"))

    def _act_in_console(self, machine: Machine) -> None:
        """Its owner acts in the provider's console, without podctl."""
        if self.faults.calm:
            return
        match self.faults.choose("stop", "start", "delete"):
            case "stop" if machine.billing:
                machine.stopped_by = "console"
                machine.halt("Exited by user")
            case "start" if machine.status is PodStatus.EXITED:
                self.resume(machine)
            case "delete":
                self.destroy(machine, by="console")
            case _:
                return
        if self.faults.strikes(20, "console"):
            self.event_loop.after(
                self.faults.between(60.0, 10_800.0), lambda: self._act_in_console(machine)
            )

    def resume(self, machine: Machine) -> None:
        machine.last_change = "Resumed by user"
        machine.start(self.faults.between(20.0, 120.0))
        self.meter(machine)

    def destroy(self, machine: Machine, by: str) -> None:
        """Terminate the pod; only a network volume is left of it."""
        if machine.status is PodStatus.TERMINATED:
            return
        if by == "order":
            self.on_destroy(machine)
        if (work := machine.living) is not None:
            work.checkpoint(self.event_loop.now)
            work.began = None
        machine.life += 1
        self.meter(machine)
        machine.status, machine.booted = PodStatus.TERMINATED, None
        machine.stopped_by = by
        if machine.disk is not self.shared:
            machine.lose_disk()
        self.meter(machine)

    # -- what it shows -----------------------------------------------------------------------

    def listing(self) -> tuple[Pod, ...]:
        shown = (machine for machine in self.pods.values() if self._shows(machine))
        return tuple(self.view(machine) for machine in shown)

    def _shows(self, machine: Machine) -> bool:
        hidden = self.event_loop.now < max(machine.visible_at, machine.hidden_until)
        return machine.status is not PodStatus.TERMINATED and not hidden

    def view(self, machine: Machine) -> Pod:
        odd = self.event_loop.now < machine.odd_until and machine.status is not PodStatus.TERMINATED
        status = machine.odd if odd else machine.status
        up = status is PodStatus.RUNNING
        spec = machine.spec
        return Pod(
            machine.id,
            spec.name,
            status,
            env=spec.env,
            usd_per_hour=machine.usd_per_hour if machine.billing else 0.0,
            endpoint=Endpoint("198.51.100.1", machine.port, "root") if up else None,
            ready=up,
            disk_gb=spec.disk_gb,
            volume_gb=spec.volume_gb,
            network_volume_id=spec.network_volume_id,
            created_at=EPOCH + machine.created,
            started_at=EPOCH + machine.started,
        )

    # -- what it bills -----------------------------------------------------------------------

    def meter(self, machine: Machine) -> None:
        """Bill the pod until now, and from now on at its present rate."""
        meter = self.meters[machine.id]
        if meter.usd_per_hour and self.event_loop.now > meter.since:
            machine.lives.append((meter.since, self.event_loop.now))
        meter.usd += meter.usd_per_hour * (self.event_loop.now - meter.since) / 3600.0
        meter.since = self.event_loop.now
        meter.usd_per_hour = machine.usd_per_hour if machine.billing else 0.0

    def billed(self, machine: Machine) -> float:
        """Compute dollars so far."""
        self.meter(machine)
        return self.meters[machine.id].usd

    def records(self) -> tuple[BillingRecord, ...]:
        now = EPOCH + self.event_loop.now
        return tuple(self._record(machine, now) for machine in self.pods.values())

    def _record(self, machine: Machine, now: float) -> BillingRecord:
        usd = self.billed(machine) - machine.since(self.event_loop.now - BILL_LAG)
        return BillingRecord(machine.id, EPOCH + machine.created, now, usd, usd, 0.0)
