"""What one life of a pod's container needs, and what can go wrong making it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from controller.errors import PodctlError

MODES = ("namespace", "userns", "process", "auto")


class ContainerError(PodctlError):
    """This machine could not make the container."""


@dataclass(frozen=True)
class ContainerSpec:
    """One life of a container. Nothing outside `root` and `volume_path` is written."""

    pod_id: str
    root: Path  # the pod's folder; everything but the volume lives below it
    image: str
    args: str  # the container command; empty means the image's own, /start.sh
    env: dict[str, str] = field(repr=False)  # of the first process, in full; it holds keys
    disk_gb: int  # told, not enforced
    volume_path: Path | None  # on the host; survives stop
    mount_path: str  # where the volume is in the pod
    ssh_port: int | None  # on 127.0.0.1: the public mapping of 22; None: not exposed
    mode: str = "auto"  # one of MODES
    starts_ssh: bool = True  # the image's start script brings sshd up
    ssh_server: str = "auto"  # openssh | embedded | auto

    @property
    def disk(self) -> Path:
        """The container disk: made anew at every start."""
        return self.root / "disk"

    @property
    def log_path(self) -> Path:
        """The container's output, `<unix ns> <line>`, over all of its lives."""
        return self.root / "container.log"

    @property
    def prefix(self) -> str:
        """What stands before the pod's paths where it has no file system of its own."""
        return str(self.disk) if self.mode == "process" else ""

    def check(self) -> None:
        """ContainerError for what would lead out of the pod's folder or mean nothing."""
        parts = self.mount_path.split("/")
        if not self.mount_path.startswith("/") or ".." in parts or not any(parts):
            raise ContainerError(f"mount path {self.mount_path!r} is not a folder of the pod")
        if self.mode not in MODES:
            raise ContainerError(f"container mode {self.mode!r} is none of {', '.join(MODES)}")
