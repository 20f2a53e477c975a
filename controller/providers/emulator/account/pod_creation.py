"""Creates the record of a rented pod: checks, placement, price, environment."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace

from controller.providers.emulator.account.placement import Placement, place, used_units
from controller.providers.emulator.account.pod_request import PodRequest
from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import (
    LOW_BALANCE,
    NO_CAPACITY,
    TRANSLATION,
    Problem,
)
from controller.providers.emulator.records import Pod, new_id

NEVER = 1e12  # Unix seconds far in the future; JSON has no infinity


class PodCreation:
    """Creates records; the caller holds the cloud's lock and stores the record."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def create(self, request: PodRequest) -> Pod:
        """The record of a new pod. Raises Problem if the request is refused."""
        hardware = request.gpu or request.cpu
        if self.cloud.faults.take("translation_outage", gpu=hardware):
            raise Problem(400, TRANSLATION, code="GRAPHQL_VALIDATION_FAILED")
        request = self._swapped(request)
        volume_dc = self._check_references(request)
        no_capacity = self.cloud.faults.take("no_capacity", gpu=request.gpu or request.cpu)
        placement = place(request, used_units(self.cloud.state.pods.values()), volume_dc)
        rate = self._rate(request, placement)
        self._check_balance(request, rate)
        if no_capacity is not None:
            raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")
        return self._record(request, placement, rate)

    def _swapped(self, request: PodRequest) -> PodRequest:
        """The request, changed by the fault that delivers other hardware."""
        fault = self.cloud.faults.take("wrong_gpu", gpu=request.gpu)
        if fault is None or not isinstance(fault.value, dict):
            return request
        count = int(fault.value.get("count", request.gpu_count))
        return replace(request, gpu=fault.value.get("id", request.gpu), gpu_count=count)

    def _check_references(self, request: PodRequest) -> str | None:
        """The data center of the network volume, if any; 400 for an unknown registry or volume."""
        state = self.cloud.state
        if request.registry is not None and request.registry not in state.registries:
            raise Problem(400, f"container registry auth {request.registry} not found")
        if request.network_volume is None:
            return None
        volume = state.volumes.get(request.network_volume)
        if volume is None:
            raise Problem(400, f"network volume {request.network_volume} not found")
        return volume.data_center

    def _rate(self, request: PodRequest, placement: Placement) -> float:
        fault = self.cloud.faults.take("price_differs", gpu=request.gpu or request.cpu)
        factor = float(fault.value) if fault is not None else 1.0
        return placement.usd_per_hour * factor

    def _check_balance(self, request: PodRequest, rate: float) -> None:
        """402 for less than one hour of credit."""
        storage = billing.storage_rate(
            request.disk_gb + request.volume_gb, billing.DISK_USD_PER_GB_MONTH
        )
        if self.cloud.balance() < rate + storage:
            raise Problem(402, LOW_BALANCE, code="INSUFFICIENT_BALANCE")

    def _record(self, request: PodRequest, placement: Placement, rate: float) -> Pod:
        now = self.cloud.now()
        return Pod(
            id=new_id(14),
            name=request.name,
            image=request.image,
            args=request.args,
            entrypoint=list(request.entrypoint),
            cmd=list(request.cmd),
            disk_gb=request.disk_gb,
            volume_gb=request.volume_gb,
            mount_path=request.mount_path,
            network_volume=request.network_volume,
            ports=list(request.ports),
            env=self._environment(request),
            registry=request.registry,
            cloud=placement.cloud,
            gpu=request.gpu,
            gpu_count=request.gpu_count if request.gpu else 0,
            cpu=request.cpu,
            vcpu_count=placement.vcpu_count,
            memory_gb=placement.memory_gb,
            data_center=placement.data_center,
            cuda=placement.cuda,
            usd_per_hour=rate,
            key=f"rpa_pod_{secrets.token_hex(20)}",
            machine=new_id(12),
            proxy_suffix=secrets.token_hex(4),
            created_at=now,
            interruptible=request.interruptible,
            global_networking=request.global_networking,
            last_change=f"Rented by User: {status_date(now)}",
            hidden_until=self._hidden_until(request),
        )

    def _hidden_until(self, request: PodRequest) -> float:
        fault = self.cloud.faults.take("unlisted", gpu=request.gpu or request.cpu)
        return 0.0 if fault is None else NEVER

    def _environment(self, request: PodRequest) -> dict[str, str]:
        env = dict(request.env)
        keys = self.cloud.state.ssh_keys
        if request.start_ssh and keys:
            env.setdefault("PUBLIC_KEY", "\n".join(keys))
        if request.start_jupyter:
            env.setdefault("JUPYTER_PASSWORD", secrets.token_hex(10))
        return env


def status_date(moment: float) -> str:
    """Unix seconds in the format of `lastStatusChange`."""
    return time.strftime("%a %b %d %Y %H:%M:%S GMT+0000", time.gmtime(moment))
