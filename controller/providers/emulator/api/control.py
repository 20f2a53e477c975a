"""The emulator's own endpoints, for inspection and faults. Loopback only, with the account's key.

GET    /_emulator/health                      {"ok": true}
GET    /_emulator/state                       all pods, intervals, balance, requests
GET    /_emulator/faults                      {"faults": […]}
PUT    /_emulator/faults                      {"faults": […]} or one fault: replaces all
POST   /_emulator/faults                      adds one fault
DELETE /_emulator/faults[?name=…]             switch off all, or one kind
PUT    /_emulator/balance                     {"usd": 0}
POST   /_emulator/pods/{id}/kill              {"lost_volume": false, "status": "EXITED"}
POST   /_emulator/pods/{id}/evict             SIGTERM, five seconds, SIGKILL, EXITED
POST   /_emulator/pods/{id}/reboot            the container restarts, on a new port
POST   /_emulator/pods/{id}/crash             its processes are killed; the restart loop acts
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from controller.providers.emulator.api import request_models as bodies
from controller.providers.emulator.api.routing import Call, Service, no_content, ok, routes
from controller.providers.emulator.faults import faults
from controller.providers.emulator.faults.request_log import RequestLog
from controller.providers.emulator.records import Pod

_KILL = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "lost_volume": {"type": "boolean"},
        "status": {"type": "string", "enum": ["EXITED", "ERROR", "TERMINATED"]},
    },
}
_BALANCE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["usd"],
    "properties": {"usd": {"type": "number"}},
}


def control_routes(service: Service, log: RequestLog) -> list[BaseRoute]:
    return [
        routes(service, "/_emulator/health", GET=lambda _: ok({"ok": True})),
        routes(service, "/_emulator/state", GET=_state(log)),
        routes(
            service, "/_emulator/faults",
            GET=list_faults, PUT=put_faults, POST=add_fault, DELETE=clear_faults,
        ),
        routes(service, "/_emulator/balance", PUT=put_balance),
        routes(service, "/_emulator/reset", POST=reset),
        routes(service, "/_emulator/pods/{id}/kill", POST=kill),
        routes(service, "/_emulator/pods/{id}/evict", POST=evict),
        routes(service, "/_emulator/pods/{id}/reboot", POST=reboot),
        routes(service, "/_emulator/pods/{id}/crash", POST=crash),
    ]  # fmt: skip


def _state(log: RequestLog) -> Callable[[Call], Response]:
    def state(call: Call) -> Response:
        cloud = call.cloud
        with cloud.lock:
            now = cloud.now()
            document: dict[str, Any] = {
                "now": now,
                "balance": cloud.meter.balance(now),
                "spent": cloud.meter.spent(now),
                "current_spend": cloud.meter.spend_per_hour,
                "pods": [_pod(pod) for pod in cloud.state.pods.values()],
                "intervals": [dataclasses.asdict(interval) for interval in cloud.state.intervals],
                "network_volumes": [dataclasses.asdict(v) for v in cloud.state.volumes.values()],
                "requests": log.as_list(),
                "request_count": log.total,
            }
            return ok(document)

    return state


def _pod(pod: Pod) -> dict[str, Any]:
    """The record without its key, which only the pod may know."""
    return {name: value for name, value in dataclasses.asdict(pod).items() if name != "key"}


def list_faults(call: Call) -> Response:
    return ok({"faults": call.cloud.faults.as_list()})


def put_faults(call: Call) -> Response:
    body = call.body
    many = body["faults"] if isinstance(body, dict) and set(body) == {"faults"} else [body]
    call.cloud.faults.put([faults.parse(document) for document in many])
    return list_faults(call)


def add_fault(call: Call) -> Response:
    call.cloud.faults.add(faults.parse(call.body))
    return list_faults(call)


def clear_faults(call: Call) -> Response:
    call.cloud.faults.clear(call.query.get("name"))
    return no_content()


def put_balance(call: Call) -> Response:
    dollars = bodies.checked(_BALANCE, call.body)["usd"]
    with call.cloud.lock:
        call.cloud.meter.set_balance(float(dollars), call.cloud.now())
        call.cloud.save()
    return ok({"usd": call.cloud.balance()})


def reset(call: Call) -> Response:
    call.pods.reset()
    return no_content()


def kill(call: Call) -> Response:
    options = bodies.checked(_KILL, call.body if call.raw else {})
    call.pods.die(
        call.path["id"],
        lost_volume=options.get("lost_volume", False),
        status=options.get("status", "EXITED"),
    )
    return no_content()


def evict(call: Call) -> Response:
    call.pods.evict(call.path["id"])
    return no_content()


def reboot(call: Call) -> Response:
    call.pods.reboot(call.path["id"])
    return no_content()


def crash(call: Call) -> Response:
    call.pods.pod_host.crash(call.pods.get(call.path["id"]))
    return no_content()
