"""The emulator as clients that are not ours see it: what they rely on and no schema says."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from tests.controller.providers.emulator.test_logs import events
from tests.controller.providers.test_sdk_clients import run
from tests.support.emulated_cloud import EmulatedCloud

LISTS = (
    "/v2/pods", "/v2/templates", "/v2/network-volumes", "/v2/registries",
    "/v2/registries/delegations", "/v2/clusters", "/v2/serverless", "/v2/catalog/gpus",
    "/v2/catalog/cpus", "/v2/catalog/datacenters", "/v2/catalog/templates", "/v2/billing/pods",
    "/v2/billing/network-volumes", "/v2/billing/clusters",
)  # fmt: skip
GPU = "NVIDIA A40"


@pytest.mark.parametrize("path", LISTS)
def test_every_list_says_whether_another_page_follows(cloud: EmulatedCloud, path: str) -> None:
    """Clients of autumn 2026 refuse a list without it."""
    assert cloud.api("GET", path).body["pagination"] == {"nextCursor": None, "hasNextPage": False}


def test_any_list_comes_in_pages(cloud: EmulatedCloud) -> None:
    """`limit` cuts and the cursor leads on to the end; each row comes once."""
    gpu_ids = [gpu["id"] for gpu in cloud.api("GET", "/v2/catalog/gpus").body["gpus"]]
    ids, cursor = [], ""
    while True:
        page = cloud.api("GET", f"/v2/catalog/gpus?limit=7{cursor}").body
        ids += [gpu["id"] for gpu in page["gpus"]]
        if not page["pagination"]["hasNextPage"]:
            break
        cursor = f"&cursor={page['pagination']['nextCursor']}"

    assert ids == gpu_ids
    for wrong in ("cursor=!", "cursor=LTU=", "limit=0", "limit=1001"):
        assert cloud.api("GET", f"/v2/catalog/gpus?{wrong}").status == 422


def test_a_gpu_without_a_count_finds_no_machine(cloud: EmulatedCloud) -> None:
    """The document says that it is 1; the scheduler does not."""
    body = {"name": "n", "image": "i", "disk": 5, "gpu": {"id": GPU}}
    refused = cloud.api("POST", "/v2/pods", body)

    assert refused.status == 400
    assert "no longer any instances available" in refused.body["detail"]
    assert cloud.api("POST", "/v2/pods", {**body, "gpu": {"id": GPU, "count": 1}}).status == 201


def test_data_centers_are_tried_in_order_or_by_what_they_have(cloud: EmulatedCloud) -> None:
    """`dataCenterPriority` is taken in either spelling, and nothing else is."""
    wanted = ["US-KS-2", "CA-MTL-1"]

    def center(**more: Any) -> Any:
        return cloud.create(dataCenterIds=wanted, **more)["dataCenterId"]

    assert center() == "US-KS-2"
    assert center(dataCenterPriority="custom") == "US-KS-2"
    assert center(dataCenterPriority="AVAILABILITY") == "CA-MTL-1"
    body = {"name": "n", "image": "i", "disk": 5, "gpu": {"id": GPU, "count": 1}}
    assert cloud.api("POST", "/v2/pods", {**body, "dataCenterPriority": "near"}).status == 422


def test_a_cpu_costs_by_its_size_in_every_zone(cloud: EmulatedCloud) -> None:
    """`securePrice` is a number where there is none to be had, too, and scales with the size."""
    query = """query F($i: SpecificsInput) { cpuFlavors(input: {id: "cpu5c"}) {
        specifics(input: $i) { stockStatus securePrice } } }"""

    def specifics(instance: str, center: str) -> Any:
        variables = {"i": {"instanceId": instance, "dataCenterId": center}}
        reply = cloud.graphql(query, variables=variables, key=None)
        return reply.body["data"]["cpuFlavors"][0]["specifics"]

    small, large = specifics("cpu5c-2-4", "EU-RO-1"), specifics("cpu5c-8-16", "EU-RO-1")
    absent = specifics("cpu5c-8-16", "AP-JP-1")

    assert large["securePrice"] == pytest.approx(4 * small["securePrice"])
    assert (absent["stockStatus"], absent["securePrice"]) == (None, large["securePrice"])
    pod = cloud.create(cpu={"id": "cpu5c", "vcpuCount": 8})
    assert pod["cost"] == pytest.approx(large["securePrice"])


def test_spot_costs_what_on_demand_costs(cloud: EmulatedCloud) -> None:
    """So a bid of half of it gets nothing."""
    query = (
        '{ gpuTypes(input: {id: "NVIDIA A40"}) { securePrice communityPrice secureSpotPrice '
        "communitySpotPrice lowestPrice(input: {gpuCount: 1}) { minimumBidPrice "
        "uninterruptablePrice } } }"
    )
    gpu = cloud.graphql(query, key=None).body["data"]["gpuTypes"][0]

    assert gpu["secureSpotPrice"] == gpu["securePrice"]
    assert gpu["communitySpotPrice"] == gpu["communityPrice"]
    assert gpu["lowestPrice"]["minimumBidPrice"] == gpu["lowestPrice"]["uninterruptablePrice"]


def test_a_price_is_quoted_where_there_is_none_of_a_type(cloud: EmulatedCloud) -> None:
    """`community: false` says that there is none; the price beside it is no offer."""
    gpus = {gpu["id"]: gpu for gpu in cloud.api("GET", "/v2/catalog/gpus").body["gpus"]}
    alone = gpus["NVIDIA B200"]

    assert not alone["community"]
    assert alone["maxCount"]["community"] == 0
    assert alone["price"]["community"] > 0


def test_the_hosts_log_is_read_as_the_sdk_reads_it(cloud: EmulatedCloud) -> None:
    """runpod 2.0: stamped lines by source, or both in one stream."""
    pod = cloud.create(args="bash -c 'echo hello; sleep 600'")["id"]
    cloud.until_running(pod)
    events(cloud, f"/v2/pods/{pod}/logs?source=container", 1)  # it was printed
    logs = run(
        cloud,
        f"""
