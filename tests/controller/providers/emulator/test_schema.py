"""The emulator against the published OpenAPI document, and the judge itself on trial.

Every exchange of every other test is judged too: see `EmulatedCloud.check_traffic`.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from controller.providers.emulator.api import request_models as bodies
from controller.providers.emulator.json_schema import complaints as shape_complaints
from tests.support import openapi_v2
from tests.support.emulated_cloud import EmulatedCloud

needs_document = pytest.mark.skipif(
    not openapi_v2.present(), reason="the published OpenAPI document is not at hand"
)
DOCUMENT: dict[str, Any] = (
    json.loads(openapi_v2.DOCUMENT.read_text()) if openapi_v2.present() else {"paths": {}}
)
OPERATIONS = [
    (method.upper(), path)
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method in ("get", "post", "put", "patch", "delete")
]
BODIES = {
    ("/v2/pods", "post"): bodies.CREATE_POD,
    ("/v2/pods/{id}", "patch"): bodies.UPDATE_POD,
    ("/v2/pods/{id}/action", "post"): bodies.POD_ACTION,
    ("/v2/account/ssh-keys", "put"): bodies.SSH_KEYS,
    ("/v2/templates", "post"): bodies.CREATE_TEMPLATE,
    ("/v2/templates/{id}", "patch"): bodies.UPDATE_TEMPLATE,
    ("/v2/network-volumes", "post"): bodies.CREATE_VOLUME,
    ("/v2/network-volumes/{id}", "patch"): bodies.UPDATE_VOLUME,
    ("/v2/registries", "post"): bodies.CREATE_REGISTRY,
}


@needs_document
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_is_there(cloud: EmulatedCloud, method: str, path: str) -> None:
    """Each published operation has an endpoint of ours: never 405, and 404 only for an id."""
    filled = path.replace("{id}", "nope").replace("{workerId}", "nope")
    reply = cloud.api(method, filled, {} if method in ("POST", "PATCH", "PUT") else None)

    assert reply.status != 405
    if "{" not in path:
        assert reply.status != 404


@needs_document
@pytest.mark.parametrize(("path", "method"), BODIES)
def test_published_examples_are_accepted(path: str, method: str) -> None:
    """What the document shows as a request body passes our own check of its shape."""
    content = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]
    examples = [example["value"] for example in content.get("examples", {}).values()]

    assert examples
    for example in examples:
        assert shape_complaints(BODIES[path, method], example) == []


@needs_document
@pytest.mark.parametrize(("path", "method"), BODIES)
def test_fields_are_the_published_ones(path: str, method: str) -> None:
    """Our bodies name every published field, and none beyond the known newer ones."""
    content = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]
    published = _properties(content["schema"])

    assert set(BODIES[path, method]["properties"]) - set(openapi_v2.NEWER_BODY) == published


def _properties(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        return _properties(openapi_v2._resolved(schema))
    names = set(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        names |= _properties(part)
    return names


@needs_document
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"status": "SLEEPING"}, "is not one of"),
        ({"cost": "0.44"}, "is not of type 'number'"),
        ({"ssh": None}, "is not of type 'object'"),
        ({"id": ...}, "'id' is a required property"),
    ],
)
def test_the_judge_sees_a_wrong_reply(
    cloud: EmulatedCloud, change: dict[str, Any], text: str
) -> None:
    """A reply with a wrong field is found out."""
    reply = cloud.create()
    changed = {key: value for key, value in {**reply, **change}.items() if value is not ...}
    exchange = {
        "method": "GET", "path": "/v2/pods/x", "request": "", "status": 200,
        "headers": {"content-type": "application/json", "ratelimit": "", "ratelimit-policy": ""},
        "reply": json.dumps(changed),
    }  # fmt: skip

    assert any(text in complaint for complaint in openapi_v2.complaints(exchange))
    assert openapi_v2.complaints({**exchange, "reply": json.dumps(reply)}) == []


@needs_document
def test_the_judge_sees_a_wrong_request() -> None:
    """An accepted request with an unpublished field is found out; the newer ones are let by."""
    body = {"name": "n", "image": "i", "gpu": {"id": "x", "minRamPerGpu": 8}, "cmd": ["a"]}
    exchange = {
        "method": "POST", "path": "/v2/pods", "status": 201, "reply": "{}",
        "headers": {"content-type": "application/json", "ratelimit": "", "ratelimit-policy": ""},
    }  # fmt: skip

    def complaints(sent: dict[str, Any]) -> list[str]:
        return [
            complaint
            for complaint in openapi_v2.complaints({**exchange, "request": json.dumps(sent)})
            if "required property" not in complaint
        ]

    assert complaints(body) == []
    assert complaints({**body, "dockerArgs": "x"})


def test_shapes_speak_as_the_api_does() -> None:
    """Our checker's complaints have the published wording."""
    violations = shape_complaints(
        bodies.CREATE_VOLUME, {"name": "n", "size": 10, "dataCenterId": "x"}
    )

    assert violations == [
        "$: missing property 'dataCenter'",
        "$: additional properties 'dataCenterId' not allowed",
    ]


def test_hardware_ids_survive_the_path(cloud: EmulatedCloud) -> None:
    """Ids with spaces arrive whole."""
    for gpu in cloud.api("GET", "/v2/catalog/gpus").body["gpus"]:
        path = f"/v2/catalog/gpus/{quote(gpu['id'], safe='')}"
        assert cloud.api("GET", path).body["id"] == gpu["id"]
