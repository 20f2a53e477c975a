"""Documents of RunPod's API and calls of the adapter, for the tests that need them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.providers.base import Offer, PodSpec, ProviderError
from controller.providers.runpod.provider import RunPod
from tests.support.hostile_api import Answering, Request, serve

KEY = "rpa_a_key_that_must_not_show"
SCHEMA = Path(__file__).parents[2] / ".." / "shared" / "runpod" / "openapi-v2.json"
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"

GPU = Offer("gpu", "NVIDIA L40S", "L40S", 2, 48, 1.58, "HIGH", "SECURE")
CPU = Offer("cpu", "cpu5c", "Compute-Optimized", 4, 8, 0.16, "HIGH", "SECURE")
SPEC = PodSpec(
    name="podctl-stage1c-0123456789abcdef",
    image="runpod/pytorch:1.0.3",
    offer=GPU,
    args="sh -c 'echo \"hi\"; exec /start.sh'",
    env={
        "QUOTED": "a \"b\" 'c' \\ $d",
        "LINES": "one\ntwo\r\n",
        "PUBLIC_KEY": "ssh-ed25519 AAAA x",
    },
    disk_gb=30,
    volume_gb=60,
    data_centers=("EU-RO-1",),
    min_cuda="12.8",
)


def a_pod(**changes: Any) -> dict[str, Any]:
    """A pod's document as the published schema has it."""
    return {
        "id": "7h9k2m4n6p",
        "name": SPEC.name,
        "status": "RUNNING",
        "actions": ["stop", "restart", "terminate"],
        "image": SPEC.image,
        "args": SPEC.args,
        "disk": 30,
        "mounts": {"persistent": {"size": 60, "path": "/workspace"}},
        "ports": ["22/tcp"],
        "env": {"PODCTL_NONCE": "0123456789abcdef"},
        "registry": None,
        "cloud": "SECURE",
        "dataCenterId": "EU-RO-1",
        "cudaVersion": "12.8",
        "ssh": {"proxy": None, "direct": None},
        "template": None,
        "cost": 1.58,
        "locked": False,
        "runtime": {"uptime": 5, "ports": []},
        "createdAt": "2026-03-13T20:00:00Z",
        "startedAt": "2026-03-13T20:01:00Z",
        "globalNetworking": {"enabled": False},
        "gpu": {"id": "NVIDIA L40S", "count": 2},
        **changes,
    }


def by_path(**answers: Answering) -> Answering:
    """One answer for each last word of the path."""

    def answer(handler: Any, asked: Request) -> None:
        method = asked.path.split("?")[0].rsplit("/", 1)[-1].replace("-", "_")
        answers[method](handler, asked)

    return answer


def failing(
    answering: Answering, call: Callable[[RunPod], Any], seconds: float = 10
) -> ProviderError:
    """The error of `call` when the server answers so."""
    with serve(answering) as server, pytest.raises(ProviderError) as caught:
        call(RunPod(KEY, server.base_url, call_seconds=seconds))
    return caught.value


def create(provider: RunPod) -> Any:
    return provider.create(SPEC)


def listing(provider: RunPod) -> Any:
    return provider.list()


def published_schema() -> Any:
    """RunPod's OpenAPI document; skips where it is not at hand."""
    if not SCHEMA.is_file():
        pytest.skip("the published schema is not beside the project")
    return json.loads(SCHEMA.read_text())


def schema_errors(name: str, document: Any) -> list[str]:
    """What the published schema says against `document`."""
    api = published_schema()
    from jsonschema import (  # type: ignore[import-untyped]  # its stubs are apart
        Draft202012Validator,
    )

    rule = {"$ref": f"#/components/schemas/{name}", "components": api["components"]}
    return [error.message for error in Draft202012Validator(rule).iter_errors(document)]
