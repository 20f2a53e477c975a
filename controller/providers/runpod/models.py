"""RunPod's documents, read with tolerance, as this project's own values.

What identifies a pod must be there, or the whole answer is unusable: a pod that is silently left
out of a list would be rented a second time. Everything else may be missing, null or new.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from controller.providers import prices
from controller.providers.base import (
    BillingRecord,
    DataCenter,
    Endpoint,
    NetworkVolume,
    Pod,
    PodStatus,
)

POD_ID = r"^[A-Za-z0-9_-]{1,64}$"
_HOST = re.compile(r"[0-9A-Za-z:][0-9A-Za-z.:-]{0,252}")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")  # a port mapped there is reached by nobody
_REACHABLE = (PodStatus.STARTING, PodStatus.RUNNING, PodStatus.UNKNOWN)

T = TypeVar("T")


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _strings_only(value: Any) -> Any:
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(item, str)}


Lenient = Annotated[T | None, WrapValidator(_or_none)]  # null, missing or nonsense: None
Money = Annotated[float, Field(ge=0, le=prices.BALANCE, allow_inf_nan=False)]
Sum = Annotated[float, Field(ge=-prices.BALANCE, le=prices.BALANCE, allow_inf_nan=False)]
Price = Annotated[float | None, BeforeValidator(prices.of_unit)]  # 0: it makes no sense
Count = Annotated[int, Field(ge=0, le=10**9)]


class ApiModel(BaseModel):
    """One object of an answer; fields we do not know are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SshAccess(ApiModel):
    host: str
    port: int
    username: Lenient[str] = None


class Ssh(ApiModel):
    direct: Lenient[SshAccess] = None


class PortMapping(ApiModel):
    private: Lenient[int] = None
    public: Lenient[int] = None
    type: Lenient[str] = None
    ip: Lenient[str] = None


class Runtime(ApiModel):
    ports: Lenient[list[Lenient[PortMapping]]] = None


class PersistentMount(ApiModel):
    size: Count


class NetworkMount(ApiModel):
    volume_id: str = Field(alias="volumeId")


class Mounts(ApiModel):
    persistent: Lenient[PersistentMount] = None
    network: Lenient[list[NetworkMount]] = None


class Gpu(ApiModel):
    id: str
    count: Lenient[Count] = None


class PodModel(ApiModel):
    id: Annotated[str, StringConstraints(pattern=POD_ID)]
    name: Lenient[str] = None
    status: Lenient[str] = None
    env: Annotated[dict[str, str], BeforeValidator(_strings_only)] = {}
    cost: Lenient[Money] = None
    ssh: Lenient[Ssh] = None
    runtime: Lenient[Runtime] = None
    mounts: Lenient[Mounts] = None
    gpu: Lenient[Gpu] = None
    disk: Lenient[Count] = None
    created_at: Lenient[datetime] = Field(default=None, alias="createdAt")
    started_at: Lenient[datetime] = Field(default=None, alias="startedAt")


class Pagination(ApiModel):
    has_next_page: bool = Field(alias="hasNextPage")
    next_cursor: str | None = Field(default=None, alias="nextCursor")

    @model_validator(mode="after")
    def _leads_on(self) -> Self:
        if self.has_next_page and not self.next_cursor:
            raise ValueError("a next page without a cursor")
        return self


class Page(ApiModel):
    pagination: Pagination | None = None  # older servers send everything at once


class Problem(ApiModel):
    """An error's body, `application/problem+json`."""

    title: Lenient[str] = None
    detail: Lenient[str] = None
    errors: Lenient[list[str]] = None


class SshKeys(ApiModel):
    keys: list[str]


class GpuPrices(ApiModel):
    secure: Price = None
    community: Price = None


class GpuLimits(ApiModel):
    secure: Lenient[Count] = None
    community: Lenient[Count] = None


class PlacementModel(ApiModel):
    id: str
    availability: Lenient[str] = None


class CudaVersion(ApiModel):
    version: Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3})?$")]


class GpuType(ApiModel):
    id: str
    name: Lenient[str] = None
    memory: Count
    secure: Lenient[bool] = None
    community: Lenient[bool] = None
    price: GpuPrices
    max_count: Lenient[GpuLimits] = Field(default=None, alias="maxCount")
    availability: Lenient[str] = None
    data_centers: Lenient[list[PlacementModel]] = Field(default=None, alias="dataCenters")
    cuda: Lenient[list[CudaVersion]] = Field(default=None, alias="cudaVersions")


class VcpuRange(ApiModel):
    min: Annotated[int, Field(ge=1)]
    max: Annotated[int, Field(ge=1)]


class CpuPrices(ApiModel):
    secure_per_vcpu: Price = Field(default=None, alias="securePerVcpu")


