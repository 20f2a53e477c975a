"""The middleware before the endpoints: body size, faults, keys, quotas, headers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.providers.emulator.api.authorization import authorize, bearer, caller, check_owner
from controller.providers.emulator.api.origin_check import check_body, check_sender
from controller.providers.emulator.api.rate_limit import RateLimit
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.errors import Problem
from controller.providers.emulator.faults.faults import REQUEST_FAULTS, Fault
from controller.providers.emulator.faults.recorder import TrafficRecorder
from controller.providers.emulator.faults.request_log import Request, RequestLog
from controller.providers.emulator.faults.response_faults import corrupted

MAX_BODY = 102_400  # bytes
OWN = "/_emulator"  # the control endpoints: the account's key, no quota, no faults
GRAPHQL = "/graphql"  # checks keys itself, because the catalog needs none
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>"
_CDN = "<html><head><title>Access denied</title></head><body>error code: 1010</body></html>"
_PAGE = {"bad_gateway": (502, _HTML), "cdn_block": (403, _CDN)}


class EmulatorMiddleware:
    """ASGI application around the endpoints."""

    def __init__(self, app: ASGIApp, cloud: Cloud, log: RequestLog) -> None:
        self._app = app
        self._cloud = cloud
        self._limit = RateLimit(cloud.settings.quota)
        self._log = log
        self._traffic = TrafficRecorder(cloud.folder) if cloud.settings.record_traffic else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = bearer(headers.get("authorization"))
        control = scope["path"].startswith(OWN)
        visible = send if control else self._with_headers(send, key or "")
        try:
            check_sender(headers, scope["server"][1])
            if control:
                check_owner(self._cloud, key)
            body = await _read(receive)
            check_body(headers, body, control=control)
        except Problem as problem:
            await problem.response()(scope, receive, visible)
            return
        if control:
            await self._app(scope, _Replay(body, receive), send)
            return
        entry = self._log.open(scope["method"], scope["path"], self._cloud.now())
        await self._serve(
            scope, _Replay(body, receive), _recording_status(visible, entry), send, key
        )

    def _with_headers(self, send: Send, key: str) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                quota = self._limit.headers(key, self._cloud.now())
                MutableHeaders(scope=message).update(quota)
            await send(message)

        return sending

    async def _serve(
        self, scope: Scope, receive: _Replay, send: Send, raw_send: Send, key: str | None
    ) -> None:
        fault = self._cloud.faults.take(
            *REQUEST_FAULTS,
            method=scope["method"],
            path=scope["path"],
            agent=Headers(scope=scope).get("user-agent", ""),
            **_request_facts(scope, receive.body),
        )
        if fault is None:
            await self._answer(scope, receive, send, key)
        else:
            await self._apply_fault(fault, scope, receive, send, raw_send, key)

    async def _answer(self, scope: Scope, receive: _Replay, send: Send, key: str | None) -> None:
        if self._traffic is not None and scope["path"].startswith("/v2/"):
            send = self._traffic.listening(send, scope, receive.body)
        try:
            self._limit.count(key or "", self._cloud.now())
            if not scope["path"].startswith(GRAPHQL):
                requester = caller(self._cloud, key, scope["method"], scope["path"])
                authorize(requester, scope["method"], scope["path"])
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _apply_fault(
        self,
        fault: Fault,
        scope: Scope,
        receive: _Replay,
        send: Send,
        raw_send: Send,
        key: str | None,
    ) -> None:
        """Handle one request under a fault."""
        discard = self._with_headers(_discard, key or "")  # with headers, so that quotas count
        if fault.name in ("drop_reply", "delete_ambiguous"):
            await self._answer(scope, receive, discard, key)
            abort(raw_send)
        elif fault.name == "commit_late":
            abort(raw_send)
            await asyncio.sleep(float(fault.value or 0))
            await self._answer(scope, receive, discard, key)
        elif fault.name == "fail_after_commit":
            await self._answer(scope, receive, discard, key)
            await Problem(500, "internal server error").response()(scope, receive, send)
        elif fault.name == "slow_request":
            await asyncio.sleep(float(fault.value or 0))
            await self._answer(scope, receive, send, key)
        elif fault.name == "slow_reply":
            messages = await self._buffered_response(scope, receive, key)
            await asyncio.sleep(float(fault.value or 0))
            for message in messages:
                await send(message)
        elif fault.name == "garble_reply":
            for message in corrupted(
                fault.value, await self._buffered_response(scope, receive, key)
            ):
                await send(message)
        else:
            await fault_response(fault)(scope, receive, send)

    async def _buffered_response(
        self, scope: Scope, receive: _Replay, key: str | None
    ) -> list[Message]:
        """Carry out a request and return the messages of its response without sending them."""
        messages: list[Message] = []
        await self._answer(
            scope, receive, self._with_headers(_collect_into(messages), key or ""), key
        )
        return messages


def fault_response(fault: Fault) -> Response:
    """The response of a fault that carries nothing out."""
    if fault.name == "throttle":
        headers = {} if fault.value is None else {"Retry-After": str(fault.value)}
        detail = "rate limit exceeded for the minute window"
        return Problem(429, detail, headers=headers).response()
    if fault.name in _PAGE:
        status, page = _PAGE[fault.name]
        return HTMLResponse(page, status)
    if fault.name == "respond":
        document = fault.value if isinstance(fault.value, dict) else {}
        body = document.get("body", "")
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(
            text, document.get("status", 500), media_type=document.get("type", "text/plain")
        )
    status = fault.value if isinstance(fault.value, int) else 500
    return Problem(status, "internal server error").response()


def abort(send: Send) -> None:
    """Close the connection without another byte.

    ASGI does not support this; `send` is a method of uvicorn's request cycle, which has the
    transport.
    """
    cycle: Any = getattr(send, "__self__", None)
    if cycle is None:
        raise RuntimeError("this server's connections cannot be aborted")
    cycle.disconnected = True  # the cycle must not send a response any more
    cycle.transport.abort()


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Problem(413, f"request body exceeds {MAX_BODY} bytes")
        if not message.get("more_body"):
            return bytes(body)


def _request_facts(scope: Scope, body: bytes) -> dict[str, str | tuple[str, ...] | None]:
    """The pod and hardware of a request, for the `match` of faults."""
    parts = scope["path"].split("/")
    pod = parts[3] if scope["path"].startswith("/v2/pods/") else None
    document: Any = None
    if scope["method"] == "POST" and scope["path"] == "/v2/pods":
        try:
            document = json.loads(body)
        except ValueError:
            document = None
    if not isinstance(document, dict):
        return {"pod": pod, "gpu": None}
    hardware = document.get("gpu") or document.get("cpu")
    kind = hardware.get("id") if isinstance(hardware, dict) else None
    return {"pod": str(document.get("name", "")), "gpu": kind if isinstance(kind, str) else None}


class _Replay:
    """A `receive` that replays a request body that was already read."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body = body
        self._receive = receive
        self._delivered = False

    async def __call__(self) -> Message:
        if self._delivered:
            return await self._receive()
        self._delivered = True
        return {"type": "http.request", "body": self.body, "more_body": False}


async def _discard(_: Message) -> None:
    """A `send` that drops the response."""


def _collect_into(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


def _recording_status(send: Send, entry: Request) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
        await send(message)

    return sending
