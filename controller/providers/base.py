"""The provider protocol: the calls that podctl makes to a cloud provider, and their data.

Arguments and results are frozen dataclasses, never
SDK objects or raw responses. Times are Unix seconds (UTC) by the *provider's* clock, money is US
dollars, sizes are GB as the provider counts them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from controller.errors import PodctlError


class PodStatus(StrEnum):
    """Observed status; a status that podctl does not know is UNKNOWN, never RUNNING."""

    PROVISIONING = "PROVISIONING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    EXITED = "EXITED"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Hardware:
    """The hardware that a stage accepts: `gpus` (catalog ids, any order; empty means any) or
    `cpu`."""

    gpus: tuple[str, ...] = ()
    gpu_count: int = 1
    min_gpu_memory_gb: int = 0  # per GPU
    cpu: str | None = None  # CPU flavor id such as "cpu5c"; set means a CPU pod
    vcpu_count: int = 4  # CPU pods only
    cloud: str = "SECURE"  # SECURE | COMMUNITY
    data_centers: tuple[str, ...] = ()
    min_cuda: str | None = None
    max_usd_per_hour: float | None = None


@dataclass(frozen=True)
class Offer:
    """Hardware that can be rented now, with the price of the complete pod in USD per hour."""

    kind: str  # "gpu" | "cpu"
    id: str  # catalog id, e.g. "NVIDIA L40S" or "cpu5c"
    name: str
    count: int  # GPUs, or vCPUs for a CPU offer
    memory_gb: int  # GPU memory per GPU; host memory for a CPU offer
    usd_per_hour: float  # for `count` of them
    availability: str  # NONE | LOW | MEDIUM | HIGH | UNKNOWN
    cloud: str


@dataclass(frozen=True)
class HardwareType:
    """One GPU type or CPU flavor of the catalog, whether or not it can be rented now."""

    kind: str  # "gpu" | "cpu"
    id: str
    name: str
    memory_gb: float  # of one GPU; host memory of one vCPU
    usd_per_hour: float | None  # of one GPU or vCPU in the requested cloud; None: not offered there
    least: int = 1  # GPUs or vCPUs of one pod
    most: int | None = None  # None: not reported
    data_centers: tuple[str, ...] = ()  # where it exists; empty: not reported
    cuda: tuple[str, ...] = ()  # versions that its hosts support; empty: not reported


@dataclass(frozen=True)
class DataCenter:
    """One data center of the provider."""

    id: str
    name: str


@dataclass(frozen=True)
class Inventory:
    """The types of the requested kind (GPU or CPU) that the provider has, and its data centers."""

    types: tuple[HardwareType, ...]
    data_centers: tuple[DataCenter, ...]


@dataclass(frozen=True)
class PodSpec:
    """All arguments of a create call. REST v2 has no defaults, so this has none for hardware."""

    name: str
    image: str
    offer: Offer
    args: str  # the container command: the pod's first process
    env: Mapping[str, str]
    disk_gb: int
    volume_gb: int  # persistent mount; 0 on CPU pods, where the provider has none
    mount_path: str = "/workspace"
    network_volume_id: str | None = None
    ports: tuple[str, ...] = ("22/tcp",)
    data_centers: tuple[str, ...] = ()
    min_cuda: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """The address of a pod's sshd. It does not identify the pod: addresses are reused."""

    host: str
    port: int
    user: str


@dataclass(frozen=True)
class Pod:
    """A pod as the provider reports it."""

    id: str
    name: str
    status: PodStatus
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    usd_per_hour: float = 0.0  # compute rate now; 0 when EXITED
    endpoint: Endpoint | None = None  # None until a public port is assigned
    ready: bool = False  # RUNNING and a runtime is reported
    disk_gb: int = 0
    volume_gb: int = 0
    network_volume_id: str | None = None
    gpu: str | None = None
    gpu_count: int = 0
    created_at: float | None = None
    started_at: float | None = None

    @property
    def nonce(self) -> str | None:
        """The nonce of the create call, if name and environment agree on it."""
        nonce = self.env.get("PODCTL_NONCE")
        return nonce if nonce and self.name.endswith(f"-{nonce}") else None


