"""Sends requests to RunPod's REST v2 API through its SDK.

The only module that calls the SDK. It turns failures into `ProviderError`; nothing is retried.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import aiohttp
from pydantic import ValidationError
from runpod.api.rest import run_rest_request_async  # type: ignore[import-untyped]  # ships none
from runpod.error import RunPodError  # type: ignore[import-untyped]  # the same

from controller.credentials.secret import Secret
from controller.errors import Refused
from controller.providers.event_loop import run_to_end
from controller.providers.runpod.errors import (
    NETWORK_HINT,
    RequestKind,
    refused,
    unreached,
    unusable,
)
from controller.providers.runpod.models import next_cursor
from controller.providers.runpod.transport import (
    ApiResponse,
    Body,
    JsonBody,
    Transport,
    UnusableResponse,
)

T = TypeVar("T")
UNWIND_SECONDS = 10.0  # of a request whose time is over


class ApiClient:
    """Makes requests with one key to one base URL. Calls may run in threads.

    `call_seconds` is the limit of one request, `clock` returns Unix seconds, and `network_hint` is
    the hint of errors of the network. Raises Refused for a key that is empty or not plain text.
    """

    def __init__(
        self,
        api_key: Secret | str,
        base_url: str,
        *,
        call_seconds: float,
        clock: Callable[[], float],
        network_hint: str = NETWORK_HINT,
    ) -> None:
        self._key = api_key if isinstance(api_key, Secret) else Secret(api_key)
        if not re.fullmatch(r"[!-~]{1,512}", self._key.reveal()):
            # With an empty key the SDK would silently use another account's key.
            raise Refused("the API key is empty or not plain text")
        self._base_url = base_url.rstrip("/")
        self._call_seconds = call_seconds
        self._clock = clock
        self._network_hint = network_hint

    def collection(
        self,
        request: RequestKind,
        key: str,
        parse: Callable[[Any], T],
        query: Mapping[str, str] | None = None,
    ) -> tuple[T, ...]:
        """Every item of the list `key`, page by page, within five times the limit of a call.

        `parse` converts one item. Raises ProviderError.
        """
        items: list[T] = []
        cursors: set[str | None] = {None}
        cursor: str | None = None
        deadline = time.monotonic() + 5 * self._call_seconds
        while time.monotonic() < deadline:
            paged = {**(query or {}), **({"cursor": cursor} if cursor else {})}
            document, response = self.call(request, query=paged)
            page = document.get(key) if isinstance(document, dict) else None
            if not isinstance(page, list):
                raise unusable(request, response, f"it contains no list of {key}")
            items += [parsed(request, response, parse, item) for item in page]
            cursor = parsed(request, response, next_cursor, document)
            if cursor is None:
                return tuple(items)
            if cursor in cursors:
                raise unusable(request, response, "the same page was returned twice")
            cursors.add(cursor)
        raise unreached(request, "the list did not end in time", sent=True)

    def call(
        self,
        request: RequestKind,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        body: Body | None = None,
        seconds: float | None = None,
    ) -> tuple[Any, ApiResponse]:
        """Make one request. Returns the document (None for an empty one) and its response.

        Raises ProviderError, with the cause as text: the SDK's exceptions contain the key's header
        and are not chained.
        """
        transport = Transport(self._base_url + request.path, body or JsonBody(), self._clock)
        allowed = seconds or self._call_seconds
        try:
            document = run_to_end(
                self._send(request, transport, query, json, allowed), allowed + UNWIND_SECONDS
            )
        except RunPodError as error:
            if transport.response is None:
                raise unreached(request, str(error), sent=transport.connected) from None
            raise refused(request, transport.response) from None
        except UnusableResponse as error:
            raise unusable(request, transport.response, str(error)) from None
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise unreached(
                request, _cause(error), sent=transport.connected, hint=self._network_hint
            ) from None
        if transport.response is None:
            raise unreached(request, "no response", sent=transport.connected)
        return document, transport.response

    async def _send(
        self,
        request: RequestKind,
        transport: Transport,
        query: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
        seconds: float,
    ) -> Any:
        async with asyncio.timeout(seconds + 1):  # in case the SDK's own limit fails
            return await run_rest_request_async(
                request.method,
                request.path,
                api_key=self._key.reveal(),
                params=query,
                json=json,
                timeout=seconds,
                session=transport,
            )


def parsed(
    request: RequestKind, response: ApiResponse, parse: Callable[[Any], T], document: Any
) -> T:
    """`parse(document)`, with its ValidationError as ProviderError."""
    try:
        return parse(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        raise unusable(request, response, f"{field}: {first['msg']}") from None


def _cause(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}"
