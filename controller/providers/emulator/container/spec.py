"""The specification of a pod's container, and the error of starting it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from controller.errors import PodctlError

MODES = ("namespace", "userns", "process", "auto")


class ContainerError(PodctlError):
    """The container could not be started on this machine."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container. Nothing outside `root` and `volume_path` is written."""

    pod_id: str
    root: Path  # the pod's folder; holds everything but the volume
    image: str
    args: str  # the container command; empty means the image's own, /start.sh
    env: dict[str, str] = field(repr=False)  # of the first process, in full; it holds keys
    disk_gb: int  # reported, not enforced
    volume_path: Path | None  # on the host; survives stop
    mount_path: str  # of the volume in the pod
    ssh_port: int | None  # on 127.0.0.1: the public mapping of 22; None: not exposed
    mode: str = "auto"  # one of MODES
    starts_ssh: bool = True  # the image's start script starts sshd
    ssh_server: str = "auto"  # openssh | embedded | auto

    @property
    def disk(self) -> Path:
        """The container disk, recreated at every start."""
        return self.root / "disk"

    @property
    def log_path(self) -> Path:
        """The container's output, `<unix ns> <line>`, across restarts."""
        return self.root / "container.log"

    @property
    def prefix(self) -> str:
        """Prefix of the pod's paths if it has no file system of its own."""
        return str(self.disk) if self.mode == "process" else ""

    def check(self) -> None:
        """Raises ContainerError for invalid values and paths outside the pod's folder."""
        parts = self.mount_path.split("/")
        if not self.mount_path.startswith("/") or ".." in parts or not any(parts):
            raise ContainerError(f"mount path {self.mount_path!r} is not a folder of the pod")
        if self.mode not in MODES:
            raise ContainerError(f"container mode {self.mode!r} is none of {', '.join(MODES)}")