@dataclass(frozen=True)
class NetworkVolume:
    """Storage of the account, which bills whether or not a pod is attached."""

    id: str
    name: str
    size_gb: int
    data_center: str
    tier: str = "STANDARD"  # STANDARD | HIGH_PERFORMANCE, or something newer


@dataclass(frozen=True)
class BillingRecord:
    """One bucket of the provider's own bill."""

    pod_id: str
    start: float
    end: float
    total_usd: float
    compute_usd: float
    disk_usd: float


@dataclass(frozen=True)
class Account:
    """The account. `balance_usd` is None if the provider does not report it."""

    balance_usd: float | None
    ssh_keys: tuple[str, ...]
    clock_skew_seconds: float | None = None  # provider's time minus local time


class Kind(StrEnum):
    """How the caller must react to a provider's error."""

    REFUSED = "refused"  # permanent: key, request, balance, permission
    CAPACITY = "capacity"  # try the next offer
    CONFLICT = "conflict"  # the pod's state changed: observe again
    THROTTLED = "throttled"  # nothing was done; wait `retry_after`
    OUTAGE = "outage"  # the provider has a failure and certainly did nothing
    TRANSIENT = "transient"  # it may or may not have happened


class ProviderError(PodctlError):
    """An error of the provider, classified by the adapter.

    `sent` is False if the request certainly did not reach the provider. A create call that failed
    with TRANSIENT and `sent` may have created a pod that bills: list the pods, never repeat it.
    """

    code = "provider"

    def __init__(
        self,
        what: str,
        *,
        kind: Kind,
        status: int | None = None,
        retry_after: float | None = None,
        sent: bool = True,
        where: str = "",
        cause: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(what, where=where, cause=cause, hint=hint)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.sent = sent


class Provider(Protocol):
    """Every call has its own deadline and raises only `ProviderError`."""

    name: str

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        """Offers that `need` accepts, cheapest first; those with availability NONE come last."""
        ...

    def catalog(self) -> tuple[Offer, ...]:
        """One offer of every type that the provider has, cheapest first."""
        ...

    def inventory(self, need: Hardware) -> Inventory:
        """Every type of the kind (GPU or CPU) of `need`, with its price in `need.cloud`."""
        ...

    def create(self, spec: PodSpec) -> Pod:
        """Rent a pod. Not idempotent and never retried."""
        ...

    def list(self) -> tuple[Pod, ...]:
        """Every pod of the account, all pages."""
        ...

    def get(self, pod_id: str) -> Pod | None:
        """One pod; None after a 404, which proves little about a recently created pod."""
        ...

    def start(self, pod_id: str) -> None:
        """Start an EXITED pod on its host; raises CAPACITY if its GPU is in use."""
        ...

    def stop(self, pod_id: str) -> None:
        """Park a pod: compute stops billing, the volume continues."""
        ...

    def terminate(self, pod_id: str) -> bool:
        """Terminate a pod. Idempotent. False after a 404, which does not prove that it is gone."""
        ...

    def volumes(self) -> tuple[NetworkVolume, ...]:
        """Every network volume of the account."""
        ...

    def create_volume(self, name: str, size_gb: int, data_center: str) -> NetworkVolume:
        """Make a network volume, which bills until it is deleted. Not idempotent, never retried."""
        ...

    def delete_volume(self, volume_id: str) -> bool:
        """Delete a network volume with its files. Idempotent; False after a 404."""
        ...

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        """The provider's hourly records that touch [since, until]."""
        ...

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        """The last lines of the container's own output; not a stream."""
        ...

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        """The last lines of the host's log of the pod: image pull and container start."""
        ...

    def last_change(self, pod_id: str) -> str:
        """The last change of state ("Exited by user: …"), empty if not reported. For prompts."""
        ...

    def account(self) -> Account:
        """Balance and registered SSH keys."""
        ...

    def register_key(self, public_key: str) -> None:
        """Add one public key to the account's, keeping the others."""
        ...
