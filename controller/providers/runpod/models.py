"""Parses RunPod's documents tolerantly into podctl's own data classes.

A pod without an id makes the complete response unusable, because a pod that is silently dropped
from a list would be rented a second time. Every other field may be missing, null or new.
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
_CARRIER_NAT = ipaddress.ip_network("100.64.0.0/10")  # not reachable from outside
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


Lenient = Annotated[T | None, WrapValidator(_or_none)]  # null, missing or invalid: None
Money = Annotated[float, Field(ge=0, le=prices.BALANCE, allow_inf_nan=False)]
Sum = Annotated[float, Field(ge=-prices.BALANCE, le=prices.BALANCE, allow_inf_nan=False)]
Price = Annotated[float | None, BeforeValidator(prices.of_unit)]  # 0: invalid, see `prices`
Count = Annotated[int, Field(ge=0, le=10**9)]


class ApiModel(BaseModel):
    """One object of a response; unknown fields are ignored."""

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
    def _check_cursor(self) -> Self:
        if self.has_next_page and not self.next_cursor:
            raise ValueError("a next page without a cursor")
        return self


class Page(ApiModel):
    pagination: Pagination | None = None  # older servers send everything in one page


class Problem(ApiModel):
    """An error's body, `application/problem+json`."""

    title: Lenient[str] = None
    detail: Lenient[str] = None
    errors: Lenient[list[str]] = None


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
    model = PodModel.model_validate(document)
    mounts = model.mounts or Mounts()
    status = _status(model.status)
    return Pod(
        id=model.id,
        name=model.name or "",
        status=status,
        env=model.env,
        usd_per_hour=prices.of_pod(model.cost),
        endpoint=_endpoint(model) if status in _REACHABLE else None,
        ready=status is PodStatus.RUNNING and model.runtime is not None,
        disk_gb=model.disk or 0,
        volume_gb=mounts.persistent.size if mounts.persistent else 0,
        network_volume_id=mounts.network[0].volume_id if mounts.network else None,
        gpu=model.gpu.id if model.gpu else None,
        gpu_count=(model.gpu.count or 1) if model.gpu else 0,
        created_at=_seconds(model.created_at),
        started_at=_seconds(model.started_at),
    )


def volume(document: Any) -> NetworkVolume:
    """One network volume. Raises ValidationError when it has no usable id or size."""
    model = VolumeModel.model_validate(document)
    return NetworkVolume(
        model.id, model.name or "", model.size, model.data_center or "", model.type or ""
    )


def center(document: Any) -> DataCenter:
    """One data center. Raises ValidationError when it has no id."""
    model = DataCenterModel.model_validate(document)
    return DataCenter(model.id, model.name or model.id)


def bill(document: Any) -> BillingRecord:
    """One billing bucket. Raises ValidationError."""
    model = BillModel.model_validate(document)
    return BillingRecord(
        pod_id=model.pod_id,
        start=_seconds(model.start) or 0.0,
        end=_seconds(model.end) or 0.0,
        total_usd=model.total,
        compute_usd=(model.gpu or 0.0) + (model.cpu or 0.0),
        disk_usd=model.disk or 0.0,
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


def _endpoint(model: PodModel) -> Endpoint | None:
    """The address of sshd: the reported direct access, else the mapping of port 22."""
    direct = model.ssh.direct if model.ssh else None
    if direct and (endpoint := _checked(direct.host, direct.port, direct.username or "root")):
        return endpoint
    for mapping in (model.runtime.ports if model.runtime else None) or ():
        if (
            mapping
            and mapping.private == 22
            and (mapping.type or "tcp") == "tcp"
            and mapping.ip
            and mapping.public
        ):
            endpoint = _checked(mapping.ip, mapping.public, "root")
            if endpoint:
                return endpoint
    return None


def _checked(host: str, port: int, user: str) -> Endpoint | None:
    """The endpoint if its parts are plain words, as they become arguments of programs; else
    None."""
    if not _HOST.fullmatch(host) or not 1 <= port <= 65535 or not _USER.fullmatch(user):
        return None
    return Endpoint(host, port, user) if _routable(host) else None


def _routable(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True  # a host name; connecting shows whether it resolves
    if isinstance(address, ipaddress.IPv4Address) and address in _CARRIER_NAT:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_link_local)
