"""The documents of RunPod's hardware catalog, parsed tolerantly like those of `models`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from controller.providers.runpod.models import ApiModel, Count, Lenient, Money, Price


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
