"""One life of an emulated pod's container: real processes on this machine.

Three ways, best first. "namespace" (root): PID, mount, UTS and IPC namespaces of its own, so that
/workspace and /start.sh are where the image has them. "userns": the same without root, in a user
namespace. "process": a plain process tree; PODCTL_EMULATED_ROOT stands before the pod's paths.
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
    """A running container, by the process above it. That process outlives the emulator."""

    def __init__(
        self, spec: ContainerSpec, pid: int, popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.spec = spec
        self.pid = pid
        self.log_path = spec.log_path
        self._identity = processes.identity(pid)
        self._popen = popen  # ours to reap; None when attached

    @classmethod
    def start(cls, spec: ContainerSpec) -> Container:
        """Wipe the container disk and start the first process. ContainerError when impossible.

        The previous life, if any, must be over.
        """
        spec.check()
        mode = default_mode() if spec.mode == "auto" else spec.mode
        spec = dataclasses.replace(spec, mode=mode, root=spec.root.absolute())
        _sweep(spec)  # a life whose supervisor was killed
        launch.write_disk(spec)
        popen = launch.launch(spec)
        container = cls(spec, popen.pid, popen)
        container._write_record()
        return container

    @classmethod
    def attach(cls, spec: ContainerSpec, pid: int) -> Container | None:
        """The life started earlier as `pid`; None when it is over, or `pid` is another's now."""
        try:
            record = json.loads(_record_path(spec).read_text())
            spec = dataclasses.replace(spec, mode=str(record["mode"]), root=spec.root.absolute())
            known = record["pid"] == pid and record["identity"] == processes.identity(pid)
        except (OSError, ValueError, KeyError):
            return None
        return cls(spec, pid) if known else None

    def running(self) -> bool:
        """Whether the first process lives."""
        if self._popen is not None:
            return self._popen.poll() is None
        return self._identity is not None and processes.identity(self.pid) == self._identity

    def wait(self, seconds: float) -> bool:
        """Wait until the life is over; False when it is not within `seconds`."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while self.running():
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
        return True

    def stop(self, term_seconds: float) -> None:
        """SIGTERM to the first process, then the end for whatever is left after `term_seconds`.

        As with any container, a first process that set no handler does not notice SIGTERM.
        """
        self._signal(signal.SIGTERM)
        self.wait(term_seconds)
        self.kill()

    def kill(self) -> None:
        """End every process of the pod, now. Returns when they are gone."""
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
        """What `attach` compares: this process, and not only its number."""
        path = _record_path(self.spec)
        beside = path.with_suffix(".tmp")
        with open(beside, "w") as file:
            record = {"pid": self.pid, "identity": self._identity, "mode": self.spec.mode}
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)


def _record_path(spec: ContainerSpec) -> Path:
    return spec.root / "container.json"


def _sweep(spec: ContainerSpec) -> None:
    """End what a life without namespaces left behind when its supervisor was killed."""
    if spec.mode == "process":
        processes.sweep(launch.MARKER, spec.pod_id, _last_session(spec))


def _last_session(spec: ContainerSpec) -> int | None:
    """The session of the last life, unless its number is another process's by now."""
    try:
        record = json.loads(_record_path(spec).read_text())
        pid, known = int(record["pid"]), str(record["identity"])
    except (OSError, ValueError, KeyError):
        return None
    current = processes.identity(pid)
    return pid if processes.same_boot(known) and current in (None, known) else None


def default_mode() -> str:
    """The best mode that works on this machine, found by trying."""
    return available_modes()[0]


@functools.cache
def available_modes() -> tuple[str, ...]:
    """Every mode that works here, best first."""
    candidates = ("namespace", "userns") if os.geteuid() == 0 else ("userns",)
    return (*filter(_works, candidates), "process")


def ssh_user(mode: str) -> str:
    """Who logs in: root as on the real image, unless the host's own accounts have to serve."""
    return sshd.user(default_mode() if mode == "auto" else mode)


def _works(mode: str) -> bool:
    """Whether a pod that runs `true` can be made this way."""
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
        over = probe.wait(_PROBE_SECONDS)
        probe.kill()
        return over and probe._popen is not None and probe._popen.returncode == 0
