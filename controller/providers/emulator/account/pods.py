"""The pods of the account: create, read, change, start, stop, terminate."""

from __future__ import annotations

import copy
from collections.abc import Callable

from controller.providers.emulator.account.placement import free, used_units
from controller.providers.emulator.account.pod_creation import NEVER, PodCreation, status_date
from controller.providers.emulator.account.pod_request import PodRequest
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.container.hosts import PodHost
from controller.providers.emulator.errors import LOW_BALANCE, NO_FREE_GPU, Problem, not_found
from controller.providers.emulator.records import ACTIONS, Pod

FOREVER = float("inf")


class Pods:
    """Operations on pods. Every method takes the cloud's lock and may raise `Problem`."""

    def __init__(self, cloud: Cloud, pod_host: PodHost) -> None:
        self.cloud = cloud
        self.pod_host = pod_host

    def create(self, request: PodRequest) -> Pod:
        with self.cloud.lock:
            pod = PodCreation(self.cloud).create(request)
            self.cloud.state.pods[pod.id] = pod
            self._begin(pod, pod.created_at)
            return pod

    def _begin(self, pod: Pod, since: float | None = None) -> None:
        """Boot the pod and bill the running rates from now on or `since` (Unix seconds)."""
        now = self.cloud.now() if since is None else since
        self.pod_host.begin(pod)
        self.cloud.meter.pod(pod, now)
        self.cloud.save()

    def get(self, pod_id: str) -> Pod:
        with self.cloud.lock:
            pod = self.cloud.state.pods.get(pod_id)
            if pod is None or pod.status == "TERMINATED":
                raise not_found("pod")
            return pod

    def visible(self, pod_id: str) -> Pod:
        """`get`, unless a fault hides the pod."""
        pod = self.get(pod_id)
        hidden = pod.hidden_until > self.cloud.now()
        if hidden or self.cloud.faults.take("get_hides", pod=(pod.id, pod.name)):
            raise not_found("pod")
        return pod

    def listed(self) -> list[Pod]:
        """The listing of pods, newest first, changed by the faults of listings."""
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
        pods = self._without_hidden(pods)
        return sorted(pods, key=lambda pod: (-pod.created_at, pod.id))

    def _without_hidden(self, pods: list[Pod]) -> list[Pod]:
        """The pods that no fault hides; a listing counts once, however many pods it hides."""
        faults = self.cloud.faults
        hidden = [pod for pod in pods if faults.peek("list_hides", pod=(pod.id, pod.name))]
        if hidden and faults.take("list_hides", pod=(hidden[0].id, hidden[0].name)):
            return [pod for pod in pods if pod not in hidden]
        return pods

    def act(self, pod_id: str, action: str) -> Pod:
        """Start, stop, restart or terminate; 409 if the pod's status does not allow it."""
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
        """Apply `change`, and restart an active pod if it returns true."""
        before = copy.deepcopy(pod)
        restart_needed = change()
        if restart_needed and pod.active and before.locked:
            vars(pod).update(vars(before))
            raise Problem(409, "pod is locked")
        self.cloud.meter.pod(pod, self.cloud.now())
        if restart_needed and pod.active:
            self.restart(pod)
        self.cloud.save()

    def start(self, pod: Pod) -> None:
        facts = {"gpu": pod.gpu or pod.cpu, "pod": (pod.id, pod.name)}
        fault = self.cloud.faults.take("no_gpu_on_start", **facts)
        units = pod.gpu_count if pod.gpu else pod.vcpu_count
        if not pod.active:
            units_left = free(pod.gpu or pod.cpu or "", used_units(self.cloud.state.pods.values()))
            if fault is not None or units_left < units:
                raise Problem(400, NO_FREE_GPU)
        if self.cloud.balance() < pod.usd_per_hour:
            raise Problem(402, LOW_BALANCE, code="INSUFFICIENT_BALANCE")
        if pod.active:
            self.pod_host.end(pod, 0.0)  # a pod in ERROR still has a lifecycle
        pod.last_change = f"Resumed by user: {status_date(self.cloud.now())}"
        self._begin(pod)

    def restart(self, pod: Pod) -> None:
        self.pod_host.end(pod, 0.0)
        self._begin(pod)

    def stop(self, pod: Pod, reason: str = "Exited by user") -> None:
        """Set EXITED at once: the GPU is free and compute stops billing."""
        self._exit(pod, reason)
        self.pod_host.end(pod, self.cloud.settings.stop_seconds)

    def _exit(self, pod: Pod, reason: str) -> None:
        now = self.cloud.now()
        pod.status = "EXITED"
        pod.ended_at = now
        pod.last_change = f"{reason}: {status_date(now)}"
        self.cloud.meter.pod(pod, now)
        self.cloud.save()

    def terminate(self, pod: Pod, reason: str = "Terminated by user") -> None:
        """Terminate a pod with its disk and volume; a network volume stays."""
        now = self.cloud.now()
        facts = {"gpu": pod.gpu or pod.cpu, "pod": (pod.id, pod.name)}
        if self.cloud.faults.take("delete_ignored", **facts):
            return
        if hide := self.cloud.faults.take("delete_missing", **facts):
            pod.hidden_until = now + float(hide.value or 0)
            raise not_found("pod")
        keep_listed = self.cloud.faults.take("delete_still_listed", **facts)
        if keep_listed is not None:
            pod.ghost_status = pod.status
            pod.listed_until = (
                NEVER if keep_listed.value is None else now + float(keep_listed.value)
            )
        pod.status = "TERMINATED"
        pod.terminated_at = now
        pod.last_change = f"{reason}: {status_date(now)}"
        self.cloud.meter.pod(pod, now)
        self.cloud.save()
        self.pod_host.erase(pod)

    def evict(self, pod_id: str) -> None:
        """Evict a pod from its host: SIGTERM, five seconds, SIGKILL, EXITED."""
        with self.cloud.lock:
            pod = self.get(pod_id)

        def on_ended() -> None:
            with self.cloud.lock:
                if pod.active:
                    self._exit(pod, "Outbid")

        self.pod_host.end(pod, self.cloud.settings.evict_seconds, on_ended)

    def die(self, pod_id: str, *, lost_volume: bool = False, status: str = "EXITED") -> None:
        """Simulate the failure of the host: SIGKILL, then EXITED, ERROR or TERMINATED."""
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
            self.pod_host.end(
                pod, 0.0, (lambda: self.pod_host.lose_volume(pod)) if lost_volume else None
            )

    def reboot(self, pod_id: str) -> None:
        """Simulate a reboot of the host: the container restarts on a new port."""
        with self.cloud.lock:
            self.restart(self.get(pod_id))

    def reset(self) -> None:
        """Replace everything by an empty account without faults."""
        self.cloud.faults.clear()
        self.pod_host.close(leave=False)
        self.cloud.reset()

    def close(self, *, leave: bool) -> None:
        """End the emulator; pods are stopped so that nothing bills, or left running."""
        with self.cloud.lock:
            for pod in list(self.cloud.state.pods.values()):
                if pod.active and not leave:
                    self._exit(pod, "Exited by Runpod")
        self.pod_host.close(leave=leave)
