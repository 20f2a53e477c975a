"""Checks exchanges against the published OpenAPI document of REST v2, if it is available."""

from __future__ import annotations

import copy
import functools
import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).resolve().parents[3] / "shared" / "runpod" / "openapi-v2.json"
_URI = "urn:openapi-v2"
# Newer than the saved document, known from clients that send them.
NEWER_BODY = ("entrypoint", "cmd", "dataCenterPriority")
_NEWER_GPU = ("minRamPerGpu", "minVcpuCountPerGpu")


def present() -> bool:
    return DOCUMENT.exists()


def check(exchanges: list[dict[str, Any]]) -> None:
    """Every reply, and every request that was accepted, has the published shape."""
    if not present():
        return
    wrong = [
        f"{_title(exchange)}: {text}" for exchange in exchanges for text in complaints(exchange)
    ]
    assert not wrong, "\n".join(wrong[:20])


def complaints(exchange: dict[str, Any]) -> list[str]:
    operation = _operation(exchange["method"], exchange["path"])
    if operation is None:
        return [] if exchange["status"] in (401, 404, 405) else ["no such operation"]
    problems = _reply_complaints(operation, exchange)
    if exchange["status"] < 300 and exchange["request"] and "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        problems += _errors(schema, _published(json.loads(exchange["request"])))
    return problems


def _reply_complaints(operation: dict[str, Any], exchange: dict[str, Any]) -> list[str]:
    status, headers = exchange["status"], exchange["headers"]
    problems = [name for name in ("ratelimit", "ratelimit-policy") if name not in headers]
    problems = [f"no header {name}" for name in problems]
    responses = operation["responses"]
    if status < 400 and str(status) not in responses:
        problems.append(f"status {status} is not published")
    response = _resolved(responses.get(str(status), responses.get("default", {})))
    content = response.get("content", {})
    kind = headers.get("content-type", "").partition(";")[0]
    if not content:
        return problems + (["a body where none is published"] if exchange["reply"] else [])
    if kind not in content:
        return [*problems, f"content type {kind!r}, published {list(content)}"]
    if kind == "text/event-stream":
        return problems
    return problems + _errors(content[kind]["schema"], json.loads(exchange["reply"]))


def _published(body: dict[str, Any]) -> dict[str, Any]:
    """`body` without what is newer than the document."""
    old = copy.deepcopy(body)
    for name in NEWER_BODY:
        old.pop(name, None)
    for name in _NEWER_GPU:
        old.get("gpu", {}).pop(name, None)
    return old


def _errors(schema: dict[str, Any], value: Any) -> list[str]:
    errors = _validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in errors]


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    absolute = schema.replace('"#/', f'"{_URI}#/')
    resource = DRAFT202012.create_resource(_document())
    registry: Registry[Any] = Registry().with_resource(_URI, resource)
    return Draft202012Validator(json.loads(absolute), registry=registry)


@functools.cache
def _document() -> dict[str, Any]:
    return dict(json.loads(DOCUMENT.read_text()))


@functools.cache
def _patterns() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    # Longest first: /v2/registries/delegations is not a registry's id.
    paths = sorted(_document()["paths"].items(), key=lambda item: ("{" in item[0], item[0]))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item) for path, item in paths]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, item in _patterns():
        if pattern.fullmatch(path):
            return item.get(method.lower())
    return None


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    value: Any = _document()
    for part in node["$ref"].removeprefix("#/").split("/"):
        value = value[part]
    return dict(value)


def _title(exchange: dict[str, Any]) -> str:
    return f"{exchange['method']} {exchange['path']} -> {exchange['status']}"
