"""Refusals of the emulated API, as RFC 9457 problem documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}

NO_CAPACITY = (
    "There are no longer any instances available with the requested specifications. "
    "Please refresh and try again."
)
TRANSLATION = (  # the response to every create call for hours on 2026-08-28
    'Variable "$input" got invalid value { name: "pod" }; Field "objectMounts" is not defined by '
    'type "PodFindAndDeployOnDemandInput".'
)
NO_FREE_GPU = "There are not enough free GPUs on the host machine to start this pod."
LOW_BALANCE = "Your account balance is too low to rent a pod. Please add funds to your account."


class Problem(Exception):
    """An error response: HTTP `status` with `detail`; `code` is GraphQL's error code."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        code: str = "RUNPOD",
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})
        self.code = code

    def response(self) -> Response:
        body: dict[str, Any] = {
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        return JSONResponse(
            body, self.status, headers=self.headers, media_type="application/problem+json"
        )


def invalid(*errors: str) -> Problem:
    """422: the document does not match the published schema."""
    return Problem(422, "Request validation failed.", errors=errors)


def not_found(resource: str = "resource") -> Problem:
    return Problem(404, f"{resource} not found")