import asyncio, os
os.environ["RUNPOD_HAPI_URL"] = os.environ["RUNPOD_API_BASE_URL"]
from runpod.apps.logs import pod_logs, stream_pod_logs
async def first(kind):
    async for event in stream_pod_logs("{pod}", log_type=kind):
        if event["line"] == "hello":
            return event["source"]
async def main():
    both = await pod_logs("{pod}")
    one = await pod_logs("{pod}", log_type="container")
    return [both, one, await first("all"), await first("container")]
print(json.dumps(asyncio.run(main())))
""",
    )
    both, container_lines, *streamed = logs

    assert set(both) == {"container", "system"}
    assert [line.split(" ", 1)[1] for line in both["container"]] == ["hello"]
    assert container_lines == {"container": both["container"]}
    assert streamed == ["container", "container"]
    assert cloud.api("GET", f"/v1/pod/{pod}/logs?type=kernel").status == 422
    assert cloud.api("GET", f"/v1/pod/{pod}/logs", key=None).status == 401
    assert cloud.api("GET", "/v1/pods").status == 410


def test_a_log_stream_is_not_held_back_by_a_proxy(cloud: EmulatedCloud) -> None:
    """`X-Accel-Buffering: no` beside the event stream."""
    pod = cloud.create()["id"]
    request = urllib.request.Request(
        f"{cloud.base_url}/v2/pods/{pod}/logs",
        headers={"Authorization": f"Bearer {cloud.api_key}"},
    )
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.headers["X-Accel-Buffering"] == "no"


def test_a_secret_reaches_the_pod_that_names_it_and_no_list(cloud: EmulatedCloud) -> None:
    """GraphQL makes, lists and deletes it; its value is in the pod's first process alone."""
    create = """mutation secretCreate($input: SecretCreateInput!) {
        secretCreate(input: $input) { id name } }"""
    fields = {"name": "token", "value": "hunter2", "description": "d"}
    response = cloud.graphql(create, variables={"input": fields}).body["data"]["secretCreate"]
    twice = cloud.graphql(create, variables={"input": fields}).body
    listed = cloud.graphql("{ myself { secrets { id name description createdAt } } }").body
    pod = cloud.create(
        args="bash -c 'echo $A $B; sleep 600'",
        env={"A": "{{ RUNPOD_SECRET_token }}", "B": "{{RUNPOD_SECRET_none}}"},
    )
    line = events(cloud, f"/v2/pods/{pod['id']}/logs?source=container", 1)[0]["line"]
    delete = "mutation secretDelete($id: ID!) { secretDelete(id: $id) }"
    deleted = cloud.graphql(delete, variables={"id": response["id"]}).body["data"]
    again = cloud.graphql(delete, variables={"id": response["id"]}).body

    (secret,) = listed["data"]["myself"]["secrets"]
    assert (secret["id"], secret["name"], secret["description"]) == (response["id"], "token", "d")
    assert "must be unique" in twice["errors"][0]["message"]
    assert line == "hunter2 {{RUNPOD_SECRET_none}}"
    assert pod["env"]["A"] == "{{ RUNPOD_SECRET_token }}"
    assert "hunter2" not in json.dumps(cloud.state())
    assert deleted == {"secretDelete": True}
    assert "not found" in again["errors"][0]["message"]
