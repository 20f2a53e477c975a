"""One request as the endpoints see it, and how an endpoint becomes a route."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.providers.emulator.account.pods import Pods
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import Problem, invalid

Json = Any


@dataclass(frozen=True)
class Service:
    """The state that all endpoints share."""

    cloud: Cloud
    pods: Pods


@dataclass(frozen=True)
class Call:
    """One authenticated request."""

    service: Service
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes

    @property
    def cloud(self) -> Cloud:
        return self.service.cloud

    @property
    def pods(self) -> Pods:
        return self.service.pods

    @property
    def body(self) -> Json:
        """The JSON document of the request; 400 if it is invalid."""
        try:
            return json.loads(self.raw)
        except ValueError as error:
            raise Problem(400, "request could not be processed: body is not JSON") from error

    def integer(self, name: str, default: int, low: int, high: int | None = None) -> int:
        """An integer query parameter; 422 if it is invalid or out of bounds."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.lstrip("-").isdigit() or int(text) < low or (high and int(text) > high):
            raise invalid(f"$.{name}: must be an integer between {low} and {high or 'any'}")
        return int(text)

    def words(self, name: str, allowed: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A comma-separated query parameter; 422 for a value that is not allowed."""
        words = tuple(word for word in self.query.get(name, "").split(",") if word)
        for word in words:
            if allowed is not None and word not in allowed:
                raise invalid(f"$.{name}: value must be one of {', '.join(allowed)}")
        return words

    def flag(self, name: str) -> bool | None:
        text = self.query.get(name)
        if text is not None and text not in ("true", "false"):
            raise invalid(f"$.{name}: got string, want boolean")
        return None if text is None else text == "true"


Endpoint = Callable[[Call], Response]


def ok(body: Json, status: int = 200) -> Response:
    return JSONResponse(body, status)


def no_content() -> Response:
    return Response(status_code=204)


def routes(service: Service, path: str, **endpoints: Endpoint) -> Route:
    """One path whose methods are the keyword names, e.g. `GET=list_pods`."""

    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        call = Call(
            service, request.path_params, request.query_params, request.headers,
            await request.body(),
        )  # fmt: skip
        return await run_in_threadpool(endpoints[method], call)

    return Route(path, answer, methods=list(endpoints))
