"""The pods of the account: rent, look, change, stop, start, end."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from controller.providers.emulator.account.placement import Placement, free, place, taken
from controller.providers.emulator.account.pod_request import Draft
from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.container.hosts import Yard
from controller.providers.emulator.errors import (
    LOW_BALANCE,
    NO_CAPACITY,
    NO_FREE_GPU,
    TRANSLATION,
    Problem,
    not_found,
)
from controller.providers.emulator.records import ACTIONS, Pod, new_id

FOREVER = float("inf")
NEVER = 1e12  # a moment that no clock reaches; JSON has no infinity


class Pods:
    """Every method takes the cloud's lock itself and raises `Problem` for a refusal."""

    def __init__(self, cloud: Cloud, yard: Yard) -> None:
        self.cloud = cloud
        self.yard = yard

    def create(self, draft: Draft) -> Pod:
        with self.cloud.lock:
            if self.cloud.faults.take("translation_outage", gpu=draft.gpu or draft.cpu):
                raise Problem(400, TRANSLATION, code="GRAPHQL_VALIDATION_FAILED")
            draft = self._swapped(draft)
            volume_dc = self._check_references(draft)
            fault = self.cloud.faults.take("no_capacity", gpu=draft.gpu or draft.cpu)
            place_ = place(draft, taken(self.cloud.state.pods.values()), volume_dc)
            rate = self._rate(draft, place_)
            self._check_balance(draft, rate)
            if fault is not None:
                raise Problem(400, NO_CAPACITY, code="SUPPLY_CONSTRAINT")
            pod = self._record(draft, place_, rate)
            self.cloud.state.pods[pod.id] = pod
            self._begin(pod, pod.created_at)
            return pod

    def _swapped(self, draft: Draft) -> Draft:
        """`draft`, subject to the fault that delivers other hardware."""
        fault = self.cloud.faults.take("wrong_gpu", gpu=draft.gpu)
        if fault is None or not isinstance(fault.value, dict):
            return draft
        count = int(fault.value.get("count", draft.gpu_count))
        return replace(draft, gpu=fault.value.get("id", draft.gpu), gpu_count=count)

    def _check_references(self, draft: Draft) -> str | None:
        """400 for an unknown registry or volume; the volume's data centre otherwise."""
        state = self.cloud.state
        if draft.registry is not None and draft.registry not in state.registries:
            raise Problem(400, f"container registry auth {draft.registry} not found")
        if draft.network_volume is None:
            return None
        volume = state.volumes.get(draft.network_volume)
        if volume is None:
            raise Problem(400, f"network volume {draft.network_volume} not found")
        return volume.data_center

    def _rate(self, draft: Draft, place_: Placement) -> float:
        fault = self.cloud.faults.take("price_differs", gpu=draft.gpu or draft.cpu)
        factor = float(fault.value) if fault is not None else 1.0
        return place_.usd_per_hour * factor

    def _check_balance(self, draft: Draft, rate: float) -> None:
        """Renting takes at least one hour of credit."""
        storage = billing.storage_rate(
            draft.disk_gb + draft.volume_gb, billing.DISK_USD_PER_GB_MONTH
        )
        if self.cloud.balance() < rate + storage:
            raise Problem(402, LOW_BALANCE, code="INSUFFICIENT_BALANCE")

    def _record(self, draft: Draft, place_: Placement, rate: float) -> Pod:
        now = self.cloud.now()
        return Pod(
            id=new_id(14),
            name=draft.name,
            image=draft.image,
            args=draft.args,
            entrypoint=list(draft.entrypoint),
            cmd=list(draft.cmd),
            disk_gb=draft.disk_gb,
            volume_gb=draft.volume_gb,
            mount_path=draft.mount_path,
            network_volume=draft.network_volume,
            ports=list(draft.ports),
            env=self._environment(draft),
            registry=draft.registry,
            cloud=place_.cloud,
            gpu=draft.gpu,
            gpu_count=draft.gpu_count if draft.gpu else 0,
            cpu=draft.cpu,
            vcpu_count=place_.vcpu_count,
            memory_gb=place_.memory_gb,
            data_center=place_.data_center,
            cuda=place_.cuda,
            usd_per_hour=rate,
            key=f"rpa_pod_{secrets.token_hex(20)}",
            machine=new_id(12),
            proxy_suffix=secrets.token_hex(4),
            created_at=now,
            interruptible=draft.interruptible,
            global_networking=draft.global_networking,
            last_change=f"Rented by User: {_date(now)}",
            hidden_until=self._hidden(draft),
        )

    def _hidden(self, draft: Draft) -> float:
        fault = self.cloud.faults.take("unlisted", gpu=draft.gpu or draft.cpu)
        return 0.0 if fault is None else NEVER

    def _environment(self, draft: Draft) -> dict[str, str]:
        env = dict(draft.env)
        keys = self.cloud.state.ssh_keys
        if draft.start_ssh and keys:
            env.setdefault("PUBLIC_KEY", "\n".join(keys))
        if draft.start_jupyter:
            env.setdefault("JUPYTER_PASSWORD", secrets.token_hex(10))
        return env

    def _begin(self, pod: Pod, since: float | None = None) -> None:
        """A new life: boot, and pay the running rates, from now on or `since`."""
        now = self.cloud.now() if since is None else since
        self.yard.begin(pod)
        self.cloud.meter.pod(pod, now)
        self.cloud.save()

    def get(self, pod_id: str) -> Pod:
        with self.cloud.lock:
            pod = self.cloud.state.pods.get(pod_id)
            if pod is None or pod.status == "TERMINATED":
                raise not_found("pod")
            return pod

    def visible(self, pod_id: str) -> Pod:
        """`get`, subject to the fault that hides a pod."""
        pod = self.get(pod_id)
        hidden = pod.hidden_until > self.cloud.now()
        if hidden or self.cloud.faults.take("get_hides", pod=(pod.id, pod.name)):
            raise not_found("pod")
        return pod

    def listed(self) -> list[Pod]:
        """Newest first, subject to the faults that make a list lie."""
        now = self.cloud.now()
        with self.cloud.lock:
            pods = [
                pod
                for pod in self.cloud.state.pods.values()
                if pod.status != "TERMINATED" or pod.listed_until > now
                if pod.hidden_until <= now
            ]
        lag = self.cloud.faults.take("list_lag")
        young = now - float(lag.value or 0) if lag is not None else FOREVER
        pods = [pod for pod in pods if pod.created_at <= young]
        pods = self._unhidden(pods)
        return sorted(pods, key=lambda pod: (-pod.created_at, pod.id))

    def _unhidden(self, pods: list[Pod]) -> list[Pod]:
        """One listing counts once, however many pods it hides."""
        faults = self.cloud.faults
        hidden = [pod for pod in pods if faults.peek("list_hides", pod=(pod.id, pod.name))]
        if hidden and faults.take("list_hides", pod=(hidden[0].id, hidden[0].name)):
            return [pod for pod in pods if pod not in hidden]
        return pods

    def act(self, pod_id: str, action: str) -> Pod:
        """start, stop, restart or terminate; 409 when the pod's status does not allow it."""
        with self.cloud.lock:
            pod = self.get(pod_id)
            if action not in ACTIONS[pod.status]:
                raise Problem(
                    409, f"action '{action}' is not valid for a pod in status {pod.status}"
                )
            if pod.locked and action in ("stop", "restart"):
                raise Problem(409, "pod is locked")
            {
                "start": self.start,
                "stop": self.stop,
                "restart": self.restart,
                "terminate": self.terminate,
            }[action](pod)
            return pod

    def edited(self, pod: Pod, change: Callable[[], bool]) -> None:
        """Apply `change`; a running pod whose container changed starts it anew."""
        before = copy.deepcopy(pod)
        anew = change()
        if anew and pod.active and before.locked:
            vars(pod).update(vars(before))
            raise Problem(409, "pod is locked")
        self.cloud.meter.pod(pod, self.cloud.now())
        if anew and pod.active:
            self.restart(pod)
        self.cloud.save()

    def start(self, pod: Pod) -> None:
        facts = {"gpu": pod.gpu or pod.cpu, "pod": (pod.id, pod.name)}
        fault = self.cloud.faults.take("no_gpu_on_start", **facts)
        units = pod.gpu_count if pod.gpu else pod.vcpu_count
        if not pod.active:
            left = free(pod.gpu or pod.cpu or "", taken(self.cloud.state.pods.values()))
            if fault is not None or left < units:
                raise Problem(400, NO_FREE_GPU)
        if self.cloud.balance() < pod.usd_per_hour:
            raise Problem(402, LOW_BALANCE, code="INSUFFICIENT_BALANCE")
        if pod.active:
            self.yard.end(pod, 0.0)  # a container in ERROR still has its life
        pod.last_change = f"Resumed by user: {_date(self.cloud.now())}"
        self._begin(pod)

    def restart(self, pod: Pod) -> None:
        self.yard.end(pod, 0.0)
        self._begin(pod)

    def stop(self, pod: Pod, why: str = "Exited by user") -> None:
        """EXITED at once: the GPU is free and compute bills no more."""
        self._exit(pod, why)
        self.yard.end(pod, self.cloud.settings.stop_seconds)

    def _exit(self, pod: Pod, why: str) -> None:
        now = self.cloud.now()
        pod.status = "EXITED"
        pod.ended_at = now
        pod.last_change = f"{why}: {_date(now)}"
        self.cloud.meter.pod(pod, now)
        self.cloud.save()

    def terminate(self, pod: Pod, why: str = "Terminated by user") -> None:
        """Gone, with its disk and its volume; a network volume stays."""
        now = self.cloud.now()
        facts = {"gpu": pod.gpu or pod.cpu, "pod": (pod.id, pod.name)}
        if self.cloud.faults.take("delete_ignored", **facts):
            return
        if missing := self.cloud.faults.take("delete_missing", **facts):
            pod.hidden_until = now + float(missing.value or 0)
            raise not_found("pod")
        still = self.cloud.faults.take("delete_still_listed", **facts)
        if still is not None:
            pod.ghost_status = pod.status
            pod.listed_until = NEVER if still.value is None else now + float(still.value)
        pod.status = "TERMINATED"
        pod.terminated_at = now
        pod.last_change = f"{why}: {_date(now)}"
        self.cloud.meter.pod(pod, now)
        self.cloud.save()
        self.yard.erase(pod)

    def evict(self, pod_id: str) -> None:
        """The host takes the pod back: SIGTERM, five seconds, SIGKILL, EXITED."""
        with self.cloud.lock:
            pod = self.get(pod_id)

        def gone() -> None:
            with self.cloud.lock:
                if pod.active:
                    self._exit(pod, "Outbid")

        self.yard.end(pod, self.cloud.settings.evict_seconds, gone)

    def die(self, pod_id: str, *, lost_volume: bool = False, status: str = "EXITED") -> None:
        """The host dies: SIGKILL to everything, then EXITED, ERROR or TERMINATED."""
        with self.cloud.lock:
            pod = self.get(pod_id)
            if status == "TERMINATED":
                self.terminate(pod, "Terminated by Runpod")
                return
            self._exit(pod, "Exited by Runpod")
            if status == "ERROR":
                pod.status = "ERROR"
                self.cloud.meter.pod(pod, self.cloud.now())
                self.cloud.save()
            self.yard.end(pod, 0.0, (lambda: self.yard.lose_volume(pod)) if lost_volume else None)

    def reboot(self, pod_id: str) -> None:
        """The host reboots: the container is killed and starts again, on a new port."""
        with self.cloud.lock:
            self.restart(self.get(pod_id))

    def reset(self) -> None:
        """A new account: every pod gone, nothing owned, nothing owed, no faults."""
        self.cloud.faults.clear()
        self.yard.close(leave=False)
        self.cloud.reset()

    def close(self, *, leave: bool) -> None:
        """The cloud itself ends: pods are stopped, so that nothing bills, or left as they are."""
        with self.cloud.lock:
            for pod in list(self.cloud.state.pods.values()):
                if pod.active and not leave:
                    self._exit(pod, "Exited by Runpod")
        self.yard.close(leave=leave)


def _date(moment: float) -> str:
    return time.strftime("%a %b %d %Y %H:%M:%S GMT+0000", time.gmtime(moment))
