"""The S3 API of the account's network volumes: the operations that RunPod documents.

Base path `/s3/<data center in lower case>`; a bucket is a volume of that data center. What RunPod
does not have (DeleteObjects, presigned URLs, ACLs, versions, …) is answered NotImplemented.
Source: docs.runpod.io/storage/s3-api.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from xml.etree.ElementTree import ParseError, fromstring

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from controller.providers import emulator_keys
from controller.providers.emulator.cloud import Cloud
from controller.providers.emulator.faults.faults import Fault
from controller.providers.emulator.storage import listing
from controller.providers.emulator.storage.errors import StorageError
from controller.providers.emulator.storage.objects import Bucket
from controller.providers.emulator.storage.signature import (
    SignedRequest,
    StorageKey,
    check_signature,
)
from controller.providers.emulator.storage.uploads import Uploads, receive

BASE = "/s3/"
GB = 10**9
MAX_DOCUMENT = 1024 * 1024  # bytes of a request's XML
FAULTS = ("server_error", "bad_gateway", "slow_request", "respond", "lose_object")
_KNOWN = {"list-type", "prefix", "delimiter", "max-keys", "continuation-token", "start-after",
          "uploads", "uploadId", "partNumber", "encoding-type", "fetch-owner", "x-id", "marker",
          "max-uploads", "max-parts", "part-number-marker", "max-buckets"}  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One signed request to one bucket; `key` is empty for the bucket itself."""

    request: Request
    bucket: Bucket
    name: str
    key: str
    payload: str
    fault: Fault | None

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params


