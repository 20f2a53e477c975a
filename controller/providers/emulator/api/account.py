"""REST v2: SSH keys, templates, network volumes, registries, and collections that are always
empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import BaseRoute

from controller.providers.emulator.account import resources
from controller.providers.emulator.api import request_models as bodies
from controller.providers.emulator.api import responses as views
from controller.providers.emulator.api.paging import listed
from controller.providers.emulator.api.routing import (
    Call,
    Endpoint,
    Service,
    no_content,
    ok,
    routes,
)
from controller.providers.emulator.errors import NO_CAPACITY, Problem, not_found
from controller.providers.emulator.records import Template


def account_routes(service: Service) -> list[BaseRoute]:
    return [
        routes(service, "/v2/account/ssh-keys", GET=get_keys, PUT=put_keys),
        routes(service, "/v2/templates", GET=list_templates, POST=create_template),
        routes(
            service, "/v2/templates/{id}",
            GET=get_template, PATCH=update_template, DELETE=delete_template,
        ),
        routes(service, "/v2/network-volumes", GET=list_volumes, POST=create_volume),
        routes(
            service, "/v2/network-volumes/{id}",
            GET=get_volume, PATCH=update_volume, DELETE=delete_volume,
        ),
        routes(service, "/v2/registries", GET=list_registries, POST=create_registry),
        routes(
            service, "/v2/registries/delegations", GET=_empty("delegations"), POST=_no_delegation
        ),
        routes(service, "/v2/registries/delegations/{id}", DELETE=_absent),
        routes(service, "/v2/registries/{id}", GET=get_registry, DELETE=delete_registry),
        routes(service, "/v2/clusters", GET=_empty("clusters"), POST=_no_room),
        routes(service, "/v2/clusters/{id}", GET=_absent, PATCH=_absent, DELETE=_absent),
        routes(service, "/v2/clusters/{id}/pods", GET=_absent),
        routes(service, "/v2/serverless", GET=_empty("endpoints"), POST=_no_room),
        routes(service, "/v2/serverless/{id}", GET=_absent, PATCH=_absent, DELETE=_absent),
        routes(service, "/v2/serverless/{id}/workers", GET=_absent),
        routes(service, "/v2/serverless/{id}/workers/{worker}/logs", GET=_absent),
        routes(service, "/v2/serverless/{id}/releases", GET=_absent),
        routes(service, "/v1/{rest:path}", **dict.fromkeys(_V1_METHODS, _retired)),
    ]  # fmt: skip


_V1_METHODS = ("GET", "POST", "PATCH", "DELETE")


def _retired(_: Call) -> Response:
    raise Problem(410, "REST v1 was retired on 2026-11-15; use v2")


def _empty(name: str) -> Endpoint:
    return lambda call: listed(call, name, ())


def _absent(_: Call) -> Response:
    raise not_found()


def _no_room(_: Call) -> Response:
    raise Problem(400, NO_CAPACITY)


def _no_delegation(_: Call) -> Response:
    raise Problem(400, "ECR delegations are not available on this account")


def get_keys(call: Call) -> Response:
    with call.cloud.lock:
        return ok({"keys": call.cloud.state.ssh_keys})


def put_keys(call: Call) -> Response:
    keys = bodies.checked(bodies.SSH_KEYS, call.body)["keys"]
    resources.set_keys(call.cloud, keys)
    return ok({"keys": keys})


def list_templates(call: Call) -> Response:
    with call.cloud.lock:
        templates = call.cloud.state.templates.values()
        return listed(call, "templates", [views.template(template) for template in templates])


def create_template(call: Call) -> Response:
    body = bodies.checked(bodies.CREATE_TEMPLATE, call.body)
    resources.check_registry(call.cloud, body.get("registry"))
    template = resources.add_template(call.cloud, **_fields(body))
    return ok(views.template(template), 201)


def get_template(call: Call) -> Response:
    with call.cloud.lock:
        return ok(views.template(call.cloud.template(call.path["id"])))


def update_template(call: Call) -> Response:
    body = bodies.checked(bodies.UPDATE_TEMPLATE, call.body)
    with call.cloud.lock:
        template = _own_template(call)
        vars(template).update(_fields(body))
        call.cloud.save()
        return ok(views.template(template))


def delete_template(call: Call) -> Response:
    with call.cloud.lock:
        _own_template(call)
        del call.cloud.state.templates[call.path["id"]]
        call.cloud.save()
    return no_content()


def _own_template(call: Call) -> Template:
    template = call.cloud.state.templates.get(call.path["id"])
    if template is None:
        raise not_found("template")
    return template


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """A template's attributes from a checked body."""
    fields = {name: value for name, value in body.items() if name != "mounts"}
    persistent = body.get("mounts", {}).get("persistent")
    if persistent:
        fields |= {"volume_gb": persistent["size"], "mount_path": persistent["path"]}
    return fields


def list_volumes(call: Call) -> Response:
    with call.cloud.lock:
        volumes = call.cloud.state.volumes.values()
        return listed(call, "networkVolumes", [views.volume(volume) for volume in volumes])


def create_volume(call: Call) -> Response:
    body = bodies.checked(bodies.CREATE_VOLUME, call.body)
    volume = resources.add_volume(
        call.cloud, body["name"], int(body["size"]), body["dataCenter"], body.get("type")
    )
    return ok(views.volume(volume), 201)


def get_volume(call: Call) -> Response:
    with call.cloud.lock:
        return ok(views.volume(resources.volume(call.cloud, call.path["id"])))


def update_volume(call: Call) -> Response:
    body = bodies.checked(bodies.UPDATE_VOLUME, call.body)
    changed = resources.change_volume(
        call.cloud, call.path["id"], name=body.get("name"), size=body.get("size")
    )
    return ok(views.volume(changed))


def delete_volume(call: Call) -> Response:
    resources.remove_volume(call.cloud, call.path["id"])
    return no_content()


def list_registries(call: Call) -> Response:
    with call.cloud.lock:
        registries = call.cloud.state.registries.values()
        rows = [{"id": registry.id, "name": registry.name} for registry in registries]
    return listed(call, "registries", rows)


def create_registry(call: Call) -> Response:
    body = bodies.checked(bodies.CREATE_REGISTRY, call.body)
    registry = resources.add_registry(call.cloud, body["name"], body["username"], body["password"])
    return ok({"id": registry.id, "name": registry.name}, 201)


def get_registry(call: Call) -> Response:
    with call.cloud.lock:
        registry = call.cloud.state.registries.get(call.path["id"])
    if registry is None:
        raise not_found("registry")
    return ok({"id": registry.id, "name": registry.name})


def delete_registry(call: Call) -> Response:
    resources.remove_registry(call.cloud, call.path["id"])
    return no_content()
