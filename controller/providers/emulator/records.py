"""The emulator's records: plain dataclasses, saved as JSON."""

from __future__ import annotations

import dataclasses
import secrets
import string
from dataclasses import dataclass, field
from typing import Any

ACTIVE = ("PROVISIONING", "STARTING", "RUNNING", "ERROR")  # statuses in which compute bills
ACTIONS = {
    "PROVISIONING": ("stop", "terminate"),
    "STARTING": ("stop", "terminate"),
    "RUNNING": ("stop", "restart", "terminate"),
    "EXITED": ("start", "terminate"),
    "ERROR": ("start", "terminate"),
    "TERMINATED": (),
}
_ID = string.ascii_lowercase + string.digits


def new_id(length: int) -> str:
    return "".join(secrets.choice(_ID) for _ in range(length))


@dataclass
class Pod:
    """One rented pod; terminated pods are kept but not shown by the API."""

    id: str
    name: str
    image: str
    args: str
    entrypoint: list[str]
    cmd: list[str]
    disk_gb: int
    volume_gb: int  # 0: no host-local volume
    mount_path: str  # "" when nothing is mounted
    network_volume: str | None
    ports: list[str]
    env: dict[str, str]
    registry: str | None
    cloud: str
    gpu: str | None
    gpu_count: int
    cpu: str | None
    vcpu_count: int
    memory_gb: int  # of the host, for this pod
    data_center: str
    cuda: str | None
    usd_per_hour: float  # compute, for the complete pod
    key: str  # the pod-scoped API key
    machine: str
    proxy_suffix: str
    created_at: float
    status: str = "PROVISIONING"
    started_at: float | None = None
    boot_at: float = 0.0  # when the current boot began
    boot_until: float = 0.0  # when its container may start
    ended_at: float | None = None  # of the last run
    terminated_at: float | None = None
    public_ports: dict[str, int] = field(default_factory=dict)  # private port -> public port
    reported_ports: dict[str, int] = field(default_factory=dict)  # as the API reports them
    stale_until: float = 0.0  # until then the reported ports are wrong
    no_runtime_until: float = 0.0
    listed_until: float = 0.0  # a terminated pod that the list still shows, as `ghost_status`
    ghost_status: str = ""
    pid: int | None = None
    life: int = 0
    locked: bool = False
    global_networking: bool = False
    interruptible: bool = False
    no_sshd: bool = False
    boot_error: str = ""  # system-log line of a host that cannot start it
    hidden_until: float = 0.0  # until then not listed and not found by id
    last_change: str = ""

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def cost(self) -> float:
        """Current price of compute in USD per hour."""
        return self.usd_per_hour if self.active else 0.0


@dataclass
class Interval:
    """A time span of billing at one rate; `end` None: still open."""

    owner: str  # pod id, or network volume id
    kind: str  # gpu | cpu | disk | volume | network
    usd_per_hour: float
    start: float
    end: float | None = None


@dataclass
class Volume:
    id: str
    name: str
    size: int
    data_center: str
    type: str


@dataclass
class Registry:
    id: str
    name: str
    username: str
    password: str = field(repr=False)


@dataclass
class Secret:
    """A secret of the account, which a pod's environment may reference."""

    id: str
    name: str
    value: str = field(repr=False)
    description: str
    created_at: float


@dataclass
class Template:
    id: str
    name: str
    image: str
    args: str = ""
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    disk: int = 50
    volume_gb: int = 0
    mount_path: str = ""
    ports: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    registry: str | None = None
    serverless: bool = False
    public: bool = False
    category: str = "NVIDIA"
    startSsh: bool = True
    startJupyter: bool = True
    allowedCudaVersions: list[str] = field(default_factory=list)


@dataclass
class State:
    """Everything that survives the emulator's own restart."""

    credit: float  # USD paid in
    ssh_keys: list[str] = field(default_factory=list)
    pods: dict[str, Pod] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)
    volumes: dict[str, Volume] = field(default_factory=dict)
    registries: dict[str, Registry] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> State:
        return cls(
            credit=document["credit"],
            ssh_keys=document["ssh_keys"],
            pods={key: Pod(**record) for key, record in document["pods"].items()},
            intervals=[Interval(**interval) for interval in document["intervals"]],
            volumes={key: Volume(**record) for key, record in document["volumes"].items()},
            registries={key: Registry(**record) for key, record in document["registries"].items()},
            templates={key: Template(**record) for key, record in document["templates"].items()},
            secrets={key: Secret(**record) for key, record in document.get("secrets", {}).items()},
        )
