"""JSON schemas of all request bodies; unknown fields are refused."""

from __future__ import annotations

from typing import Any

from controller.providers.emulator.errors import Problem, invalid
from controller.providers.emulator.json_schema import Json, Schema, complaints

MAX_VARIABLES = 50  # environment variables a user may set on one pod

_STRING: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_BOOLEAN: Schema = {"type": "boolean"}
_STRINGS: Schema = {"type": "array", "items": _STRING}
_CUDA: Schema = {"type": "string", "pattern": r"^\d+\.\d+$"}
_CUDAS: Schema = {"type": "array", "items": _CUDA}


def _object(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_PERSISTENT = _object(("size", "path"), size={"type": "integer", "minimum": 10}, path=_STRING)
_NETWORK = _object(("volumeId", "path"), volumeId=_STRING, path=_STRING)
_MOUNTS = _object(
    persistent=_PERSISTENT, network={"type": "array", "maxItems": 1, "items": _NETWORK}
)
_CONTAINER: dict[str, Schema] = {
    "args": _STRING,
    "entrypoint": _STRINGS,
    "cmd": _STRINGS,
    "disk": {"type": "integer", "minimum": 1},
    "env": {"type": "object", "additionalProperties": _STRING, "maxProperties": MAX_VARIABLES},
    "image": _STRING,
    "ports": {
        "type": "array",
        "items": {"type": "string", "pattern": r"^[1-9]\d{0,4}/(tcp|http)$"},
    },
    "registry": {"type": ["string", "null"]},
}
_POSITIVE: Schema = {"type": "integer", "minimum": 1}
_CLOUD: Schema = {"type": "string", "enum": ["SECURE", "COMMUNITY"]}
_CATEGORY: Schema = {"type": "string", "enum": ["CPU", "NVIDIA", "AMD"]}
_SIZE: Schema = {"type": "integer", "minimum": 10, "maximum": 4096}

CREATE_POD = _object(
    ("name",),
    **_CONTAINER,
    name=_NAME,
    cloud=_CLOUD,
    dataCenterIds=_STRINGS,
    dataCenterPriority={"type": "string", "pattern": "^(?i:availability|custom)$"},
    globalNetworking=_BOOLEAN,
    startJupyter=_BOOLEAN,
    startSsh=_BOOLEAN,
    templateId=_NAME,
    mounts=_MOUNTS,
    cpu=_object(("id", "vcpuCount"), id=_NAME, vcpuCount={"type": "integer", "minimum": 2}),
    gpu=_object(
        ("id",),
        id=_STRING,
        count=_POSITIVE,
        allowedCudaVersions=_CUDAS,
        minCudaVersion=_CUDA,
        minRamPerGpu=_POSITIVE,
        minVcpuCountPerGpu=_POSITIVE,
    ),
)
UPDATE_POD = _object(
    (),
    **_CONTAINER,
    name=_NAME,
    locked=_BOOLEAN,
    globalNetworking=_BOOLEAN,
    mounts=_MOUNTS,
    templateId=_STRING,
)
POD_ACTION = _object(
    ("action",),
    action={"type": "string", "enum": ["start", "stop", "restart", "terminate"]},
)
SSH_KEYS = _object(
    ("keys",),
    keys={
        "type": "array",
        "items": {
            "type": "string",
            "pattern": r"^(ssh|ecdsa|sk)-[^\s]+ [^\s]+([ \t][^\n\r]*)?$",
        },
    },
)
_TEMPLATE: dict[str, Schema] = {
    **_CONTAINER,
    "name": _NAME,
    "allowedCudaVersions": _CUDAS,
    "category": _CATEGORY,
    "mounts": _object(persistent=_PERSISTENT),
    "public": _BOOLEAN,
    "serverless": _BOOLEAN,
    "startJupyter": _BOOLEAN,
    "startSsh": _BOOLEAN,
}
CREATE_TEMPLATE = _object(("name", "image"), **_TEMPLATE)
UPDATE_TEMPLATE = _object((), **_TEMPLATE)
CREATE_VOLUME = _object(
    ("name", "size", "dataCenter"),
    name=_NAME,
    size=_SIZE,
    dataCenter=_NAME,
    type={"type": "string", "enum": ["STANDARD", "HIGH_PERFORMANCE"]},
)
UPDATE_VOLUME: Schema = {**_object(name=_NAME, size=_SIZE), "minProperties": 1}
CREATE_REGISTRY = _object(
    ("name", "username", "password"), name=_NAME, username=_NAME, password=_NAME
)


def checked(schema: Schema, body: Json) -> dict[str, Any]:
    """`body` if it matches the schema; otherwise 422 with every violation."""
    violations = complaints(schema, body)
    if violations:
        raise invalid(*violations)
    return dict(body)


def checked_pod(body: Json) -> dict[str, Any]:
    """A create body, checked also for rules that the schema cannot express (400, 422)."""
    document = checked(CREATE_POD, body)
    if "templateId" not in document and "image" not in document:
        raise invalid("$: missing property 'image'")
    if ("gpu" in document) == ("cpu" in document):
        raise Problem(400, "exactly one of gpu or cpu must be set")
    vcpus = document.get("cpu", {}).get("vcpuCount", 2)
    if vcpus & (vcpus - 1):
        raise Problem(400, "cpu.vcpuCount must be a power of two")
    gpu = document.get("gpu", {})
    if gpu.get("allowedCudaVersions") and "minCudaVersion" in gpu:
        raise Problem(400, "allowedCudaVersions and minCudaVersion are mutually exclusive")
    check_mounts(document.get("mounts", {}), cpu="cpu" in document)
    return document


def check_mounts(mounts: dict[str, Any], *, cpu: bool) -> None:
    """400 for persistent and network mounts together, and for a persistent mount on a CPU pod."""
    if "persistent" in mounts and "network" in mounts:
        raise Problem(400, "mounts.persistent and mounts.network are mutually exclusive")
    if "persistent" in mounts and cpu:
        raise Problem(400, "mounts.persistent is not supported on CPU pods")
