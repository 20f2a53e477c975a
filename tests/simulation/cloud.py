"""The provider: what it has committed, what it shows, what it bills, and how it lies."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from controller.providers.base import BillingRecord, Endpoint, Offer, Pod, PodSpec, PodStatus
from tests.simulation.event_loop import Hub
from tests.simulation.fault_schedule import Fate
from tests.simulation.machine import Disk, Machine, Work

EPOCH = 1_800_000_000.0  # Unix seconds at which a history begins
LATE = 120.0  # seconds after the client's time-out within which a create may still commit
BILL_LAG = 300.0  # seconds: what was used since then is not on the bill yet
LAG = 60.0  # seconds for which a listing may not show a new pod
OFFERS = tuple(
    Offer("gpu", name, name, 1, 48, usd, "HIGH", "SECURE")
    for name, usd in (("NVIDIA A40", 0.44), ("NVIDIA L40S", 0.86))
)


class Liar:
    """Pods whose every word is "running"; drawn beside the other luck."""

    SHARE = 0.04

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str], number: int) -> bool:
        dice = random.Random(f"liar {seed} {number}")
        share = 0.0 if "foreseen" in bias else 0.5 if "liar" in bias else cls.SHARE
        return dice.random() < share


class FullHost:
    """Hosts that have no room for a pod once it was stopped; drawn beside the other luck."""

    SHARE = 0.1

    @classmethod
    def drawn(cls, seed: int, bias: frozenset[str], number: int) -> bool:
        dice = random.Random(f"full host {seed} {number}")
        share = 0.0 if "foreseen" in bias else 0.7 if "full" in bias else cls.SHARE
        return dice.random() < share


@dataclass
class Meter:
    """What one pod is billed: whole dollars by second, and for how long."""

    usd: float = 0.0
    since: float = 0.0
    usd_per_hour: float = 0.0


@dataclass
class Cloud:
    """All of the account."""

    hub: Hub
    fate: Fate
    pods: dict[str, Machine] = field(default_factory=dict)
    meters: dict[str, Meter] = field(default_factory=dict)
    shared: Disk = field(default_factory=Disk)  # the network volume
    outage_until: float = 0.0
    guarded: bool = True
    stubborn: bool = True  # a guard whose order failed tries again
    pending: int = 0  # creates that have not committed yet
    on_start: Callable[[Machine, Work], None] = lambda *_: None
    on_destroy: Callable[[Machine], None] = lambda *_: None

    def fails(self, what: str) -> bool:
        """Whether this call gets no useful answer: an outage, or bad luck."""
        if self.hub.now < self.outage_until and not self.fate.calm:
            return True
        if self.fate.strikes(0.02):
            self.outage_until = self.hub.now + self.fate.between(60.0, 3600.0)
        return self.fate.strikes(what=what)

    def check_start(self, machine: Machine, work: Work) -> None:
        self.on_start(machine, work)

    # -- what it does ------------------------------------------------------------------------

    def commit(self, spec: PodSpec) -> Machine:
        """The pod exists and bills from now on."""
        fate = self.fate
        number = len(self.pods) + 1
        lag = fate.between(0.0, LAG) if fate.strikes(5) else 0.0
        disk = self.shared if spec.network_volume_id else Disk()
        machine = Machine(
            self,
            f"pod{number}",
            spec,
            disk,
            spec.offer.usd_per_hour,
            created=self.hub.now,
            visible_at=self.hub.now + lag,
            armed=not fate.strikes(0.2),
            never_boots=fate.strikes(0.3),
            deaf=fate.strikes(0.2),
            unfit=fate.strikes(0.3),
            lies=Liar.drawn(fate.seed, fate.bias, number),
            no_room=FullHost.drawn(fate.seed, fate.bias, number),
        )
        self.pods[machine.id] = machine
        self.meters[machine.id] = Meter(since=self.hub.now)
        machine.start(fate.between(20.0, 300.0))
        self.meter(machine)
        self._doom(machine)
        return machine

    def _doom(self, machine: Machine) -> None:
        """What may befall a pod on its own."""
        fate = self.fate
        if fate.strikes(1.5):
            self.hub.after(fate.between(60.0, 7200.0), lambda: self._strike(machine))
        if fate.strikes(2, "hidden"):
            self.hub.after(fate.between(60.0, 7200.0), lambda: self._vanish_for_a_while(machine))
        if fate.strikes(1.5, "odd"):
            self.hub.after(fate.between(10.0, 7200.0), lambda: self._look_odd(machine))
        if fate.strikes(1, "console"):
            self.hub.after(fate.between(60.0, 10_800.0), lambda: self._be_ordered(machine))

    def _strike(self, machine: Machine) -> None:
        if not machine.billing or self.fate.calm:
            return
        self.fate.tally.deaths += 1
        match self.fate.one("evict", "evict", "host", "disk", "gone"):
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

    def _vanish_for_a_while(self, machine: Machine) -> None:
        machine.hidden_until = self.hub.now + self.fate.between(30.0, 200.0)
        machine.hidden_by_id = self.fate.random.random() < 0.5

    def _look_odd(self, machine: Machine) -> None:
        """Whatever it does: for a while the provider calls it something else."""
        machine.odd_until = self.hub.now + self.fate.between(20.0, 900.0)
        machine.odd = PodStatus(self.fate.one("UNKNOWN", "UNKNOWN", "STARTING", "ERROR"))

    def _be_ordered(self, machine: Machine) -> None:
        """Its owner, in the provider's console, without a word to podctl."""
        if self.fate.calm:
            return
        match self.fate.one("stop", "start", "delete"):
            case "stop" if machine.billing:
                machine.stopped_by = "console"
                machine.halt("Exited by user")
            case "start" if machine.status is PodStatus.EXITED:
                self.resume(machine)
            case "delete":
                self.destroy(machine, by="console")
            case _:
                return
        if self.fate.strikes(20, "console"):
            self.hub.after(self.fate.between(60.0, 10_800.0), lambda: self._be_ordered(machine))

    def resume(self, machine: Machine) -> None:
        machine.last_change = "Resumed by user"
        machine.start(self.fate.between(20.0, 120.0))
        self.meter(machine)

    def destroy(self, machine: Machine, by: str) -> None:
        """TERMINATED: nothing of it is left but a network volume."""
        if machine.status is PodStatus.TERMINATED:
            return
        if by == "order":
            self.on_destroy(machine)
        if (work := machine.living) is not None:
            work.checkpoint(self.hub.now)
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
        shown = (one for one in self.pods.values() if self._shows(one))
        return tuple(self.view(one) for one in shown)

    def _shows(self, machine: Machine) -> bool:
        hidden = self.hub.now < max(machine.visible_at, machine.hidden_until)
        return machine.status is not PodStatus.TERMINATED and not hidden

    def view(self, machine: Machine) -> Pod:
        odd = self.hub.now < machine.odd_until and machine.status is not PodStatus.TERMINATED
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
        """Bring the pod's bill up to now; from now on at its present rate."""
        meter = self.meters[machine.id]
        if meter.usd_per_hour and self.hub.now > meter.since:
            machine.lives.append((meter.since, self.hub.now))
        meter.usd += meter.usd_per_hour * (self.hub.now - meter.since) / 3600.0
        meter.since = self.hub.now
        meter.usd_per_hour = machine.usd_per_hour if machine.billing else 0.0

    def billed(self, machine: Machine) -> float:
        """Compute dollars so far."""
        self.meter(machine)
        return self.meters[machine.id].usd

    def records(self) -> tuple[BillingRecord, ...]:
        now = EPOCH + self.hub.now
        return tuple(self._record(one, now) for one in self.pods.values())

    def _record(self, machine: Machine, now: float) -> BillingRecord:
        usd = self.billed(machine) - machine.since(self.hub.now - BILL_LAG)
        return BillingRecord(machine.id, EPOCH + machine.created, now, usd, usd, 0.0)
