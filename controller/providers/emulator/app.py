"""The emulator as one ASGI application."""

from __future__ import annotations

import threading

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from controller.providers.emulator.account.pods import Pods
from controller.providers.emulator.api.account import account_routes
from controller.providers.emulator.api.billing import billing_routes
from controller.providers.emulator.api.catalog import catalog_routes
from controller.providers.emulator.api.control import control_routes
from controller.providers.emulator.api.middleware import EmulatorMiddleware
from controller.providers.emulator.api.pods import pod_routes
from controller.providers.emulator.api.routing import Service
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.container.hosts import PodHost
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.faults.request_log import RequestLog
from controller.providers.emulator.storage.api import BASE, StorageApi

COLLECT_SECONDS = 0.2  # interval between two checks of the balance


def make_app(service: Service) -> ASGIApp:
    """All endpoints behind the middleware."""
    from controller.providers.emulator.graphql.endpoint import graphql_routes

    log = RequestLog()
    inner = Starlette(
        routes=[
            *control_routes(service, log),
            *pod_routes(service),
            *catalog_routes(service),
            *account_routes(service),
            *billing_routes(service),
            *graphql_routes(service),
        ],
        exception_handlers={Problem: _problem, HTTPException: _http_problem},
    )
    inner.router.redirect_slashes = False
    return Front(EmulatorMiddleware(inner, service.cloud, log), StorageApi(service.cloud))


class Front:
    """Sends each request to the API that its path belongs to."""

    def __init__(self, api: ASGIApp, storage: ASGIApp) -> None:
        self._api = api
        self._storage = storage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        storage = scope["type"] == "http" and scope["path"].startswith(BASE)
        await (self._storage if storage else self._api)(scope, receive, send)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        detail = "The requested method is not allowed for this path."
        return Problem(405, detail, headers=error.headers).response()
    return Problem(error.status_code, "resource not found").response()


def make_service(cloud: Cloud) -> Service:
    return Service(cloud, Pods(cloud, PodHost(cloud)))


class Collector(threading.Thread):
    """At zero balance, stops pods, and terminates those without a network volume, with data."""

    def __init__(self, service: Service) -> None:
        super().__init__(name="collector", daemon=True)
        self._service = service
        self._stopped = threading.Event()

    def close(self) -> None:
        self._stopped.set()
        self.join(5.0)

    def run(self) -> None:
        while not self._stopped.wait(COLLECT_SECONDS):
            self.collect()

    def collect(self) -> None:
        cloud, pods = self._service.cloud, self._service.pods
        with cloud.lock:
            if cloud.balance() > 0:
                return
            for pod in list(cloud.state.pods.values()):
                if pod.status == "TERMINATED":
                    continue
                if pod.network_volume is None:
                    pods.terminate(pod, "Terminated by Runpod")
                elif pod.active:
                    pods.stop(pod, "Exited by Runpod")
