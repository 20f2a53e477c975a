"""The provider's API as one process calls it, over a network that loses answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from controller.providers.base import (
    Account,
    BillingRecord,
    Hardware,
    Inventory,
    Kind,
    NetworkVolume,
    Offer,
    Pod,
    PodSpec,
    PodStatus,
    ProviderError,
)
from tests.simulation.cloud import LATE, OFFERS, Cloud
from tests.simulation.machine import Machine
from tests.simulation.process import Process

CALL = 0.6  # seconds of an ordinary call
CREATE = 4.0
# What happens to a create that fails; after the last two it is unclear whether a pod exists.
CREATE_FAULTS = ("capacity", "throttled", "unsent", "after", "lost", "before", "late")
SLOW_CREATES = ("before", "late")
CLIENT_TIMEOUT = 120.0  # seconds, of a create
T = TypeVar("T")


def unclear(message: str, *, sent: bool = True) -> ProviderError:
    return ProviderError(message, kind=Kind.TRANSIENT, sent=sent)


@dataclass
class SimulatedAccount:
    """Implements `Provider` for one process."""

    process: Process
    cloud: Cloud
    name: str = "simulated"

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        return self._read(lambda: OFFERS)

    def catalog(self) -> tuple[Offer, ...]:
        return self._read(lambda: OFFERS)

    def inventory(self, need: Hardware) -> Inventory:
        return Inventory((), ())

    def create(self, spec: PodSpec) -> Pod:
        cloud, faults = self.cloud, self.cloud.faults
        if cloud.fails("create"):
            match faults.choose(*(SLOW_CREATES if "late" in faults.bias else CREATE_FAULTS)):
                case "capacity":
                    return self._no(ProviderError("no GPU", kind=Kind.CAPACITY))
                case "throttled":
                    slow = ProviderError("slow down", kind=Kind.THROTTLED, retry_after=30.0)
                    return self._no(slow)
                case "unsent":
                    return self._no(unclear("cannot connect", sent=False))
                case "before":
                    return self._no(unclear("HTTP 500"))
                case "after":
                    self.process.effect(CREATE, lambda: cloud.commit(spec))
                    return self._no(unclear("HTTP 500 after all"))
                case "lost":
                    self.process.effect(CLIENT_TIMEOUT, lambda: cloud.commit(spec))
                    return self._no(unclear("the answer was lost"))
                case _:
                    return self._late(spec)
        return self.process.effect(CREATE, lambda: cloud.view(cloud.commit(spec)))

    def _late(self, spec: PodSpec) -> Pod:
        """The create commits after the client's time-out."""

        def arrive() -> None:
            self.cloud.pending -= 1
            self.cloud.commit(spec)

        def send() -> None:
            wait = CLIENT_TIMEOUT / 2 + self.cloud.faults.between(0.0, LATE)
            self.cloud.pending += 1
            self.cloud.event_loop.after(wait, arrive)

        self.process.effect(CLIENT_TIMEOUT, send)
        return self._no(unclear("timed out"))

    def list(self) -> tuple[Pod, ...]:
        return self._read(self.cloud.listing)

    def get(self, pod_id: str) -> Pod | None:
        def look() -> Pod | None:
            machine = self.cloud.pods.get(pod_id)
            young = machine is not None and machine.unknown_by_id(self.cloud.event_loop.now)
            if machine is None or young or machine.status is PodStatus.TERMINATED:
                return None
            return self.cloud.view(machine)

        return self._read(look)

    def start(self, pod_id: str) -> None:
        """Start a stopped pod. Raises ProviderError for a pod that does not exist."""

        def act(machine: Machine) -> None:
            full = machine.no_room and not self.cloud.faults.calm
            if self.cloud.faults.strikes(4) or full:
                raise ProviderError("no free GPU on its host", kind=Kind.CAPACITY)
            if machine.status is not PodStatus.EXITED:
                raise ProviderError("it is not stopped", kind=Kind.CONFLICT)
            self.cloud.resume(machine)

        if not self._write(pod_id, act):
            raise ProviderError("no such pod", kind=Kind.CONFLICT)

    def stop(self, pod_id: str) -> None:
        def act(machine: Machine) -> None:
            if machine.billing:
                machine.stopped_by = "order"
                machine.halt("Exited by user")

        self._write(pod_id, act)

    def terminate(self, pod_id: str) -> bool:
        def act(machine: Machine) -> None:
            if self.cloud.faults.strikes(0.5, "delete"):
                machine.forgot_order = True
                return  # accepted without effect: the listing still has it
            self.cloud.destroy(machine, by="order")

        return self._write(pod_id, act)

    def volumes(self) -> tuple[NetworkVolume, ...]:
        return ()

    def create_volume(self, name: str, size_gb: int, data_center: str) -> NetworkVolume:
        raise NotImplementedError("the simulated cloud has no network volumes")

    def delete_volume(self, volume_id: str) -> bool:
        raise NotImplementedError("the simulated cloud has no network volumes")

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        return self._read(self.cloud.records)

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        return self._read(lambda: tuple(self.cloud.pods[pod_id].log))

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        return tuple(self.cloud.pods[pod_id].system)  # only ever shortens a wait: takes no time

    def last_change(self, pod_id: str) -> str:
        return self._read(lambda: self.cloud.pods[pod_id].last_change)

    def account(self) -> Account:
        return Account(100.0, ())

    def register_key(self, public_key: str) -> None:
        raise NotImplementedError("no history registers a key")

    def _no(self, error: ProviderError) -> Pod:
        def refuse() -> Pod:
            raise error

        return self.process.effect(CALL, refuse)

    def _read(self, read: Callable[[], T]) -> T:
        def answer() -> T:
            if self.cloud.fails("read"):
                raise unclear("HTTP 502", sent=False)
            return read()

        return self.process.effect(CALL, answer)

    def _write(self, pod_id: str, act: Callable[[Machine], None]) -> bool:
        """Send an order to a pod; it may be lost before or after its effect. False: 404."""

        def order() -> bool:
            lost = self.cloud.faults.choose("before", "after") if self.cloud.fails("write") else ""
            machine = self.cloud.pods.get(pod_id)
            terminated = machine is None or machine.status is PodStatus.TERMINATED
            young = machine is not None and machine.unknown_by_id(self.cloud.event_loop.now)
            known = machine is not None and not terminated and not young
            if lost != "before" and machine is not None and known:
                act(machine)
            if lost:
                raise unclear("HTTP 500")
            return known

        return self.process.effect(CALL, order)