class StorageApi:
    """The ASGI application below `BASE`."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._etags: dict[tuple[str, int, int], str] = {}

    async def __call__(self, scope: Scope, receive_: Receive, send: Send) -> None:
        request = Request(scope, receive_)
        try:
            response = await self._answer(request)
        except StorageError as error:
            response = error.response(body=request.method != "HEAD")
        response.headers["Server"] = "RunpodS3"
        await response(scope, receive_, send)

    async def _answer(self, request: Request) -> Response:
        center, _, rest = request.scope["path"].removeprefix(BASE).partition("/")
        name, _, key = rest.partition("/")
        payload = self._check(request, center)
        fault = self._cloud.faults.take(
            *FAULTS, method=request.method, path=request.scope["path"], agent="", pod=None, gpu=None
        )
        if fault is not None and fault.name != "lose_object":
            return await _failure(fault)
        if not name:
            return listing.buckets(self._volumes(center))
        unknown = request.query_params.keys() - _KNOWN
        if unknown:
            raise StorageError(
                "NotImplemented", f"not supported here: {', '.join(sorted(unknown))}"
            )
        call = Call(request, self._bucket(center, name), name, key, payload, fault)
        return await (_of_object(call) if key else _of_bucket(call))

    def _check(self, request: Request, center: str) -> str:
        signed = SignedRequest(
            request.method,
            request.scope["raw_path"].decode("ascii"),
            request.scope["query_string"].decode("ascii"),
            dict(request.headers.items()),
        )
        key = StorageKey(*emulator_keys.storage_key(self._cloud.api_key))
        return check_signature(signed, key, center, self._cloud.now())

    def _volumes(self, center: str) -> dict[str, float]:
        with self._cloud.lock:
            volumes = self._cloud.state.volumes.values()
            return {volume.id: 0.0 for volume in volumes if volume.data_center.lower() == center}

    def _bucket(self, center: str, name: str) -> Bucket:
        with self._cloud.lock:
            volume = self._cloud.state.volumes.get(name)
        if volume is None or volume.data_center.lower() != center:
            raise StorageError("NoSuchBucket", "the bucket does not exist in this data center")
        folder = self._cloud.folder / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Bucket(folder, volume.size * GB, self._etags)


async def _failure(fault: Fault) -> Response:
    if fault.name == "slow_request":
        await asyncio.sleep(float(fault.value or 0))
        raise StorageError("InternalError", "the request took too long")
    if fault.name == "bad_gateway":
        return Response("<html><h1>502 Bad Gateway</h1></html>", 502, media_type="text/html")
    if fault.name == "respond" and isinstance(fault.value, dict):
        return Response(str(fault.value.get("body", "")), int(fault.value.get("status", 500)))
    raise StorageError("InternalError", "internal error")


async def _of_bucket(call: Call) -> Response:
    method, query = call.request.method, call.query
    if method == "HEAD":
        return Response()
    if method != "GET":
        raise StorageError("NotImplemented", "buckets are network volumes: use the other API")
    if "uploads" in query:
        return listing.uploads(call.name, Uploads(call.bucket).all())
    return await run_in_threadpool(listing.objects, call.name, call.bucket, query)


async def _of_object(call: Call) -> Response:
    method, query = call.request.method, call.query
    uploads = Uploads(call.bucket)
    if method in ("GET", "HEAD"):
        if "uploadId" in query:
            parts = uploads.parts(call.key, query["uploadId"])
            return listing.parts(call.name, call.key, query["uploadId"], parts)
        return await run_in_threadpool(_get, call)
    if method == "PUT":
        return await _put(call, uploads)
    if method == "DELETE":
        if "uploadId" in query:
            uploads.abort(call.key, query["uploadId"])
        else:
            call.bucket.delete(call.key)
        return Response(status_code=204)
    if method == "POST" and "uploads" in query:
        return listing.created(call.name, call.key, uploads.create(call.key))
    if method == "POST" and "uploadId" in query:
        wanted = _wanted_parts(await call.request.body())
        etag = await run_in_threadpool(uploads.complete, call.key, query["uploadId"], wanted)
        if call.fault is not None:  # seen: a large upload succeeds, and the object is not there
            call.bucket.delete(call.key)
        return listing.completed(call.name, call.key, etag)
    raise StorageError("NotImplemented", "this operation is not supported")


def _get(call: Call) -> Response:
    found, path = call.bucket.get(call.key)
    wanted = call.request.headers.get("if-match")
    if wanted is not None and wanted.strip('"') != found.etag:
        raise StorageError("PreconditionFailed", "the object has another ETag")
    headers = {
        "ETag": f'"{found.etag}"',
        "Last-Modified": formatdate(found.modified, usegmt=True),
        "Accept-Ranges": "bytes",
    }
    return FileResponse(path, headers=headers, media_type="application/octet-stream")


async def _put(call: Call, uploads: Uploads) -> Response:
    headers, query = call.request.headers, call.query
    if "aws-chunked" in headers.get("content-encoding", ""):
        raise StorageError("NotImplemented", "chunked signatures are not supported")
    if not headers.get("content-length", "").isdigit():
        raise StorageError("MissingContentLength", "the length of the body is missing")
    size = int(headers["content-length"])
    if "uploadId" in query:
        number = int(query["partNumber"]) if query.get("partNumber", "").isdigit() else 0
        target = uploads.part_path(call.key, query["uploadId"], number)
    else:
        target = call.bucket.path(call.key)
    await run_in_threadpool(call.bucket.check_space, size)
    if "x-amz-copy-source" in headers:
        raise StorageError("NotImplemented", "copies are not supported by the emulator")
    etag = await receive(call.request.stream(), target, call.payload)
    if "uploadId" in query:
        uploads.note(target, etag)
    elif call.fault is not None:
        call.bucket.delete(call.key)
    return Response(headers={"ETag": f'"{etag}"'})


def _wanted_parts(body: bytes) -> tuple[tuple[int, str], ...]:
    """Number and ETag of each part in a CompleteMultipartUpload document."""
    if len(body) > MAX_DOCUMENT:
        raise StorageError("MalformedXML", "the document is too large")
    try:
        root = fromstring(body)  # noqa: S314 - from this user's own client, bounded, no entities kept
        return tuple(
            (int(part.findtext("{*}PartNumber", "")), part.findtext("{*}ETag", "").strip('"'))
            for part in root.findall("{*}Part")
        )
    except (ParseError, ValueError) as error:
        raise StorageError("MalformedXML", "the list of parts cannot be parsed") from error
