"""The emulator's account: keys, templates, registries, volumes, and its catalog."""

from __future__ import annotations

from urllib.parse import quote

from tests.support.emulated_cloud import EmulatedCloud

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1dCBub3QgcmVhbGx5IGEga2V5IGF0IGFsbC4u me@here"
BASE = {"name": "n", "image": "i", "disk": 5, "gpu": {"id": "NVIDIA A40", "count": 1}}
LAST = {"nextCursor": None, "hasNextPage": False}


def test_ssh_keys(cloud: EmulatedCloud) -> None:
    """PUT replaces the account's keys; startSsh hands them to the pod, unless it has its own."""
    assert cloud.api("GET", "/v2/account/ssh-keys").body == {"keys": []}
    assert "PUBLIC_KEY" not in cloud.create(startSsh=True)["env"]
    assert cloud.api("PUT", "/v2/account/ssh-keys", {"keys": [KEY]}).body == {"keys": [KEY]}
    assert cloud.api("PUT", "/v2/account/ssh-keys", {"keys": ["nonsense"]}).status == 422

    assert cloud.create(startSsh=True)["env"] == {"PUBLIC_KEY": KEY}
    assert cloud.create(startSsh=True, env={"PUBLIC_KEY": "x"})["env"] == {"PUBLIC_KEY": "x"}
    assert cloud.create()["env"] == {}


def test_templates(cloud: EmulatedCloud) -> None:
    """A template fills in what a create leaves out; env merges, the body winning."""
    body = {
        "name": "t", "image": "img", "disk": 7, "env": {"A": "t", "B": "t"}, "startJupyter": False,
        "ports": ["22/tcp"], "mounts": {"persistent": {"size": 20, "path": "/data"}},
    }  # fmt: skip
    response = cloud.api("POST", "/v2/templates", body)
    assert response.status == 201
    assert cloud.api("POST", "/v2/templates", body).status == 400
    pod = cloud.api(
        "POST",
        "/v2/pods",
        {"name": "p", "gpu": {"id": "NVIDIA A40", "count": 1}, "templateId": response.body["id"],
         "env": {"A": "b"}},
    ).body  # fmt: skip

    assert (pod["image"], pod["disk"], pod["template"]) == ("img", 7, None)
    assert pod["env"] == {"A": "b", "B": "t"}
    assert pod["mounts"] == {"persistent": {"size": 20, "path": "/data"}}
    path = f"/v2/templates/{response.body['id']}"
    assert cloud.api("PATCH", path, {"args": "true"}).body["args"] == "true"
    assert cloud.api("DELETE", path).status == 204
    assert cloud.api("GET", path).status == 404


def test_serverless_template_is_refused(cloud: EmulatedCloud) -> None:
    """A serverless template makes no pod."""
    body = {"name": "s", "image": "i", "disk": 5, "serverless": True}
    response = cloud.api("POST", "/v2/templates", body).body

    assert cloud.api("POST", "/v2/pods", {**BASE, "templateId": response["id"]}).status == 422


def test_registries_and_volumes(cloud: EmulatedCloud) -> None:
    """Registries never show their secrets; volumes only grow."""
    fields = {"name": "r", "username": "u", "password": "hunter2"}
    registry = cloud.api("POST", "/v2/registries", fields)
    assert (registry.status, set(registry.body)) == (201, {"id", "name"})
    assert cloud.api("GET", f"/v2/registries/{registry.body['id']}").body == registry.body
    assert cloud.create(registry=registry.body["id"])["registry"] == registry.body["id"]
    assert cloud.api("DELETE", f"/v2/registries/{registry.body['id']}").status == 400
    empty = {"delegations": [], "pagination": LAST}
    assert cloud.api("GET", "/v2/registries/delegations").body == empty

    body = {"name": "v", "size": 20, "dataCenter": "US-KS-2", "type": "HIGH_PERFORMANCE"}
    volume = cloud.api("POST", "/v2/network-volumes", body)
    path = f"/v2/network-volumes/{volume.body['id']}"
    assert volume.status == 201
    assert cloud.api("PATCH", path, {"size": 10}).status == 400
    assert cloud.api("PATCH", path, {}).status == 422
    assert cloud.api("PATCH", path, {"size": 30}).body["size"] == 30
    assert cloud.api("POST", "/v2/network-volumes", {**body, "dataCenter": "XX"}).status == 400
    assert cloud.api("DELETE", path).status == 204
    assert cloud.api("GET", "/v2/network-volumes").body["networkVolumes"] == []


def test_catalog(cloud: EmulatedCloud) -> None:
    """The catalog lists hardware with prices; availability wants a product."""
    gpus = cloud.api("GET", "/v2/catalog/gpus").body["gpus"]
    assert len(gpus) >= 15
    assert all("availability" not in gpu for gpu in gpus)
    assert cloud.api("GET", "/v2/catalog/gpus?include=AVAILABILITY").status == 400
    assert cloud.api("GET", "/v2/catalog/gpus?product=POD").status == 400
    path = f"/v2/catalog/gpus/{quote('NVIDIA L40S')}?include=AVAILABILITY&product=POD"
    assert cloud.api("GET", path + "&count=2").body["availability"] == "HIGH"
    assert cloud.api("GET", path + "&count=99").body["availability"] == "NONE"
    assert cloud.api("GET", path + "&countryCodes=JP").body["availability"] == "NONE"
    assert cloud.api("GET", path + "&minCudaVersion=99").body["availability"] == "NONE"
    assert cloud.api("GET", "/v2/catalog/gpus/nope").status == 404
    cpus = cloud.api("GET", "/v2/catalog/cpus?include=AVAILABILITY&product=POD&vcpuCount=4")
    assert {cpu["id"] for cpu in cpus.body["cpus"]} >= {"cpu3c", "cpu5c", "cpu5g", "cpu5m"}
    centers = cloud.api(
        "GET", "/v2/catalog/datacenters?regions=EUROPE&include=GPU_AVAILABILITY"
    ).body["dataCenters"]
    assert {center["region"] for center in centers} == {"EUROPE"}
    assert cloud.api("GET", "/v2/catalog/templates").body["templates"]


def test_empty_rooms(cloud: EmulatedCloud) -> None:
    """What this cloud does not have is empty, not missing."""
    assert cloud.api("GET", "/v2/clusters").body == {"clusters": [], "pagination": LAST}
    assert cloud.api("GET", "/v2/serverless").body == {"endpoints": [], "pagination": LAST}
    assert cloud.api("GET", "/v2/clusters/x").status == 404
    for kind in ("serverless", "endpoints", "clusters", "network-volumes"):
        assert cloud.api("GET", f"/v2/billing/{kind}").body["records"] == []
