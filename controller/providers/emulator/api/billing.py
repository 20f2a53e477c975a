"""REST v2: the bill, in buckets of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from controller.providers.emulator.api import responses as views
from controller.providers.emulator.api.paging import pagination
from controller.providers.emulator.api.routing import Call, Json, Service, ok, routes
from controller.providers.emulator.billing import intervals as billing
from controller.providers.emulator.billing.intervals import Amounts, Bucket
from controller.providers.emulator.errors import Problem, invalid

_DAYS_30 = 30 * 86400


@dataclass(frozen=True)
class Window:
    """The time range of a query, as bucket boundaries, oldest first."""

    bounds: list[float]
    size: str
    now: float

    def echo(self) -> Json:
        return {
            "startTime": views.moment(self.bounds[0]),
            "endTime": views.moment(self.bounds[-1]),
            "bucketSize": self.size,
        }


def billing_routes(service: Service) -> list[BaseRoute]:
    return [
        routes(service, "/v2/billing", GET=everything),
        routes(service, "/v2/billing/pods", GET=pods),
        routes(service, "/v2/billing/network-volumes", GET=volumes),
        routes(service, "/v2/billing/serverless", GET=_nothing("serverlessId", "Serverless", (
            "totalAmount", "gpuAmount", "cpuAmount", "diskAmount", "feeAmount"))),
        routes(service, "/v2/billing/endpoints", GET=_nothing("", "", ("totalAmount",))),
        routes(service, "/v2/billing/clusters", GET=_nothing("clusterId", "Cluster", (
            "totalAmount", "gpuAmount", "diskAmount", "networkingAmount"))),
    ]  # fmt: skip


def window(call: Call) -> Window:
    """The range of startTime and endTime, or of lastN; 400 for both, 422 if invalid."""
    size = call.query.get("bucketSize", "day")
    if size not in billing.BUCKETS:
        raise invalid(f"$.bucketSize: value must be one of {', '.join(billing.BUCKETS)}")
    now = call.cloud.now()
    if "lastN" in call.query:
        if "startTime" in call.query or "endTime" in call.query:
            raise Problem(400, "lastN and startTime/endTime are mutually exclusive")
        last = billing.floor(datetime.fromtimestamp(now, UTC), size)
        count = call.integer("lastN", 1, 1, 100_000)
        start = billing.earlier(last, size, count).timestamp()
        return Window(billing.edges(start, now, size), size, now)
    end = _time(call, "endTime", now)
    start = _time(call, "startTime", end - _DAYS_30)
    if end <= start:
        raise Problem(400, "endTime must be after startTime")
    return Window(billing.edges(start, end, size), size, now)


def _time(call: Call, name: str, default: float) -> float:
    text = call.query.get(name)
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise invalid(f"$.{name}: '{text}' is not a valid date-time") from error
    if moment.tzinfo is None:
        raise invalid(f"$.{name}: '{text}' is not a valid date-time")
    return moment.timestamp()


def _buckets(
    call: Call, window_: Window, keep: Callable[[str, str], bool], **how: Any
) -> list[Bucket]:
    with call.cloud.lock:
        intervals = [
            interval
            for interval in call.cloud.state.intervals
            if keep(interval.owner, interval.kind)
        ]
        return billing.buckets(intervals, window_.bounds, _complete_until(call, window_.now), **how)


def _complete_until(call: Call, now: float) -> float:
    """The Unix time up to which the bill is complete."""
    lag = call.cloud.faults.take("billing_lag")
    if lag is None:
        return now
    if lag.value is None:
        return billing.floor(datetime.fromtimestamp(now, UTC), "hour").timestamp()
    return now - max(0.0, float(lag.value))


def _range(bucket: Bucket) -> Json:
    return {"startTime": views.moment(bucket.start), "endTime": views.moment(bucket.end)}


def pods(call: Call) -> Response:
    window_, pod_id = window(call), call.query.get("podId")
    buckets = _buckets(
        call, window_, lambda owner, kind: kind != "network" and pod_id in (None, owner)
    )
    records = [
        {**_range(bucket), "podId": bucket.owner, **pod_amounts(bucket.amounts)}
        for bucket in buckets
    ]
    metadata = {
        "query": {**window_.echo(), "podId": pod_id},
        "recordCount": len(records),
        "uniquePodCount": len({bucket.owner for bucket in buckets}),
        "totals": pod_amounts(billing.summed(buckets)),
    }
    return ok({"records": records, "metadata": metadata, "pagination": pagination(None)})


def pod_amounts(amounts: Amounts) -> Json:
    return {
        "totalAmount": amounts.total,
        "gpuAmount": amounts.gpu,
        "cpuAmount": amounts.cpu,
        "diskAmount": amounts.disk,
    }


def volumes(call: Call) -> Response:
    window_, volume_id = window(call), call.query.get("networkVolumeId")
    buckets = _buckets(
        call, window_, lambda owner, kind: kind == "network" and volume_id in (None, owner)
    )
    records = [
        {**_range(bucket), "networkVolumeId": bucket.owner, **_volume_amounts(bucket.amounts)}
        for bucket in buckets
    ]
    metadata = {
        "query": {**window_.echo(), "networkVolumeId": volume_id},
        "recordCount": len(records),
        "uniqueNetworkVolumeCount": len({bucket.owner for bucket in buckets}),
        "totals": _volume_amounts(billing.summed(buckets)),
    }
    return ok({"records": records, "metadata": metadata, "pagination": pagination(None)})


def _volume_amounts(amounts: Amounts) -> Json:
    return {
        "totalAmount": amounts.network,
        "standardAmount": amounts.network,
        "highPerformanceAmount": 0,
    }


def everything(call: Call) -> Response:
    window_ = window(call)
    buckets = _buckets(call, window_, lambda _owner, _kind: True, by_owner=False)
    records = [{**_range(bucket), **_all_amounts(bucket.amounts)} for bucket in buckets]
    metadata = {
        "query": window_.echo(),
        "recordCount": len(records),
        "totals": _all_amounts(billing.summed(buckets)),
    }
    return ok({"records": records, "metadata": metadata, "pagination": pagination(None)})


def _all_amounts(amounts: Amounts) -> Json:
    unused = (
        "serverlessGpuAmount", "serverlessCpuAmount", "serverlessDiskAmount",
        "serverlessFeeAmount", "storageHighPerformanceAmount", "endpointAmount",
        "clusterGpuAmount", "clusterDiskAmount", "clusterNetworkingAmount",
    )  # fmt: skip
    return {
        "totalAmount": amounts.total,
        "podGpuAmount": amounts.gpu,
        "podCpuAmount": amounts.cpu,
        "podDiskAmount": amounts.disk,
        "storageStandardAmount": amounts.network,
        **dict.fromkeys(unused, 0),
    }


def _nothing(filter_name: str, noun: str, amounts: tuple[str, ...]) -> Callable[[Call], Response]:
    """An endpoint for the bill of resources that the emulator does not have."""

    def answer(call: Call) -> Response:
        query = window(call).echo()
        metadata: dict[str, Any] = {"query": query, "recordCount": 0}
        if filter_name:
            query[filter_name] = call.query.get(filter_name)
            metadata[f"unique{noun}Count"] = 0
        metadata["totals"] = dict.fromkeys(amounts, 0)
        return ok({"records": [], "metadata": metadata, "pagination": pagination(None)})

    return answer
