"""Everything between the socket and the endpoints: size, faults, keys, quotas, headers."""

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
from controller.providers.emulator.faults.faults import WIRE, Fault
from controller.providers.emulator.faults.recorder import Traffic
from controller.providers.emulator.faults.request_log import Request, RequestLog
from controller.providers.emulator.faults.response_faults import spoilt

MAX_BODY = 102_400  # bytes
OWN = "/_emulator"  # the control endpoints: the account's key, no quota, no faults
GRAPHQL = "/graphql"  # checks its keys itself: the catalog needs none
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>"
_CDN = "<html><head><title>Access denied</title></head><body>error code: 1010</body></html>"
_PAGE = {"bad_gateway": (502, _HTML), "cdn_block": (403, _CDN)}


class Gate:
    """ASGI application around the endpoints."""

    def __init__(self, app: ASGIApp, cloud: Cloud, log: RequestLog) -> None:
        self._app = app
        self._cloud = cloud
        self._limit = RateLimit(cloud.settings.quota)
        self._log = log
        self._traffic = Traffic(cloud.folder) if cloud.settings.record_traffic else None

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
        note = self._log.open(scope["method"], scope["path"], self._cloud.now())
        await self._serve(scope, _Replay(body, receive), _noting(visible, note), send, key)

    def _with_headers(self, send: Send, key: str) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                quota = self._limit.headers(key, self._cloud.now())
                MutableHeaders(scope=message).update(quota)
            await send(message)

        return sending

    async def _serve(
        self, scope: Scope, receive: _Replay, send: Send, wire: Send, key: str | None
    ) -> None:
        fault = self._cloud.faults.take(
            *WIRE,
            method=scope["method"],
            path=scope["path"],
            agent=Headers(scope=scope).get("user-agent", ""),
            **_subject(scope, receive.body),
        )
        if fault is None:
            await self._answer(scope, receive, send, key)
        else:
            await self._spoil(fault, scope, receive, send, wire, key)

    async def _answer(self, scope: Scope, receive: _Replay, send: Send, key: str | None) -> None:
        if self._traffic is not None and scope["path"].startswith("/v2/"):
            send = self._traffic.listening(send, scope, receive.body)
        try:
            self._limit.count(key or "", self._cloud.now())
            if not scope["path"].startswith(GRAPHQL):
                who = caller(self._cloud, key, scope["method"], scope["path"])
                authorize(who, scope["method"], scope["path"])
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _spoil(
        self, fault: Fault, scope: Scope, receive: _Replay, send: Send, wire: Send, key: str | None
    ) -> None:
        """What a fault makes of one request."""
        unheard = self._with_headers(_nowhere, key or "")  # complete, as every reply is
        if fault.name in ("drop_reply", "delete_ambiguous"):
            await self._answer(scope, receive, unheard, key)
            cut(wire)
        elif fault.name == "commit_late":
            cut(wire)
            await asyncio.sleep(float(fault.value or 0))
            await self._answer(scope, receive, unheard, key)
        elif fault.name == "fail_after_commit":
            await self._answer(scope, receive, unheard, key)
            await Problem(500, "internal server error").response()(scope, receive, send)
        elif fault.name == "slow_request":
            await asyncio.sleep(float(fault.value or 0))
            await self._answer(scope, receive, send, key)
        elif fault.name == "slow_reply":
            held = await self._held(scope, receive, key)
            await asyncio.sleep(float(fault.value or 0))
            for message in held:
                await send(message)
        elif fault.name == "garble_reply":
            for message in spoilt(fault.value, await self._held(scope, receive, key)):
                await send(message)
        else:
            await instead(fault)(scope, receive, send)

    async def _held(self, scope: Scope, receive: _Replay, key: str | None) -> list[Message]:
        """The whole answer to a request that was carried out, not sent yet."""
        held: list[Message] = []
        await self._answer(scope, receive, self._with_headers(_into(held), key or ""), key)
        return held


def instead(fault: Fault) -> Response:
    """The answer of a fault that does nothing but answer."""
    if fault.name == "throttle":
        headers = {} if fault.value is None else {"Retry-After": str(fault.value)}
        detail = "rate limit exceeded for the minute window"
        return Problem(429, detail, headers=headers).response()
    if fault.name in _PAGE:
        status, page = _PAGE[fault.name]
        return HTMLResponse(page, status)
    if fault.name == "respond":
        told = fault.value if isinstance(fault.value, dict) else {}
        body = told.get("body", "")
        text = body if isinstance(body, str) else json.dumps(body)
        return Response(text, told.get("status", 500), media_type=told.get("type", "text/plain"))
    status = fault.value if isinstance(fault.value, int) else 500
    return Problem(status, "internal server error").response()


def cut(send: Send) -> None:
    """Close the connection without another byte.

    ASGI has no word for it; `send` is a method of uvicorn's request cycle, which has the transport.
    """
    cycle: Any = getattr(send, "__self__", None)
    if cycle is None:
        raise RuntimeError("this server's connections cannot be cut")
    cycle.disconnected = True  # the cycle must not try to answer any more
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


def _subject(scope: Scope, body: bytes) -> dict[str, str | tuple[str, ...] | None]:
    """Which pod and which hardware a request is about, as far as one can tell from outside."""
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
    """`receive` for an application whose request body was read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self.body = body
        self._receive = receive
        self._told = False

    async def __call__(self) -> Message:
        if self._told:
            return await self._receive()
        self._told = True
        return {"type": "http.request", "body": self.body, "more_body": False}


async def _nowhere(_: Message) -> None:
    """A reply nobody hears."""


def _into(held: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        held.append(message)

    return keep


def _noting(send: Send, note: Request) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            note.status = message["status"]
        await send(message)

    return sending