class CpuType(ApiModel):
    id: str
    name: Lenient[str] = None
    vcpu: VcpuRange
    ram_gb_per_vcpu: Money = Field(alias="ramGbPerVcpu")
    price: CpuPrices
    availability: Lenient[str] = None
    data_centers: Lenient[list[PlacementModel]] = Field(default=None, alias="dataCenters")


class DataCenterModel(ApiModel):
    id: str
    name: Lenient[str] = None


class VolumeModel(ApiModel):
    id: Annotated[str, StringConstraints(pattern=POD_ID)]
    name: Lenient[str] = None
    size: Count
    data_center: Lenient[str] = Field(default=None, alias="dataCenter")
    type: Lenient[str] = None


class BillModel(ApiModel):
    pod_id: str = Field(alias="podId")
    start: datetime = Field(alias="startTime")
    end: datetime = Field(alias="endTime")
    total: Annotated[Sum, Field(alias="totalAmount")]
    gpu: Lenient[Money] = Field(default=None, alias="gpuAmount")
    cpu: Lenient[Money] = Field(default=None, alias="cpuAmount")
    disk: Lenient[Money] = Field(default=None, alias="diskAmount")


class Me(ApiModel):
    balance: Annotated[Sum, Field(alias="clientBalance")]


class MeData(ApiModel):
    myself: Me


class BalanceReply(ApiModel):
    data: MeData


class Change(ApiModel):
    last_change: str = Field(default="", alias="lastStatusChange", max_length=500)


class PodData(ApiModel):
    pod: Change | None = None


class ChangeReply(ApiModel):
    data: PodData


def next_cursor(document: Any) -> str | None:
    """The cursor of the page after this one. Raises ValidationError."""
    pagination = Page.model_validate(document).pagination
    return pagination.next_cursor if pagination and pagination.has_next_page else None


def pod(document: Any) -> Pod:
    """One pod. Raises ValidationError when it has no usable id."""
    wire = PodModel.model_validate(document)
    mounts = wire.mounts or Mounts()
    status = _status(wire.status)
    return Pod(
        id=wire.id,
        name=wire.name or "",
        status=status,
        env=wire.env,
        usd_per_hour=prices.of_pod(wire.cost),
        endpoint=_endpoint(wire) if status in _REACHABLE else None,
        ready=status is PodStatus.RUNNING and wire.runtime is not None,
        disk_gb=wire.disk or 0,
        volume_gb=mounts.persistent.size if mounts.persistent else 0,
        network_volume_id=mounts.network[0].volume_id if mounts.network else None,
        gpu=wire.gpu.id if wire.gpu else None,
        gpu_count=(wire.gpu.count or 1) if wire.gpu else 0,
        created_at=_seconds(wire.created_at),
        started_at=_seconds(wire.started_at),
    )


def volume(document: Any) -> NetworkVolume:
    """One network volume. Raises ValidationError when it has no usable id or size."""
    wire = VolumeModel.model_validate(document)
    return NetworkVolume(
        wire.id, wire.name or "", wire.size, wire.data_center or "", wire.type or ""
    )


def center(document: Any) -> DataCenter:
    """One data center. Raises ValidationError when it has no id."""
    wire = DataCenterModel.model_validate(document)
    return DataCenter(wire.id, wire.name or wire.id)


def bill(document: Any) -> BillingRecord:
    """One billing bucket. Raises ValidationError."""
    wire = BillModel.model_validate(document)
    return BillingRecord(
        pod_id=wire.pod_id,
        start=_seconds(wire.start) or 0.0,
        end=_seconds(wire.end) or 0.0,
        total_usd=wire.total,
        compute_usd=(wire.gpu or 0.0) + (wire.cpu or 0.0),
        disk_usd=wire.disk or 0.0,
    )


def _status(text: str | None) -> PodStatus:
    try:
        return PodStatus((text or "").upper())
    except ValueError:
        return PodStatus.UNKNOWN


def _seconds(moment: datetime | None) -> float | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _endpoint(wire: PodModel) -> Endpoint | None:
    """Where sshd can be reached: the direct access as stated, else the mapping of port 22."""
    direct = wire.ssh.direct if wire.ssh else None
    if direct and (found := _checked(direct.host, direct.port, direct.username or "root")):
        return found
    for row in (wire.runtime.ports if wire.runtime else None) or ():
        if row and row.private == 22 and (row.type or "tcp") == "tcp" and row.ip and row.public:
            found = _checked(row.ip, row.public, "root")
            if found:
                return found
    return None


def _checked(host: str, port: int, user: str) -> Endpoint | None:
    """An endpoint of plain words only: these become arguments of other programs."""
    if not _HOST.fullmatch(host) or not 1 <= port <= 65535 or not _USER.fullmatch(user):
        return None
    return Endpoint(host, port, user) if _routable(host) else None


def _routable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True  # a name; whether it resolves is seen when connecting
    if isinstance(address, ipaddress.IPv4Address) and address in _CARRIER_NAT:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)
