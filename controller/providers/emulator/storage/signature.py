"""AWS Signature Version 4, as the storage API checks it. Pure.

Source: AWS, "Authenticating Requests (AWS Signature Version 4)", Amazon S3 API Reference. Other
than S3, RunPod accepts a clock that is up to an hour off.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from controller.providers.emulator.storage.errors import StorageError

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW_SECONDS = 3600.0
UNSIGNED = "UNSIGNED-PAYLOAD"

_AUTHORIZATION = re.compile(
    ALGORITHM + r"\s+Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[^/,\s]+)/s3/"
    r"aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class SignedRequest:
    """What a signature covers. `path` and `query` are as they were sent, still encoded."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class StorageKey:
    """The account's key pair of the storage API."""

    access: str
    secret: str


def check_signature(request: SignedRequest, key: StorageKey, region: str, now: float) -> str:
    """The payload hash that the sender signed (`UNSIGNED-PAYLOAD` or a sha256).

    `now`: Unix seconds. Raises StorageError.
    """
    header = request.headers.get("authorization")
    if header is None:
        raise StorageError("AccessDenied", "the request is not signed")
    match = _AUTHORIZATION.fullmatch(header.strip())
    if match is None:
        raise StorageError("AuthorizationHeaderMalformed", "the signature cannot be parsed")
    if match["key"] != key.access:
        raise StorageError("InvalidAccessKeyId", "the access key does not exist")
    stamp = request.headers.get("x-amz-date", "")
    _check_time(stamp, match["day"], now)
    if match["region"].lower() != region.lower():
        raise StorageError(
            "AuthorizationHeaderMalformed", f"the region is wrong; expecting {region!r}"
        )
    payload = request.headers.get("x-amz-content-sha256", UNSIGNED)
    scope = f"{match['day']}/{match['region']}/s3/aws4_request"
    canonical = _canonical(request, match["headers"], payload)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join((ALGORITHM, stamp, scope, digest))
    expected = hmac.new(_signing_key(key.secret, scope), text.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, match["signature"]):
        raise StorageError("SignatureDoesNotMatch", "the signature does not match; check the key")
    return payload


def _check_time(stamp: str, day: str, now: float) -> None:
    try:
        sent = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError as error:
        raise StorageError("AccessDenied", "x-amz-date is missing or invalid") from error
    if abs(now - sent) > MAX_SKEW_SECONDS or not stamp.startswith(day):
        raise StorageError("RequestTimeTooSkewed", "the clock of the sender is too far off")


def _canonical(request: SignedRequest, names: str, payload: str) -> str:
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names.split(";")
    )
    return "\n".join(
        (request.method, request.path, _canonical_query(request.query), headers, names, payload)
    )


def _canonical_query(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(sorted(f"{_encoded(name)}={_encoded(value)}" for name, _, value in pairs))


def _encoded(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
