"""One request and its answer, under the SDK's transport.

The SDK's asynchronous transport accepts a session from its caller. An `Exchange` stands in that
place: the SDK still builds the request (key, headers, JSON), while the exchange decides what the
SDK leaves open. The base URL belongs to one provider and not to the whole process, redirects are
not followed, nothing is replayed, the body is bounded, and the answer's headers are kept.
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

from controller.providers import certificates as trust
from controller.providers.proxies import proxy_for

MAX_BODY = 10_000_000  # bytes; ten thousand pods are about 10 MB
CHUNK = 64 * 1024
REQUEST_IDS = ("x-request-id", "cf-ray")  # headers that a provider's support asks for

_LOG = logging.getLogger("podctl.api")


class UnusableAnswer(Exception):
    """The bytes that came are no answer of this API: too many, cut, encoded or not JSON."""


class Body(Protocol):
    """How the body of an answer is read, and what document it is."""

    accept: str

    async def read(self, response: aiohttp.ClientResponse) -> bytes: ...

    def decode(self, raw: bytes) -> Any: ...


class JsonBody:
    """A whole JSON document of at most `MAX_BODY` bytes."""

    accept = "application/json"

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        raw = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            raw += chunk
            if len(raw) > MAX_BODY:
                raise UnusableAnswer(f"the answer is over {MAX_BODY} bytes")
        return bytes(raw)

    def decode(self, raw: bytes) -> Any:
        try:
            return jsonlib.loads(raw)
        except (ValueError, RecursionError) as error:
            raise UnusableAnswer(f"the answer is not JSON: {error}") from error


@dataclass(frozen=True)
class Answer:
    """What came back, in full; the methods are those that the SDK's transport calls."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Body
    sent_at: float  # Unix seconds, our clock
    received_at: float

    async def text(self, errors: str = "replace") -> str:
        return self.raw.decode("utf-8", errors)

    async def read(self) -> bytes:
        return self.raw

    async def json(self, content_type: str | None = None) -> Any:  # noqa: ARG002 - the SDK's call
        return self.body.decode(self.raw)


@dataclass
class Transport:
    """A session for one request to `url`; afterwards it knows what happened."""

    url: str
    body: Body = field(default_factory=JsonBody)
    clock: Callable[[], float] = time.time
    connected: bool = False  # from here on the provider may have acted
    answer: Answer | None = None
    _retry_connection: bool = True  # the SDK turns it off: nothing is sent twice

    @asynccontextmanager
    async def request(
        self,
        method: str,
        _url: str,  # built from the process's environment; ours is `self.url`
        *,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        json: Any,
        timeout: aiohttp.ClientTimeout,
    ) -> AsyncIterator[Answer]:
        """Called by the SDK's transport."""
        with self._logged(method):
            answer = await self._exchange(method, headers, params, json, timeout)
        yield answer

    async def _exchange(
        self,
        method: str,
        headers: Mapping[str, str],
        params: Mapping[str, Any] | None,
        json: Any,
        timeout: aiohttp.ClientTimeout,
    ) -> Answer:
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
                self.answer = await self._receive(response, sent_at)
        return self.answer

    @contextmanager
    def _logged(self, method: str) -> Iterator[None]:
        """Record the request: method, path, status, milliseconds, request id."""
        began = time.monotonic()
        try:
            yield
        finally:
            answer = self.answer
            status = str(answer.status) if answer is not None else "no answer"
            headers = answer.headers if answer is not None else {}
            request_id = next((headers[name] for name in REQUEST_IDS if name in headers), "-")
            path, ms = urlsplit(self.url).path, 1000 * (time.monotonic() - began)
            _LOG.info("%s %s %s %.0f ms %s", method, path, status, ms, request_id)

    async def _receive(self, response: aiohttp.ClientResponse, sent_at: float) -> Answer:
        received_at = self.clock()
        body = self.body if response.status == 200 else JsonBody()
        answer = Answer(response.status, response.headers, b"", body, sent_at, received_at)
        self.answer = answer  # status and headers stay known when the body is unusable
        if 300 <= response.status < 400:
            raise UnusableAnswer(f"redirected to {response.headers.get('Location', 'nowhere')!r}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnusableAnswer("the answer is compressed, which was not asked for")
        raw = await body.read(response)
        return Answer(response.status, response.headers, raw, body, sent_at, received_at)

    def _session(self) -> aiohttp.ClientSession:
        secure = self.url.startswith("https:")
        proxy = proxy_for(self.url, os.environ) if secure else None  # never for loopback
        return aiohttp.ClientSession(
            auto_decompress=False,  # no answer unfolds to more than was counted
            connector=aiohttp.TCPConnector(ssl=trust.context()) if secure else None,
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
