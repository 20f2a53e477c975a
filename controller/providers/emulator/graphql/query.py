"""GraphQL reads. Each method is a field of `Query`; the catalog needs no key."""

from __future__ import annotations

from collections import Counter
from typing import Any

from controller.providers.emulator.account import placement
from controller.providers.emulator.api.catalog import gpu_units, used_hardware
from controller.providers.emulator.api.routing import Service
from controller.providers.emulator.catalog import COUNTRIES, CPUS, DATA_CENTERS, GPUS, Cpu, Gpu
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.graphql import responses as graphql_views

Info = Any  # graphql-core's resolve info; its context is the `Caller` or None
Json = dict[str, Any]
_STOCK = {"NONE": None, "LOW": "Low", "MEDIUM": "Medium", "HIGH": "High"}


def require_key(info: Info, own_pod: str | None = None) -> None:
    """Require the account's key, or the key of the pod `own`."""
    requester = info.context
    if requester is None or (requester.pod_id is not None and requester.pod_id != own_pod):
        raise Problem(401, "Unauthorized")


class Queries:
    """The root object of queries."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._cloud = service.cloud

    def pod(self, info: Info, input: Json | None = None) -> Json | None:
        pod_id = (input or {}).get("podId", "")
        require_key(info, own_pod=pod_id)
        with self._cloud.lock:
            pod = self._cloud.state.pods.get(pod_id)
            if pod is None or pod.status == "TERMINATED":
                return None
            return graphql_views.pod(self._cloud, pod)

    def myself(self, info: Info) -> Json:
        require_key(info)
        cloud = self._cloud
        with cloud.lock:
            state, now = cloud.state, cloud.now()
            return {
                "id": "user_emulator",
                "email": "emulator@localhost",
                "pubKey": "\n".join(state.ssh_keys),
                "clientBalance": cloud.meter.balance(now),
                "currentSpendPerHr": cloud.meter.spend_per_hour,
                "spendLimit": 80.0,
                "minBalance": 0.0,
                "underBalance": cloud.meter.balance(now) <= 0,
                "clientLifetimeSpend": cloud.meter.spent(now),
                "machineQuota": 0,
                "spendDetails": self._spend(),
                "notifyPodsStale": True,
                "notifyPodsGeneral": True,
                "notifyLowBalance": True,
                "pods": [graphql_views.pod(cloud, pod) for pod in self._service.pods.listed()],
                "networkVolumes": [graphql_views.volume(v) for v in state.volumes.values()],
                "podTemplates": [graphql_views.template(t) for t in state.templates.values()],
                "containerRegistryCreds": [
                    graphql_views.registry(registry) for registry in state.registries.values()
                ],
                "secrets": [graphql_views.secret(secret) for secret in state.secrets.values()],
                "endpoints": [],
                "clusters": [],
            }

    def _spend(self) -> Json:
        running = [interval for interval in self._cloud.state.intervals if interval.end is None]

        def rate(*kinds: str) -> float:
            return sum(interval.usd_per_hour for interval in running if interval.kind in kinds)

        return {
            "localStoragePerHour": rate("disk", "volume"),
            "networkStoragePerHour": rate("network"),
            "gpuComputePerHour": rate("gpu"),
        }

    def countryCodes(self, _: Info) -> list[str]:
        return sorted(
            {data_center.country for data_center in DATA_CENTERS.values()} & set(COUNTRIES)
        )

    def serverlessGpuPools(self, _: Info) -> list[Json]:
        pools = sorted({gpu.pool for gpu in GPUS.values() if gpu.pool})
        return [
            {"id": pool, "gpuTypeIds": [g.id for g in GPUS.values() if g.pool == pool]}
            for pool in pools
        ]

    def gpuTypes(self, _: Info, input: Json | None = None) -> list[Json]:
        filters = input or {}
        if filters.get("cluster"):
            return []  # the emulator has no clusters
        gpu_ids = {gpu_id for gpu_id in (filters.get("id"), *(filters.get("ids") or ())) if gpu_id}
        used = used_hardware(self._cloud)
        return [self._gpu(gpu, used) for gpu in GPUS.values() if not gpu_ids or gpu.id in gpu_ids]

    def _gpu(self, gpu: Gpu, used: Counter[str]) -> Json:
        def lowest(_: Info, input: Json | None = None) -> Json:
            return self._lowest_price(gpu, used, input or {})

        return {**graphql_views.gpu_type(gpu.id), "lowestPrice": lowest}

    def _lowest_price(self, gpu: Gpu, used: Counter[str], filters: Json) -> Json:
        count = filters.get("gpuCount") or 1
        secure = filters.get("secureCloud")
        prices = {True: gpu.secure, False: gpu.community}
        offered = [p for kind, p in prices.items() if p and secure in (None, kind)]
        center, country = filters.get("dataCenterId"), filters.get("countryCode")
        centers = [
            center_id for center_id in gpu.data_centers
            if center in (None, center_id) and country in (None, DATA_CENTERS[center_id].country)
        ]  # fmt: skip
        versions = placement.fitting_cuda(
            gpu, filters.get("allowedCudaVersions") or (), filters.get("minCudaVersion")
        )
        fits = bool(offered and centers and count <= gpu.max_count)
        fits = fits and (bool(versions) or not filters.get("minCudaVersion"))
        level = placement.level(gpu_units(self._cloud, gpu.id, used), count) if fits else "NONE"
        price = min(offered) if offered and level != "NONE" else None
        return {
            "gpuName": gpu.name,
            "gpuTypeId": gpu.id,
            "minimumBidPrice": price and round(price * graphql_views.SPOT, 4),
            "uninterruptablePrice": price,
            "minMemory": gpu.host_memory_gb * count if price else None,
            "minVcpu": gpu.host_vcpus * count if price else None,
            "rentedCount": used[gpu.id],
            "totalCount": gpu.stock,
            "stockStatus": _STOCK[level],
            "countryCode": country,
            "supportPublicIp": True,
            "compliance": [],
            "availableGpuCounts": list(range(1, gpu.max_count + 1)) if price else [],
        }

    def dataCenters(self, _: Info) -> list[Json]:
        used = used_hardware(self._cloud)
        return [
            {
                **graphql_views.data_center(data_center),
                "gpuAvailability": self._stock(data_center.id, used),
            }
            for data_center in DATA_CENTERS.values()
        ]

    def _stock(self, center: str, used: Counter[str]) -> list[Json]:
        rows = []
        for gpu in GPUS.values():
            if center in gpu.data_centers:
                level = placement.level(gpu_units(self._cloud, gpu.id, used), 1)
                rows.append(
                    {
                        "id": gpu.id,
                        "gpuTypeId": gpu.id,
                        "displayName": gpu.name,
                        "stockStatus": _STOCK[level],
                        "available": level != "NONE",
                    }
                )
        return rows

    def cpuFlavors(self, _: Info, input: Json | None = None) -> list[Json]:
        flavor_id = (input or {}).get("id")
        return [self._cpu(cpu) for cpu in CPUS.values() if flavor_id in (None, cpu.id)]

    def _cpu(self, cpu: Cpu) -> Json:
        def specifics(_: Info, input: Json | None = None) -> Json:
            return self._specifics(cpu, input or {})

        return {
            "id": cpu.id,
            "groupId": cpu.group,
            "groupName": cpu.group,
            "displayName": cpu.name,
            "minVcpu": cpu.min_vcpu,
            "maxVcpu": cpu.max_vcpu,
            "vcpuBurstable": False,
            "ramMultiplier": cpu.ram_gb_per_vcpu,
            "diskLimitPerVcpu": cpu.disk_gb_per_vcpu,
            "specifics": specifics,
        }

    def _specifics(self, cpu: Cpu, filters: Json) -> Json:
        """Stock and price of the complete instance; the price is given even without stock."""
        center = filters.get("dataCenterId")
        parts = (filters.get("instanceId") or "").split("-")
        count = int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else cpu.min_vcpu
        units = gpu_units(self._cloud, cpu.id, used_hardware(self._cloud))
        level = placement.level(units, count)
        if center not in (None, *cpu.data_centers) or count > cpu.max_vcpu:
            level = "NONE"
        price = round(cpu.usd_per_vcpu * count, 6)
        return {
            "stockStatus": _STOCK[level],
            "securePrice": price,
            "slsPrice": price,
        }
