"""GraphQL of the emulator: what shipped clients send, answered as they expect."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.emulated_cloud import EmulatedCloud

DEPLOY = """
mutation createPod($input: PodFindAndDeployOnDemandInput!) {
  podFindAndDeployOnDemand(input: $input) {
    id name imageName desiredStatus costPerHr containerDiskInGb volumeInGb volumeMountPath
    gpuCount memoryInGb vcpuCount ports lastStatusChange env machine { gpuDisplayName location }
  }
}
"""
INPUT = {
    "cloudType": "SECURE", "containerDiskInGb": 5, "gpuCount": 1, "gpuTypeId": "NVIDIA A40",
    "imageName": "i", "name": "p", "ports": "22/tcp,8888/http", "dockerArgs": "sleep 600",
    "env": [{"key": "A", "value": "b \"c\""}],
}  # fmt: skip


def data(reply: Any) -> Any:
    assert reply.status == 200, reply
    assert "errors" not in reply.body, reply
    return reply.body["data"]


def deploy(cloud: EmulatedCloud, **changes: Any) -> Any:
    return cloud.graphql(
        DEPLOY, variables={"input": {**INPUT, **changes}}, operationName="createPod"
    )


def test_deploy_with_variables(cloud: EmulatedCloud) -> None:
    """Variables, an operation name and a nested selection work; both APIs see the pod."""
    created = data(deploy(cloud))["podFindAndDeployOnDemand"]

    assert created["desiredStatus"] == "RUNNING"  # wanted, not observed
    assert created["env"] == ['A=b "c"']
    assert created["machine"] == {"gpuDisplayName": "A40", "location": "CA"}
    assert created["lastStatusChange"].startswith("Rented by User: ")
    pod = cloud.pod(created["id"])
    assert pod is not None
    assert (pod["env"], pod["args"]) == ({"A": 'b "c"'}, "sleep 600")


def test_inline_literals(cloud: EmulatedCloud) -> None:
    """Enum and null literals, and a mutation without a selection, as the old SDK writes them."""
    response = data(
        cloud.graphql(
            'mutation { podFindAndDeployOnDemand(input: { name: "x", imageName: "i", '
            'cloudType: ALL, startSsh: true, gpuTypeId: "NVIDIA A40", supportPublicIp: true, '
            "gpuCount: 1, dataCenterId: null, containerDiskInGb: 5 }) { id machineId } }"
        )
    )["podFindAndDeployOnDemand"]
    pod_id = response["id"]
    stop = f'mutation {{ podStop(input: {{ podId: "{pod_id}" }}) {{ id desiredStatus }} }}'
    end = f'mutation {{ podTerminate(input: {{ podId: "{pod_id}" }}) }}'

    assert data(cloud.graphql(stop))["podStop"] == {"id": pod_id, "desiredStatus": "EXITED"}
    assert data(cloud.graphql(end)) == {"podTerminate": None}
    look = f'query pod {{ pod(input: {{podId: "{pod_id}"}}) {{ id }} }}'
    assert data(cloud.graphql(look)) == {"pod": None}


def test_runtime_comes_late(cloud: EmulatedCloud) -> None:
    """`runtime` is null until the container is reported, then has the public port."""
    created = data(deploy(cloud))["podFindAndDeployOnDemand"]
    running = cloud.until_running(created["id"])
    query = """{ myself { pods { id uptimeSeconds
        runtime { ports { ip isIpPublic privatePort publicPort type } } } } }"""
    pod = data(cloud.graphql(query))["myself"]["pods"][0]
    ssh = next(row for row in pod["runtime"]["ports"] if row["privatePort"] == 22)

    assert ssh["isIpPublic"]
    assert ssh["publicPort"] == running["ssh"]["direct"]["port"]


def test_cpu_pod(cloud: EmulatedCloud) -> None:
    """deployCpuPod takes an instance id; its template fills in the image."""
    response = data(
        cloud.graphql(
            'mutation { deployCpuPod(input: {name: "c", instanceId: "cpu3c-2-4", '
            'templateId: "runpod-ubuntu", containerDiskInGb: 5}) { id imageName memoryInGb } }'
        )
    )["deployCpuPod"]

    assert response["imageName"].startswith("runpod/base")
    assert response["memoryInGb"] == 4


def test_spot(cloud: EmulatedCloud) -> None:
    """A bid that is too low finds nothing; an accepted one is INTERRUPTABLE."""

    def bid(dollars: float) -> Any:
        return cloud.graphql(
            'mutation { podRentInterruptable(input: {name: "s", imageName: "i", '
            f'gpuTypeId: "NVIDIA A40", gpuCount: 1, bidPerGpu: {dollars}}}) {{ id podType }} }}'
        )

    assert "no longer any instances" in bid(0.01).body["errors"][0]["message"]
    assert data(bid(0.4))["podRentInterruptable"]["podType"] == "INTERRUPTABLE"


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        ({"gpuTypeId": "NVIDIA B200", "gpuCount": 9}, "SUPPLY_CONSTRAINT", "no longer any"),
        ({"imageName": ""}, "RUNPOD", "Container image name is required"),
        ({"ports": "nonsense"}, "INTERNAL_SERVER_ERROR", "Something went wrong"),
        ({"templateId": "nope"}, "RUNPOD", "not found"),
    ],
)
def test_business_errors(cloud: EmulatedCloud, changes: Any, code: str, text: str) -> None:
    """What cannot be done is HTTP 200 with an error, its path and its code."""
    reply = deploy(cloud, **changes)

    assert reply.status == 200
    error = reply.body["errors"][0]
    assert text in error["message"]
    assert error["path"] == ["podFindAndDeployOnDemand"]
    assert error["extensions"]["code"] == code
    assert reply.body["data"] == {"podFindAndDeployOnDemand": None}


def test_low_balance(cloud: EmulatedCloud) -> None:
    """Too little credit has its own code."""
    cloud.set_balance(0.1)

    assert deploy(cloud).body["errors"][0]["extensions"]["code"] == "INSUFFICIENT_BALANCE"


def test_documents_that_are_none(cloud: EmulatedCloud) -> None:
    """Syntax, unknown fields, wrong variables and introspection are HTTP 400."""
    for query in (
        "{",
        "{ nothing }",
        "{ __schema { types { name } } }",
        "query ($x: Nope) { pod }",
    ):
        assert cloud.graphql(query).status == 400
    assert cloud.graphql(DEPLOY, variables={"input": {"gpuCount": "two"}}).status == 400
    assert cloud.api("POST", "/graphql", {}).status == 400


def test_keys(cloud: EmulatedCloud) -> None:
    """The catalog needs no key, the account does, and a wrong key is 401."""
    catalog = cloud.graphql("{ countryCodes gpuTypes { id __typename } }", key=None)
    assert data(catalog)["gpuTypes"][0]["__typename"] == "GpuType"
    refused = cloud.graphql("{ myself { id } }", key=None)
    assert (refused.status, refused.body["errors"][0]["message"]) == (200, "Unauthorized")
    assert cloud.graphql("{ myself { id } }", key="wrong").status == 401
    url = f"/graphql?api_key={cloud.api_key}"
    assert data(cloud.api("POST", url, {"query": "{ myself { id } }"}, key=None))["myself"]


def test_catalog_queries(cloud: EmulatedCloud) -> None:
    """Prices and stock follow count and place; what is not there has a null stockStatus."""
    query = """
    query GpuTypes($lowestPriceInput: GpuLowestPriceInput, $gpuTypesInput: GpuTypeFilter) {
      gpuTypes(input: $gpuTypesInput) {
        id lowestPrice(input: $lowestPriceInput) { stockStatus minVcpu uninterruptablePrice }
      }
    }"""

    def stock(**where: Any) -> Any:
        variables = {"lowestPriceInput": where, "gpuTypesInput": {"id": "NVIDIA L40S"}}
        reply = cloud.graphql(query, variables=variables, key=None)
        return data(reply)["gpuTypes"][0]["lowestPrice"]

    here = stock(gpuCount=2, secureCloud=True, dataCenterId="US-KS-2")
    assert here == {"stockStatus": "High", "minVcpu": 32, "uninterruptablePrice": 0.86}
    assert stock(gpuCount=2, dataCenterId="EU-RO-1")["stockStatus"] is None
    flavors = cloud.graphql(
        "query F($d: String!) { cpuFlavors { id specifics(input: {dataCenterId: $d}) "
        "{ stockStatus securePrice } } }",
        variables={"d": "EU-RO-1"},
        key=None,
    )
    assert data(flavors)["cpuFlavors"][0]["specifics"]["stockStatus"] == "High"


def test_account_things(cloud: EmulatedCloud) -> None:
    """Keys, templates, registries and volumes can be made, seen and removed."""
    keys = cloud.graphql(
        "mutation Mutation($input: UpdateUserSettingsInput) "
        "{ updateUserSettings(input: $input) { id pubKey } }",
        variables={"input": {"pubKey": "ssh-ed25519 AAAA a\n\nssh-rsa BBBB b"}},
    )
    assert data(keys)["updateUserSettings"]["pubKey"] == "ssh-ed25519 AAAA a\nssh-rsa BBBB b"
    assert len(cloud.api("GET", "/v2/account/ssh-keys").body["keys"]) == 2

    registry = data(
        cloud.graphql(
            'mutation { saveRegistryAuth(input: {name: "r", username: "u", password: "p"}) '
            "{ id name } }"
        )
    )["saveRegistryAuth"]
    saved = cloud.graphql(
        'mutation { saveTemplate(input: {name: "t", imageName: "i", dockerArgs: "", '
        f'containerDiskInGb: 5, volumeInGb: 0, containerRegistryAuthId: "{registry["id"]}"}}) '
        "{ id name } }"
    )
    assert data(saved)["saveTemplate"]["name"] == "t"
    response = cloud.graphql(
        'mutation { createNetworkVolume(input: {name: "v", size: 10, dataCenterId: "EU-RO-1"}) '
        "{ id dataCenterId } }"
    )
    volume = data(response)["createNetworkVolume"]["id"]

    query = """{ myself { clientBalance currentSpendPerHr networkVolumes { id dataCenterId }
        podTemplates { name containerRegistryAuthId } containerRegistryCreds { id name } } }"""
    me = data(cloud.graphql(query))["myself"]
    assert me["podTemplates"] == [{"name": "t", "containerRegistryAuthId": registry["id"]}]
    assert me["currentSpendPerHr"] == pytest.approx(10 * 0.07 / 730)
    assert data(cloud.graphql('mutation { deleteTemplate(templateName: "t") }'))
    assert data(
        cloud.graphql(f'mutation {{ deleteRegistryAuth(registryAuthId: "{registry["id"]}") }}')
    ) == {"deleteRegistryAuth": None}
    assert data(
        cloud.graphql(f'mutation {{ deleteNetworkVolume(input: {{id: "{volume}"}}) }}')
    ) == {"deleteNetworkVolume": None}


def test_edit_and_resume(cloud: EmulatedCloud) -> None:
    """podEditJob changes the pod; podResume brings a stopped one back."""
    pod_id = data(deploy(cloud))["podFindAndDeployOnDemand"]["id"]
    edit = cloud.graphql(
        f'mutation {{ podEditJob(input: {{podId: "{pod_id}", dockerArgs: "sleep 5", '
        'imageName: "j", env: [{key: "N", value: "1"}]}) { dockerArgs imageName env } }'
    )
    assert data(edit)["podEditJob"] == {"dockerArgs": "sleep 5", "imageName": "j", "env": ["N=1"]}
    cloud.graphql(f'mutation {{ podStop(input: {{podId: "{pod_id}"}}) {{ id }} }}')
    resume = cloud.graphql(
        f'mutation {{ podResume(input: {{podId: "{pod_id}", gpuCount: 1}}) {{ desiredStatus }} }}'
    )
    assert data(resume)["podResume"]["desiredStatus"] == "RUNNING"
