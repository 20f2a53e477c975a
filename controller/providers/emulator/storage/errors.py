"""Refusals of the S3 API, as its XML documents."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from starlette.responses import Response

STATUS = {
    "AccessDenied": 403,
    "AuthorizationHeaderMalformed": 400,
    "BadDigest": 400,
    "EntityTooLarge": 400,
    "InsufficientStorage": 507,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidPart": 400,
    "InvalidPartOrder": 400,
    "InvalidRange": 416,
    "KeyTooLongError": 400,
    "MalformedXML": 400,
    "MethodNotAllowed": 405,
    "MissingContentLength": 411,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchUpload": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "SignatureDoesNotMatch": 403,
    "XAmzContentSHA256Mismatch": 400,
}


class StorageError(Exception):
    """A refusal: S3's error `code` with a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def response(self, *, body: bool = True) -> Response:
        """The XML response; without a body for a HEAD request."""
        root = Element("Error")
        SubElement(root, "Code").text = self.code
        SubElement(root, "Message").text = self.message
        content = document(root) if body else b""
        # The body of the request may be unread: nothing else can follow on this connection.
        headers = {"Connection": "close"}
        return Response(content, STATUS[self.code], headers, media_type="application/xml")


def document(root: Element) -> bytes:
    body: bytes = tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body
