"""The XML documents of the storage API's lists and multipart uploads."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from starlette.responses import Response

from controller.providers.emulator.storage.errors import StorageError, document
from controller.providers.emulator.storage.objects import Bucket, StoredObject
from controller.providers.emulator.storage.uploads import Part

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
PAGE = 1000


def buckets(names: Mapping[str, float]) -> Response:
    root = Element("ListAllMyBucketsResult", xmlns=NAMESPACE)
    entries = SubElement(root, "Buckets")
    for name, created in sorted(names.items()):
        bucket = SubElement(entries, "Bucket")
        _add(bucket, Name=name, CreationDate=_time(created))
    return _xml(root)


def objects(name: str, bucket: Bucket, query: Mapping[str, str]) -> Response:
    """ListObjectsV2, and ListObjects, whose `marker` is a key."""
    size = _page_size(query.get("max-keys", str(PAGE)))
    after = _position(query)
    entries = _grouped(bucket.list(query.get("prefix", "")), query)
    entries = itertools.dropwhile(lambda entry: _key(entry) <= after, entries) if after else entries
    page = list(itertools.islice(entries, size + 1))
    whole, page = len(page) <= size, page[:size]
    root = Element("ListBucketResult", xmlns=NAMESPACE)
    _add(root, Name=name, Prefix=_text(query.get("prefix", ""), query), MaxKeys=str(size))
    _add(root, KeyCount=str(len(page)), IsTruncated="false" if whole else "true")
    if not whole and page:
        _add(root, NextContinuationToken=base64.urlsafe_b64encode(_key(page[-1]).encode()).decode())
        _add(root, NextMarker=_text(_key(page[-1]), query))
    if query.get("encoding-type") == "url":
        _add(root, EncodingType="url")
    for entry in page:
        if isinstance(entry, str):
            _add(SubElement(root, "CommonPrefixes"), Prefix=_text(entry, query))
        else:
            _add(
                SubElement(root, "Contents"),
                Key=_text(entry.key, query),
                Size=str(entry.size),
                LastModified=_time(entry.modified),
                ETag=f'"{entry.etag}"',
                StorageClass="STANDARD",
            )
    return _xml(root)


def uploads(name: str, unfinished: Iterable[tuple[str, str]]) -> Response:
    root = Element("ListMultipartUploadsResult", xmlns=NAMESPACE)
    _add(root, Bucket=name, IsTruncated="false")
    for key, upload in unfinished:
        _add(SubElement(root, "Upload"), Key=key, UploadId=upload)
    return _xml(root)


def parts(name: str, key: str, upload: str, arrived: Iterable[Part]) -> Response:
    root = Element("ListPartsResult", xmlns=NAMESPACE)
    _add(root, Bucket=name, Key=key, UploadId=upload, IsTruncated="false")
    for part in arrived:
        _add(
            SubElement(root, "Part"),
            PartNumber=str(part.number),
            Size=str(part.size),
            ETag=f'"{part.etag}"',
        )
    return _xml(root)


def created(name: str, key: str, upload: str) -> Response:
    root = Element("InitiateMultipartUploadResult", xmlns=NAMESPACE)
    _add(root, Bucket=name, Key=key, UploadId=upload)
    return _xml(root)


def completed(name: str, key: str, etag: str) -> Response:
    root = Element("CompleteMultipartUploadResult", xmlns=NAMESPACE)
    _add(root, Bucket=name, Key=key, ETag=f'"{etag}"')
    return _xml(root)


def _grouped(
    stored: Iterator[StoredObject], query: Mapping[str, str]
) -> Iterator[StoredObject | str]:
    """Objects, and each common prefix once, as the delimiter says."""
    prefix, delimiter, last = query.get("prefix", ""), query.get("delimiter", ""), ""
    for entry in stored:
        head, found, _ = entry.key[len(prefix) :].partition(delimiter or "\0")
        if not delimiter or not found:
            yield entry
        elif (common := prefix + head + delimiter) != last:
            last = common
            yield common


def _key(entry: StoredObject | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def _position(query: Mapping[str, str]) -> str:
    token = query.get("continuation-token")
    if token is None:
        return query.get("start-after") or query.get("marker") or ""
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError as error:
        raise StorageError("InvalidArgument", "the continuation token is invalid") from error


def _page_size(text: str) -> int:
    if not text.isdigit():
        raise StorageError("InvalidArgument", "max-keys is no number")
    return min(int(text), PAGE)


def _text(text: str, query: Mapping[str, str]) -> str:
    return quote(text) if query.get("encoding-type") == "url" else text


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _add(element: Element, **texts: str) -> None:
    for name, text in texts.items():
        SubElement(element, name).text = text


def _xml(root: Element) -> Response:
    return Response(document(root), media_type="application/xml")
