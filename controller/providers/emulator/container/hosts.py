"""Hosts the pods on this machine: folders, ports, threads and containers."""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import threading
from collections.abc import Callable

from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.container import boot_error
from controller.providers.emulator.container import pod_logs as logs
from controller.providers.emulator.container.container import Container, ContainerSpec
from controller.providers.emulator.container.lifecycle import PodLifecycle
from controller.providers.emulator.container.ports import HOST, free_port
from controller.providers.emulator.records import Pod

_SECRET = re.compile(r"\{\{\s*RUNPOD_SECRET_(\w+)\s*\}\}")


class PodHost:
    """Starts and ends the lifecycles of pods, and receives their reports."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lifecycles: dict[str, threading.Thread] = {}

    def begin(self, pod: Pod) -> None:
        """Start a new lifecycle with new public ports, after the old one has ended."""
        cloud, now = self._cloud, self._cloud.now()
        facts = _facts(pod)
        slow = cloud.faults.take("slow_boot", **facts)
        pod.life += 1
        pod.status = "PROVISIONING"
        pod.started_at = None
        pod.boot_at = now
        pod.boot_until = now + cloud.settings.boot_seconds
        if slow is not None:
            pod.boot_until += float(slow.value or 0)
        pod.pid = None
        pod.no_sshd = cloud.faults.take("no_sshd", **facts) is not None
        fault = cloud.faults.take("boot_error", **facts)
        pod.boot_error = boot_error.line(fault.value, pod.image) if fault is not None else ""
        self._assign_ports(pod)
        self._log(pod, f"create container {pod.image}")
        if not pod.boot_error:
            digest = hashlib.sha256(
                pod.image.encode()
            ).hexdigest()  # the emulator has only the image's name
            self._log(pod, f"Digest: sha256:{digest}")
            self._log(pod, f"Status: Image is up to date for {pod.image}")
        self._run(pod)

    def _assign_ports(self, pod: Pod) -> None:
        busy = {port for rented in self._cloud.state.pods.values() for port in
                (*rented.public_ports.values(), *rented.reported_ports.values())}  # fmt: skip
        before = pod.public_ports
        ports: dict[str, int] = {}
        for entry in pod.ports:
            private = entry.split("/")[0]
            ports[private] = free_port(busy)
            busy.add(ports[private])
        pod.public_ports = pod.reported_ports = ports
        fault = self._cloud.faults.take("stale_ports", **_facts(pod)) if before else None
        if fault is not None:
            pod.reported_ports = before
            pod.stale_until = 1e12 if fault.value is None else pod.boot_until + float(fault.value)
        else:
            pod.stale_until = 0.0
        if self._cloud.faults.take("dead_port", **_facts(pod)) is not None:
            pod.reported_ports = {private: free_port(busy) for private in ports}
            pod.stale_until = 1e12

    def _run(self, pod: Pod, *, attach: bool = False) -> None:
        lifecycle = PodLifecycle(
            self,
            pod,
            after=self._lifecycles.get(pod.id),
            restart_seconds=self._cloud.settings.restart_seconds,
            attach=attach,
        )
        self._lifecycles[pod.id] = lifecycle
        lifecycle.start()

    def end(
        self, pod: Pod, term_seconds: float, callback: Callable[[], None] | None = None
    ) -> None:
        """End the current lifecycle; `then` runs once its container has ended."""
        number = pod.life

        def on_ended() -> None:
            with self._cloud.lock:
                if pod.life == number:
                    pod.pid = None
            if callback is not None:
                callback()

        lifecycle = self._lifecycles.get(pod.id)
        if isinstance(lifecycle, PodLifecycle) and lifecycle.is_alive():
            lifecycle.stop(term_seconds, on_ended)
        else:
            on_ended()

    def erase(self, pod: Pod) -> None:
        """End the pod and delete its files except its network volume."""
        self.end(pod, 0.0, lambda: shutil.rmtree(self._cloud.pod_folder(pod.id), True))

    def lose_volume(self, pod: Pod) -> None:
        folder = self._cloud.volume_folder(pod)
        if folder is not None and not pod.network_volume:
            shutil.rmtree(folder, ignore_errors=True)

    def crash(self, pod: Pod) -> None:
        """Kill the container only; it restarts in its loop."""
        lifecycle = self._lifecycles.get(pod.id)
        if isinstance(lifecycle, PodLifecycle):
            lifecycle.crash()

    def resume(self) -> None:
        """After a restart of the emulator, attach to or start every active pod."""
        with self._cloud.lock:
            for pod in self._cloud.state.pods.values():
                if pod.active:
                    self._run(pod, attach=pod.pid is not None)
                elif pod.pid is not None:
                    self._finish(pod, pod.pid)
            self._cloud.save()

    def _finish(self, pod: Pod, pid: int) -> None:
        """Kill a container that the previous emulator process left running."""
        container = Container.attach(self.spec(pod), pid)
        if container is not None:
            container.kill()
        pod.pid = None
        if pod.status == "TERMINATED":
            shutil.rmtree(self._cloud.pod_folder(pod.id), ignore_errors=True)

    def close(self, *, leave: bool) -> None:
        """End every thread; containers are killed unless `leave`."""
        lifecycles = [
            lifecycle
            for lifecycle in self._lifecycles.values()
            if isinstance(lifecycle, PodLifecycle)
        ]
        for lifecycle in lifecycles:
            if leave:
                lifecycle.leave()
            else:
                lifecycle.stop(0.0)
        for lifecycle in lifecycles:
            lifecycle.join(10.0)
        self._lifecycles.clear()

    # Called by lifecycles. `life` distinguishes late reports of an earlier one from the current.

    def starting(self, pod: Pod, life: int) -> None:
        with self._cloud.lock:
            if pod.life == life and pod.status == "PROVISIONING":
                pod.status = "STARTING"
                self._cloud.save()
        self._log(pod, f"start container for {pod.image}: begin")

    def started(self, pod: Pod, life: int, pid: int) -> None:
        with self._cloud.lock:
            if pod.life != life:
                return
            pod.pid = pid
            if pod.status in ("PROVISIONING", "STARTING"):
                self._run_from(pod, self._cloud.now())
            self._cloud.save()
        self._log(pod, "start container: done")

    def _run_from(self, pod: Pod, now: float) -> None:
        failing = self._cloud.faults.take("error_status", **_facts(pod))
        pod.status = "ERROR" if failing else "RUNNING"
        pod.started_at = now
        fault = self._cloud.faults.take("no_runtime", **_facts(pod))
        seconds = self._cloud.settings.runtime_seconds
        if fault is not None:
            seconds = 1e12 if fault.value is None else float(fault.value)
        pod.no_runtime_until = now + seconds

    def boot_error(self, pod: Pod) -> str:
        """Why the container cannot be started, logged at every attempt; empty if it can."""
        if pod.boot_error:
            self._log(pod, pod.boot_error)
        return pod.boot_error

    def restarting(self, pod: Pod) -> None:
        self._log(pod, "container ended; starting it again")

    def broken(self, pod: Pod, life: int, reason: str) -> None:
        with self._cloud.lock:
            if pod.life == life and pod.active:
                pod.status = "ERROR"
                self._cloud.save()
        self._log(pod, f"error: {reason}")

    def lost(self, pod: Pod) -> None:
        """The container ended while no emulator ran: treated as a reboot of the host."""
        with self._cloud.lock:
            pod.status, pod.started_at, pod.pid = "PROVISIONING", None, None
            pod.boot_at = self._cloud.now()
            pod.boot_until = pod.boot_at + self._cloud.settings.boot_seconds
            self._assign_ports(pod)
            self._cloud.save()
        self._log(pod, "host rebooted")

    def spec(self, pod: Pod) -> ContainerSpec:
        root = self._cloud.pod_folder(pod.id)
        volume = self._cloud.volume_folder(pod)
        for folder in (root, volume):
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        ssh = pod.public_ports.get("22") if "22/tcp" in pod.ports else None
        return ContainerSpec(
            pod_id=pod.id,
            root=root,
            image=pod.image,
            args=shlex.join([*pod.entrypoint, *pod.cmd]) or pod.args,
            env={**self._revealed(pod.env), **injected(pod)},
            disk_gb=pod.disk_gb,
            volume_path=volume,
            mount_path=pod.mount_path or "/workspace",
            ssh_port=None if pod.no_sshd else ssh,
            starts_ssh=not pod.no_sshd,
            mode=self._cloud.settings.mode,
        )

    def _revealed(self, env: dict[str, str]) -> dict[str, str]:
        """`env` with the account's secrets in place of their references; unknown ones stay."""
        secrets = {secret.name: secret.value for secret in self._cloud.state.secrets.values()}
        return {
            key: _SECRET.sub(lambda match: secrets.get(match[1], match[0]), value)
            for key, value in env.items()
        }

    def _log(self, pod: Pod, line: str) -> None:
        logs.write_system(self._cloud.pod_folder(pod.id), line)


def injected(pod: Pod) -> dict[str, str]:
    """The variables that the provider sets for the first process, overriding the user's."""
    env = {
        "RUNPOD_POD_ID": pod.id,
        "RUNPOD_API_KEY": pod.key,
        "RUNPOD_DC_ID": pod.data_center,
        "RUNPOD_POD_HOSTNAME": f"{pod.id}-{pod.proxy_suffix}",
        "RUNPOD_GPU_COUNT": str(pod.gpu_count),
        "RUNPOD_CPU_COUNT": str(pod.vcpu_count),
        "RUNPOD_MEM_GB": str(pod.memory_gb),
        "RUNPOD_PUBLIC_IP": HOST,
    }
    if pod.gpu:
        env["RUNPOD_GPU_NAME"] = pod.gpu
    if pod.network_volume:
        env["RUNPOD_VOLUME_ID"] = pod.network_volume
    for entry in pod.ports:
        private, protocol = entry.split("/")
        if protocol == "tcp":
            env[f"RUNPOD_TCP_PORT_{private}"] = str(pod.public_ports[private])
    return env


def _facts(pod: Pod) -> dict[str, str | tuple[str, ...] | None]:
    return {"gpu": pod.gpu or pod.cpu, "pod": (pod.id, pod.name)}
