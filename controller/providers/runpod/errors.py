"""What an answer that is no success means, decided once.

A definite no and "nobody knows" are different things: after the second a create may bill. So only
what RunPod itself said counts as a no; an error page of a proxy in between does not.
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
from controller.providers.runpod.outage import own_failure
from controller.providers.runpod.transport import Answer
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
_OF_A_CDN = {"cloudflare_error", "ray_id", "error_code"}  # what a CDN's own documents carry
_LIMIT = re.compile(r'"[^"]*"\s*;\s*r=0\s*;\s*t=(\d{1,6})')  # a used-up window of `RateLimit`


@dataclass(frozen=True)
class RequestKind:
    """One request as an error message needs it."""

    what: str  # "create a pod"
    method: str
    path: str
    missing: Kind = Kind.CONFLICT  # what 404 means here
    creates: bool = False  # others were answered before it: the address is right

    @property
    def where(self) -> str:
        return f"{self.method} {self.path}"


def pod_ask(what: str, method: str, pod_id: str, rest: str = "") -> RequestKind:
    """A request about one pod. An empty or crooked id would address something else.

    Raises: ProviderError (REFUSED, not sent).
    """
    if not _POD_ID.fullmatch(pod_id):
        raise ProviderError(
            f"could not {what}: {pod_id!r} is not a pod id", kind=Kind.REFUSED, sent=False
        )
    return RequestKind(what, method, f"/v2/pods/{pod_id}{rest}")


def is_missing(error: ProviderError) -> bool:
    """The API's own 404 for a pod, not that of some proxy."""
    return error.status == 404 and error.kind is Kind.CONFLICT


OUTAGE_HINT = "nothing was done; the same command again later (https://uptime.runpod.io has news)"
NETWORK_HINT = "podctl doctor checks the network, the key and the provider"


def unreached(ask: RequestKind, why: str, *, sent: bool, hint: str = NETWORK_HINT) -> ProviderError:
    """No whole answer came; `sent` says whether the request may have arrived."""
    state = "it may have happened" if sent else "nothing was sent"
    return ProviderError(
        f"could not {ask.what}: no answer from the provider",
        kind=Kind.TRANSIENT,
        sent=sent,
        where=ask.where,
        cause=f"{_short(why)} ({state})",
        hint=hint,
    )


def unusable(ask: RequestKind, answer: Answer | None, why: str) -> ProviderError:
    """Something answered, and it was not the API."""
    blocked = answer is not None and answer.status == 403
    return ProviderError(
        f"could not {ask.what}: the answer is not the provider's API",
        kind=Kind.TRANSIENT,
        status=answer.status if answer else None,
        retry_after=retry_after(answer.headers) if answer else None,
        where=ask.where,
        cause=_short(why),
        hint=_BLOCKED_HINT if blocked else _BETWEEN_HINT,
    )


_BETWEEN_HINT = "a proxy or captive portal may be intercepting the request; podctl doctor checks"
_BLOCKED_HINT = (
    "a CDN or proxy before the API blocks this machine's requests, which says nothing about the "
    "key: wait, or try another network; podctl doctor checks"
)


def refused(ask: RequestKind, answer: Answer) -> ProviderError:
    """The error for an answer with a status of 400 or more."""
    problem = _problem(answer.raw)
    if problem is None and answer.status != 429:
        return unusable(ask, answer, f"status {answer.status}: {_short(_text(answer.raw), 120)!r}")
    said = _said(problem)
    kind = _kind(ask, answer.status, said.lower())
    return ProviderError(
        f"could not {ask.what}: {_verdict(kind, answer.status)}",
        kind=kind,
        status=answer.status,
        retry_after=retry_after(answer.headers),
        where=ask.where,
        cause=said or f"status {answer.status}",
        hint=_hint(kind, answer.status, said.lower()),
    )


def _kind(ask: RequestKind, status: int, said: str) -> Kind:
    if status == 429:
        return Kind.THROTTLED
    if status >= 500 or status == 408:
        return Kind.TRANSIENT
    if status == 409:
        return Kind.CONFLICT
    if _mentions(said, _BALANCE):
        return Kind.REFUSED
    if status == 400 and _mentions(said, _CAPACITY):
        return Kind.CAPACITY
    if (failure := own_failure(status, said, creates=ask.creates)) is not None:
        return failure
    if status == 404:
        return ask.missing
    if status == 403 and "requested pool" in said:
        return Kind.CAPACITY  # this type is closed to the account; another may not be
    return Kind.REFUSED


def _verdict(kind: Kind, status: int) -> str:
    if status == 401 and kind is Kind.REFUSED:
        return "the key is not accepted"
    return {
        Kind.REFUSED: "the provider refuses",
        Kind.CAPACITY: "no capacity",
        Kind.CONFLICT: "not possible in the pod's present state",
        Kind.THROTTLED: "too many requests",
        Kind.OUTAGE: "the provider has an outage that looks like a refusal",
        Kind.TRANSIENT: "the provider has a failure of its own",
    }[kind]


_KEY_HINT = (
    "the key comes from RUNPOD_API_KEY, the file named by RUNPOD_API_KEY_FILE, or api_key under "
    "[default] in ~/.runpod/config.toml; podctl doctor checks it"
)


def _hint(kind: Kind, status: int, said: str) -> str:
    if kind is Kind.OUTAGE:
        return OUTAGE_HINT
    if status == 401:
        return _KEY_HINT
    if status == 403 and kind is Kind.REFUSED:
        return f"the key lacks this permission; {_KEY_HINT}"
    if status == 402 or _mentions(said, _BALANCE):
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
    """Seconds that the provider asks us to wait: `Retry-After`, else a used-up `RateLimit`."""
    text = headers.get("Retry-After", "").strip()
    if text:
        return _delay(text, server_time(headers))
    windows = [int(found) for found in _LIMIT.findall(headers.get("RateLimit", ""))]
    return float(max(windows)) if windows else None


def server_time(headers: Mapping[str, str]) -> float | None:
    """The `Date` header as Unix seconds."""
    return _http_date(headers.get("Date", ""))


def _delay(text: str, now: float | None) -> float | None:
    """Both forms of the header; a date is measured by the provider's own clock."""
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
    """The body as the API's problem document; None for what something before it said."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, dict) and _OF_A_CDN & document.keys():
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
    """The messages of a GraphQL answer, whose `errors` are objects and not texts."""
    errors = document.get("errors")
    found = (
        [error.get("message") for error in errors if isinstance(error, dict)]
        if isinstance(errors, list)
        else []
    )
    return [text for text in found if isinstance(text, str)]


def _said(problem: Problem | None) -> str:
    if problem is None:
        return ""
    parts = [problem.detail or problem.title or "", *(problem.errors or ())]
    return _short("; ".join(part for part in parts if part))


def _mentions(said: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in said for phrase in phrases)


def _text(raw: bytes) -> str:
    return raw[: 4 * MAX_TEXT].decode("utf-8", "replace")


def _short(text: str, limit: int = MAX_TEXT) -> str:
    line = clean_line(text[: 4 * limit])
    return line if len(line) <= limit else f"{line[:limit]}…"
