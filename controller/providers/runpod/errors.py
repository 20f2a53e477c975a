"""Classifies responses that are not successful.

A refusal differs from an unknown result, after which a created pod may bill. Only a response of
RunPod itself counts as a refusal; an error page of a proxy does not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from controller.providers.base import Kind, ProviderError
from controller.providers.runpod.models import POD_ID, Problem
from controller.providers.runpod.outage import provider_failure
from controller.providers.runpod.transport import ApiResponse
from controller.terminal.sanitize import clean_line

_POD_ID = re.compile(POD_ID)
MAX_TEXT = 600  # characters of a provider's message that are worth showing

_CAPACITY = (
    "no longer any instances available",
    "no instances currently available",
    "no instances available",
    "does not have the resources to deploy",
    "not enough free gpus",
    "insufficient resources",
    "insufficient capacity",
    "supply_constraint",
)
_BALANCE = ("balance is too low", "insufficient balance", "insufficient_balance", "spend limit")
_CDN_FIELDS = {"cloudflare_error", "ray_id", "error_code"}  # fields of a CDN's own documents
_LIMIT = re.compile(r'"[^"]*"\s*;\s*r=0\s*;\s*t=(\d{1,6})')  # an exhausted window of `RateLimit`


@dataclass(frozen=True)
class RequestKind:
    """One kind of request, as needed for error messages and classification."""

    operation: str  # "create a pod"
    method: str
    path: str
    missing: Kind = Kind.CONFLICT  # the meaning of 404
    creates: bool = False  # follows successful requests, so the base URL is right

    @property
    def where(self) -> str:
        return f"{self.method} {self.path}"


def pod_request(operation: str, method: str, pod_id: str, suffix: str = "") -> RequestKind:
    """A request about one pod. An empty or malformed id would address something else.

    Raises ProviderError (REFUSED, not sent).
    """
    if not _POD_ID.fullmatch(pod_id):
        raise ProviderError(
            f"could not {operation}: {pod_id!r} is not a pod id", kind=Kind.REFUSED, sent=False
        )
    return RequestKind(operation, method, f"/v2/pods/{pod_id}{suffix}")


def is_missing(error: ProviderError) -> bool:
    """Whether the error is the API's own 404 for a pod, not a proxy's."""
    return error.status == 404 and error.kind is Kind.CONFLICT


OUTAGE_HINT = "nothing was done; the same command again later (https://uptime.runpod.io has news)"
NETWORK_HINT = "podctl doctor checks the network, the key and the provider"


def unreached(
    request: RequestKind, cause: str, *, sent: bool, hint: str = NETWORK_HINT
) -> ProviderError:
    """The error without a complete response; `sent`: whether the request may have arrived."""
    state = "it may have happened" if sent else "nothing was sent"
    return ProviderError(
        f"could not {request.operation}: no response from the provider",
        kind=Kind.TRANSIENT,
        sent=sent,
        where=request.where,
        cause=f"{_shortened(cause)} ({state})",
        hint=hint,
    )


def unusable(request: RequestKind, response: ApiResponse | None, cause: str) -> ProviderError:
    """The error for a response that did not come from the API."""
    blocked = response is not None and response.status == 403
    return ProviderError(
        f"could not {request.operation}: the response is not from the provider's API",
        kind=Kind.TRANSIENT,
        status=response.status if response else None,
        retry_after=retry_after(response.headers) if response else None,
        where=request.where,
        cause=_shortened(cause),
        hint=_BLOCKED_HINT if blocked else _PROXY_HINT,
    )


_PROXY_HINT = "a proxy or captive portal may be intercepting the request; podctl doctor checks"
_BLOCKED_HINT = (
    "a CDN or proxy before the API blocks this machine's requests, which says nothing about the "
    "key: wait, or try another network; podctl doctor checks"
)


def refused(request: RequestKind, response: ApiResponse) -> ProviderError:
    """The error for a response with a status of 400 or more."""
    problem = _problem(response.raw)
    if problem is None and response.status != 429:
        return unusable(
            request, response, f"status {response.status}: {_shortened(_text(response.raw), 120)!r}"
        )
    message = _message_of(problem)
    kind = _kind(request, response.status, message.lower())
    return ProviderError(
        f"could not {request.operation}: {_summary(kind, response.status)}",
        kind=kind,
        status=response.status,
        retry_after=retry_after(response.headers),
        where=request.where,
        cause=message or f"status {response.status}",
        hint=_hint(kind, response.status, message.lower()),
    )


def _kind(request: RequestKind, status: int, message: str) -> Kind:
    if status == 429:
        return Kind.THROTTLED
    if status >= 500 or status == 408:
        return Kind.TRANSIENT
    if status == 409:
        return Kind.CONFLICT
    if _mentions(message, _BALANCE):
        return Kind.REFUSED
    if status == 400 and _mentions(message, _CAPACITY):
        return Kind.CAPACITY
    if (failure := provider_failure(status, message, creates=request.creates)) is not None:
        return failure
    if status == 404:
        return request.missing
    if status == 403 and "requested pool" in message:
        return Kind.CAPACITY  # this type is not open to the account; another may be
    return Kind.REFUSED


def _summary(kind: Kind, status: int) -> str:
    if status == 401 and kind is Kind.REFUSED:
        return "the key is not accepted"
    return {
        Kind.REFUSED: "the provider refuses",
        Kind.CAPACITY: "no capacity",
        Kind.CONFLICT: "not possible in the pod's current state",
        Kind.THROTTLED: "too many requests",
        Kind.OUTAGE: "the provider has an outage that looks like a refusal",
        Kind.TRANSIENT: "the provider reported an internal error",
    }[kind]


_KEY_HINT = (
    "the key comes from RUNPOD_API_KEY, the file named by RUNPOD_API_KEY_FILE, or api_key under "
    "[default] in ~/.runpod/config.toml; podctl doctor checks it"
)


def _hint(kind: Kind, status: int, message: str) -> str:
    if kind is Kind.OUTAGE:
        return OUTAGE_HINT
    if status == 401:
        return _KEY_HINT
    if status == 403 and kind is Kind.REFUSED:
        return f"the key lacks this permission; {_KEY_HINT}"
    if status == 402 or _mentions(message, _BALANCE):
        return "add funds in RunPod's console under Billing, then the same command again"
    if status == 410:
        return "this part of the API is retired; a newer podctl is needed"
    if status == 404 and kind is Kind.REFUSED:
        return "check RUNPOD_API_BASE_URL, and the ids of volumes in podctl.toml"
    if kind is Kind.CAPACITY:
        return "podctl gpus shows what is available now; allow more types or data centers"
    if kind is Kind.CONFLICT:
        return "podctl status shows the pod as it is now"
    return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider requests to wait: `Retry-After`, else an exhausted `RateLimit`."""
    text = headers.get("Retry-After", "").strip()
    if text:
        return _delay(text, server_time(headers))
    windows = [int(seconds) for seconds in _LIMIT.findall(headers.get("RateLimit", ""))]
    return float(max(windows)) if windows else None


