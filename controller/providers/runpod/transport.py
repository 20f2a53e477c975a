"""The HTTP session of one request, passed to the SDK's transport.

The SDK's asynchronous transport accepts a session from its caller. `Transport` is such a session:
the SDK still builds the request (key, headers, JSON), while `Transport` decides the rest. The base
URL belongs to one provider instead of the process, redirects are not followed, nothing is replayed,
the body is bounded, and the response headers are kept.
"""

from __future__ import annotations

import json as jsonlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from controller.providers import certificates
from controller.providers.proxies import proxy_for

MAX_BODY = 10_000_000  # bytes; ten thousand pods are about 10 MB
CHUNK = 64 * 1024
REQUEST_IDS = ("x-request-id", "cf-ray")  # headers that a provider's support asks for

_LOG = logging.getLogger("podctl.api")


class UnusableResponse(Exception):
    """The response is not one of this API: too long, cut, compressed or not JSON."""


class Body(Protocol):
    """Reads and decodes the body of a response."""

    accept: str

    async def read(self, response: aiohttp.ClientResponse) -> bytes: ...

    def decode(self, raw: bytes) -> Any: ...


class JsonBody:
    """A complete JSON document of at most `MAX_BODY` bytes."""

    accept = "application/json"

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            raw += chunk
            if len(raw) > MAX_BODY:
                raise UnusableResponse(f"the response is over {MAX_BODY} bytes")
        return bytes(raw)

    def decode(self, raw: bytes) -> Any:
        try:
            return jsonlib.loads(raw)
        except (ValueError, RecursionError) as error:
            raise UnusableResponse(f"the response is not JSON: {error}") from error


@dataclass(frozen=True)
class ApiResponse:
    """A complete response; the methods are those that the SDK's transport calls."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Body
    sent_at: float  # Unix seconds, local clock
    received_at: float

    async def text(self, errors: str = "replace") -> str:
        return self.raw.decode("utf-8", errors)

    async def read(self) -> bytes:
        return self.raw

    async def json(self, content_type: str | None = None) -> Any:  # noqa: ARG002 - the SDK's call
        return self.body.decode(self.raw)


@dataclass
class Transport:
    """A session for one request to `url`, which records the result."""

    url: str
    body: Body = field(default_factory=JsonBody)
    clock: Callable[[], float] = time.time
    connected: bool = False  # from here on the provider may have acted
    response: ApiResponse | None = None
    _retry_connection: bool = True  # the SDK turns it off, so that nothing is sent twice

    @asynccontextmanager
    async def request(
        self,
        method: str,
        _url: str,  # built from the process's environment; `self.url` is used instead
        *,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        json: Any,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[ApiResponse]:
        """Called by the SDK's transport."""
        with self._logged(method):
            received = await self._exchange(method, headers, params, json, timeout)
        yield received

    async def _exchange(
        self,
        method: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        json: Any,
        timeout: aiohttp.ClientTimeout,
    ) -> ApiResponse:
        async with self._session() as session:
            session._retry_connection = self._retry_connection
            sent_at = self.clock()
            async with session.request(
                method,
                self.url,
                headers={**headers, "Accept": self.body.accept, "Accept-Encoding": "identity"},
                params=params,
                json=json,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                self.response = await self._receive(response, sent_at)
        return self.response

    @contextmanager
    def _logged(self, method: str) -> Iterator[None]:
        """Record the request: method, path, status, milliseconds, request id."""
        start = time.monotonic()
        try:
            yield
        finally:
            received = self.response
            status = str(received.status) if received is not None else "no answer"
            headers = received.headers if received is not None else {}
            request_id = next((headers[name] for name in REQUEST_IDS if name in headers), "-")
            path, ms = urlsplit(self.url).path, 1000 * (time.monotonic() - start)
            _LOG.info("%s %s %s %.0f ms %s", method, path, status, ms, request_id)

    async def _receive(self, response: aiohttp.ClientResponse, sent_at: float) -> ApiResponse:
        received_at = self.clock()
        body = self.body if response.status == 200 else JsonBody()
        received = ApiResponse(response.status, response.headers, b"", body, sent_at, received_at)
        self.response = received  # status and headers stay known when the body is unusable
        if 300 <= response.status < 400:
            raise UnusableResponse(f"redirected to {response.headers.get('Location', 'nowhere')!r}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnusableResponse("the response is compressed although that was not requested")
        raw = await body.read(response)
        return ApiResponse(response.status, response.headers, raw, body, sent_at, received_at)

    def _session(self) -> aiohttp.ClientSession:
        secure = self.url.startswith("https:")
        proxy = proxy_for(self.url, os.environ) if secure else None  # never for loopback
        return aiohttp.ClientSession(
            auto_decompress=False,  # so that MAX_BODY limits the decoded size
            connector=aiohttp.TCPConnector(ssl=certificates.context()) if secure else None,
            trace_configs=[self._trace()],
            proxy=proxy.url if proxy else None,
        )

    def _trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(self._on_connected)
        return trace

    async def _on_connected(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _params: aiohttp.TraceConnectionCreateEndParams,
    ) -> None:
        self.connected = True
