"""The container of an emulated pod: real processes on this machine.

Three modes, best first. "namespace" (root): PID, mount, UTS and IPC namespaces of its own, so that
/workspace and /start.sh are where the image has them. "userns": the same without root, in a user
namespace. "process": a plain process tree; PODCTL_EMULATED_ROOT is the prefix of the pod's paths.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from controller.providers.emulator.container import launch, processes, sshd
from controller.providers.emulator.container.spec import ContainerError, ContainerSpec

__all__ = [
    "Container",
    "ContainerError",
    "ContainerSpec",
    "available_modes",
    "default_mode",
    "ssh_user",
]

_KILL_SECONDS = 10.0
_PROBE_SECONDS = 10.0


class Container:
    """A running container, identified by its supervisor, which outlives the emulator."""

    def __init__(
        self, spec: ContainerSpec, pid: int, popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.spec = spec
        self.pid = pid
        self.log_path = spec.log_path
        self._identity = processes.identity(pid)
        self._popen = popen  # to be reaped; None when attached

    @classmethod
    def start(cls, spec: ContainerSpec) -> Container:
        """Wipe the container disk and start the first process. Raises ContainerError.

        The previous container of the pod must have ended.
        """
        spec.check()
        mode = default_mode() if spec.mode == "auto" else spec.mode
        spec = dataclasses.replace(spec, mode=mode, root=spec.root.absolute())
        _sweep(spec)  # a container whose supervisor was killed
        launch.write_disk(spec)
        popen = launch.launch(spec)
        container = cls(spec, popen.pid, popen)
        container._write_record()
        return container

    @classmethod
    def attach(cls, spec: ContainerSpec, pid: int) -> Container | None:
        """The container with supervisor `pid`; None if it has ended or the pid was reused."""
        try:
            record = json.loads(_record_path(spec).read_text())
            spec = dataclasses.replace(spec, mode=str(record["mode"]), root=spec.root.absolute())
            is_same_process = record["pid"] == pid and record["identity"] == processes.identity(pid)
        except (OSError, ValueError, KeyError):
            return None
        return cls(spec, pid) if is_same_process else None

    def running(self) -> bool:
        """Whether the first process runs."""
        if self._popen is not None:
            return self._popen.poll() is None
        return self._identity is not None and processes.identity(self.pid) == self._identity

    def wait(self, seconds: float) -> bool:
        """Wait until the container has ended; False if it has not within `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while self.running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return True

    def stop(self, term_seconds: float) -> None:
        """Send SIGTERM to the first process, and SIGKILL to all after `term_seconds`.

        As in any container, a first process without a handler ignores SIGTERM.
        """
        self._signal(signal.SIGTERM)
        self.wait(term_seconds)
        self.kill()

    def kill(self) -> None:
        """Kill every process of the pod. Returns when they have ended."""
        self._signal(signal.SIGUSR1)
        if not self.wait(_KILL_SECONDS):
            self._signal(signal.SIGKILL)
            self.wait(_KILL_SECONDS)
        _sweep(self.spec)

    def _signal(self, number: signal.Signals) -> None:
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _write_record(self) -> None:
        """Record the supervisor's pid and identity for `attach`."""
        path = _record_path(self.spec)
        temporary = path.with_suffix(".tmp")
        with open(temporary, "w") as file:
            record = {"pid": self.pid, "identity": self._identity, "mode": self.spec.mode}
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


def _record_path(spec: ContainerSpec) -> Path:
    return spec.root / "container.json"


def _sweep(spec: ContainerSpec) -> None:
    """Kill processes that a container without namespaces left when its supervisor was killed."""
    if spec.mode == "process":
        processes.sweep(launch.MARKER, spec.pod_id, _last_session(spec))


def _last_session(spec: ContainerSpec) -> int | None:
    """The session of the last container, unless its pid was reused."""
    try:
        record = json.loads(_record_path(spec).read_text())
        pid, known_identity = int(record["pid"]), str(record["identity"])
    except (OSError, ValueError, KeyError):
        return None
    current = processes.identity(pid)
    return (
        pid if processes.same_boot(known_identity) and current in (None, known_identity) else None
    )


def default_mode() -> str:
    """The best mode that works on this machine, by trying."""
    return available_modes()[0]


@functools.cache
def available_modes() -> tuple[str, ...]:
    """Every mode that works on this machine, best first."""
    candidates = ("namespace", "userns") if os.geteuid() == 0 else ("userns",)
    return (*filter(_works, candidates), "process")


def ssh_user(mode: str) -> str:
    """The SSH user: root as on the real image, or the current user without namespaces."""
    return sshd.user(default_mode() if mode == "auto" else mode)


def _works(mode: str) -> bool:
    """Whether a container that runs `true` starts in this mode."""
    if sys.platform != "linux":
        return False
    with tempfile.TemporaryDirectory(prefix="podctl-probe-") as folder:
        spec = ContainerSpec(
            pod_id="probe",
            root=Path(folder),
            image="",
            args="true",
            env={},
            disk_gb=1,
            volume_path=None,
            mount_path="/workspace",
            ssh_port=None,
            mode=mode,
        )
        try:
            probe = Container.start(spec)
        except ContainerError:
            return False
        ended = probe.wait(_PROBE_SECONDS)
        probe.kill()
        return ended and probe._popen is not None and probe._popen.returncode == 0