def server_time(headers: Mapping[str, str]) -> float | None:
    """The `Date` header as Unix seconds."""
    return _http_date(headers.get("Date", ""))


def _delay(text: str, now: float | None) -> float | None:
    """Seconds from either form of the header; a date is relative to the provider's clock."""
    try:
        seconds = float(text)
    except ValueError:
        moment = _http_date(text)
        return None if moment is None or now is None else max(0.0, moment - now)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _http_date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _problem(raw: bytes) -> Problem | None:
    """The body as the API's problem document; None if a proxy or CDN sent it."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and _CDN_FIELDS & document.keys():
        return None
    if isinstance(document, dict) and (messages := _graphql_messages(document)):
        document = {**document, "errors": messages}
    if isinstance(document, dict) and isinstance(document.get("error"), str):
        document = {**document, "detail": document.get("detail", document["error"])}
    try:
        return Problem.model_validate(document)
    except ValidationError:
        return None


def _graphql_messages(document: Mapping[str, object]) -> list[str]:
    """The messages of a GraphQL response, whose `errors` are objects instead of texts."""
    errors = document.get("errors")
    messages = (
        [error.get("message") for error in errors if isinstance(error, dict)]
        if isinstance(errors, list)
        else []
    )
    return [text for text in messages if isinstance(text, str)]


def _message_of(problem: Problem | None) -> str:
    if problem is None:
        return ""
    parts = [problem.detail or problem.title or "", *(problem.errors or ())]
    return _shortened("; ".join(part for part in parts if part))


def _mentions(message: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in message for phrase in phrases)


def _text(raw: bytes) -> str:
    return raw[: 4 * MAX_TEXT].decode("utf-8", "replace")


def _shortened(text: str, limit: int = MAX_TEXT) -> str:
    line = clean_line(text[: 4 * limit])
    return line if len(line) <= limit else f"{line[:limit]}…"
