"""The only module that imports boto3: one volume's objects, with podctl's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from controller.errors import ConnectionLost, NotFound, PodctlError, Refused
from controller.storage.access import ACCESS, MADE_UNDER, SECRET, StorageAccess

BLOCK = 1024 * 1024
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0  # without a byte
COMPLETE_SECONDS = 600.0  # putting the parts of tens of GB together
TRIES = 8  # of one request; the storage API answers 502 now and then


class VolumeFull(PodctlError):
    """The network volume has no room for the file."""

    code = "volume-full"


@dataclass(frozen=True)
class StoredFile:
    """One file on a volume; `modified` in Unix seconds."""

    path: str
    size: int
    modified: float
    etag: str


@dataclass(frozen=True)
class UploadedPart:
    """One part of an unfinished upload."""

    number: int
    size: int
    etag: str


class VolumeClient(Protocol):
    """The objects of one volume. Each call has its own deadline and raises only PodctlError."""

    def files(self, prefix: str = "") -> Iterator[StoredFile]: ...

    def head(self, path: str) -> StoredFile | None: ...

    def read(self, path: str, etag: str, start: int) -> Iterator[bytes]: ...

    def put(self, path: str, content: bytes) -> str: ...

    def begin(self, path: str) -> str: ...

    def unfinished(self, path: str) -> tuple[str, ...]: ...

    def parts(self, path: str, upload: str) -> tuple[UploadedPart, ...]: ...

    def put_part(self, path: str, upload: str, number: int, content: bytes) -> str: ...

    def complete(self, path: str, upload: str, parts: list[tuple[int, str]]) -> None: ...

    def abort(self, path: str, upload: str) -> None: ...

    def delete(self, path: str) -> None: ...


def open_volume(access: StorageAccess, volume: str) -> VolumeClient:
    """The files of the network volume with this id. Sends nothing."""
    return _S3Volume(access, volume)


class _S3Volume:
    def __init__(self, access: StorageAccess, volume: str) -> None:
        self._volume = volume
        self._where = f"{access.endpoint}/{volume}"
        self._client = _client(access, READ_SECONDS, TRIES)
        self._patient = _client(access, COMPLETE_SECONDS, 1)

    def files(self, prefix: str = "") -> Iterator[StoredFile]:
        pages = self._client.get_paginator("list_objects_v2")
        with self._errors(prefix):
            for page in pages.paginate(Bucket=self._volume, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if not entry["Key"].endswith("/"):  # an empty folder
                        yield _stored(entry["Key"], entry["Size"], entry)

    def head(self, path: str) -> StoredFile | None:
        try:
            with self._errors(path):
                entry = self._client.head_object(Bucket=self._volume, Key=path)
        except NotFound:
            return None
        return _stored(path, entry["ContentLength"], entry)

    def read(self, path: str, etag: str, start: int) -> Iterator[bytes]:
        """The content from byte `start`; raises NotFound if it is another content than `etag`."""
        with self._errors(path):
            response = self._client.get_object(
                Bucket=self._volume, Key=path, IfMatch=etag, Range=f"bytes={start}-"
            )
            yield from response["Body"].iter_chunks(BLOCK)

    def put(self, path: str, content: bytes) -> str:
        with self._errors(path):
            response = self._client.put_object(Bucket=self._volume, Key=path, Body=content)
        return str(response["ETag"]).strip('"')

    def begin(self, path: str) -> str:
        with self._errors(path):
            response = self._client.create_multipart_upload(Bucket=self._volume, Key=path)
        return str(response["UploadId"])

    def unfinished(self, path: str) -> tuple[str, ...]:
        """The ids of unfinished uploads of this path."""
        with self._errors(path):
            response = self._client.list_multipart_uploads(Bucket=self._volume, Prefix=path)
        uploads = response.get("Uploads", ())
        return tuple(upload["UploadId"] for upload in uploads if upload["Key"] == path)

    def parts(self, path: str, upload: str) -> tuple[UploadedPart, ...]:
        pages = self._client.get_paginator("list_parts")
        with self._errors(path):
            return tuple(
                UploadedPart(part["PartNumber"], part["Size"], str(part["ETag"]).strip('"'))
                for page in pages.paginate(Bucket=self._volume, Key=path, UploadId=upload)
                for part in page.get("Parts", ())
            )

    def put_part(self, path: str, upload: str, number: int, content: bytes) -> str:
        with self._errors(path):
            response = self._client.upload_part(
                Bucket=self._volume, Key=path, UploadId=upload, PartNumber=number, Body=content
            )
        return str(response["ETag"]).strip('"')

    def complete(self, path: str, upload: str, parts: list[tuple[int, str]]) -> None:
        document = {"Parts": [{"PartNumber": n, "ETag": f'"{etag}"'} for n, etag in parts]}
        with self._errors(path):
            self._patient.complete_multipart_upload(
                Bucket=self._volume, Key=path, UploadId=upload, MultipartUpload=document
            )

    def abort(self, path: str, upload: str) -> None:
        with self._errors(path):
            self._client.abort_multipart_upload(Bucket=self._volume, Key=path, UploadId=upload)

    def delete(self, path: str) -> None:
        with self._errors(path):
            self._client.delete_object(Bucket=self._volume, Key=path)

    @contextlib.contextmanager
    def _errors(self, path: str) -> Iterator[None]:
        """Raise boto3's errors as podctl's."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

        where = f"{self._where}/{path}"
        try:
            yield
        except ClientError as error:
            raise _refusal(error.response, where) from error
        except (BotoCoreError, Boto3Error, HTTPClientError, OSError) as error:
            raise ConnectionLost(
                "the storage API did not respond", where=where, cause=str(error),
                hint="run the command again: it goes on where it stopped",
            ) from error  # fmt: skip


def _client(access: StorageAccess, read_seconds: float, tries: int) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": tries},
        s3={"addressing_style": "path"},
        max_pool_connections=16,
        # Newer checksums than MD5 are not in the storage API.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.session.Session(
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key.reveal(),
        region_name=access.region,
    )
    return session.client("s3", endpoint_url=access.endpoint, config=config)


def _stored(path: str, size: int, entry: dict[str, Any]) -> StoredFile:
    return StoredFile(path, size, entry["LastModified"].timestamp(), str(entry["ETag"]).strip('"'))


def _refusal(response: dict[str, Any], where: str) -> PodctlError:
    """The error for a response of the storage API."""
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"):
        return Refused(
            "the storage API rejected the key", where=where, cause=f"{code}: {message}",
            hint=f"check {ACCESS} and {SECRET}; {MADE_UNDER}",
        )  # fmt: skip
    if code == "RequestTimeTooSkewed":
        return Refused(
            "the storage API rejected the request's time", where=where, cause=message,
            hint="correct this machine's clock: podctl doctor",
        )  # fmt: skip
    if code == "NoSuchBucket":
        return NotFound(
            "the storage API has no such volume", where=where,
            cause="another data center, another account, or deleted", hint="podctl volume list",
        )  # fmt: skip
    if code == "InsufficientStorage" or status == 507:
        return VolumeFull(
            "the network volume is full", where=where, cause=message,
            hint="podctl volume du shows what is there",
        )  # fmt: skip
    if status in (404, 412):
        return NotFound("there is no such file on the volume", where=where, hint="podctl volume ls")
    if status >= 500 or status == 429:
        return ConnectionLost(
            f"the storage API has a failure (HTTP {status})", where=where, cause=message,
            hint="run the command again: it goes on where it stopped",
        )  # fmt: skip
    return Refused(f"the storage API refused: {code or status}", where=where, cause=message)
