"""The `Provider` of RunPod's REST v2 API, and of the emulator by another base URL.

Translates `PodSpec` to a request body, and documents to frozen dataclasses. Nothing is retried.
"""

from __future__ import annotations

import builtins  # `list` is a method here
import time
from collections.abc import Callable
from urllib.parse import quote

from controller.credentials.secret import Secret
from controller.providers.background import BackgroundCall
from controller.providers.base import (
    Account,
    BillingRecord,
    DataCenter,
    Hardware,
    Inventory,
    Kind,
    NetworkVolume,
    Offer,
    Pod,
    PodSpec,
    ProviderError,
)
from controller.providers.offers import by_price, ranked
from controller.providers.runpod import models
from controller.providers.runpod.account_models import BalanceReply, SshKeys
from controller.providers.runpod.catalog import (
    cpu_offer,
    cpu_query,
    cpu_type,
    gpu_offer,
    gpu_query,
    gpu_type,
)
from controller.providers.runpod.client import UNWIND_SECONDS, ApiClient, parsed
from controller.providers.runpod.container_log import EventBody
from controller.providers.runpod.errors import (
    NETWORK_HINT,
    RequestKind,
    is_missing,
    pod_request,
    server_time,
    unusable,
)
from controller.providers.runpod.requests import create_body, rfc3339, same_key
from controller.providers.runpod.transport import ApiResponse

BASE_URL = "https://api.runpod.io"
CALL_SECONDS = 30.0
CREATE_SECONDS = 120.0  # renting a pod may take well over ten seconds
LOG_SECONDS = 12.0
EMULATOR_HINT = "podctl emulator start"

_BALANCE = "query Balance { myself { clientBalance } }"
_CHANGE = "query Change($pod: String!) { pod(input: {podId: $pod}) { lastStatusChange } }"


class RunPod:
    """A `Provider` for one account and one base URL. Calls may run in threads."""

    def __init__(
        self,
        api_key: Secret | str,
        base_url: str = BASE_URL,
        *,
        name: str = "runpod",
        call_seconds: float = CALL_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._client = ApiClient(
            api_key,
            base_url,
            call_seconds=call_seconds,
            clock=clock,
            network_hint=EMULATOR_HINT if name == "emulator" else NETWORK_HINT,
        )

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        """Offers that `need` accepts, cheapest first; those with availability NONE come last."""
        if need.cpu is not None:
            return ranked(self._cpus(need.vcpu_count, need.data_centers), need)
        return ranked(self._gpus(need), need)

    def catalog(self) -> tuple[Offer, ...]:
        """One GPU of each type, and the smallest size of each CPU flavor, cheapest first."""
        secure = self._gpus(Hardware())
        secure_ids = {offer.id for offer in secure}
        community = [
            gpu for gpu in self._gpus(Hardware(cloud="COMMUNITY")) if gpu.id not in secure_ids
        ]
        return by_price([*secure, *community, *self._cpus(0)])

    def inventory(self, need: Hardware) -> Inventory:
        """Every GPU type, or CPU flavor, with its price in `need.cloud`, and the data centers."""
        kind = "cpus" if need.cpu is not None else "gpus"
        request = RequestKind(
            "read the catalog", "GET", f"/v2/catalog/{kind}", missing=Kind.REFUSED
        )
        parse = cpu_type if need.cpu is not None else gpu_type
        query = cpu_query(0)
        if need.cpu is None:
            query = gpu_query(Hardware(cloud=need.cloud))
        types = self._client.collection(
            request, kind, lambda document: parse(document, need.cloud), query
        )
        return Inventory(tuple(entry for entry in types if entry is not None), self._centers(need))

    def _centers(self, need: Hardware) -> tuple[DataCenter, ...]:
        """The data centers; read only if `need` names one."""
        if not need.data_centers:
            return ()
        path = "/v2/catalog/datacenters"
        request = RequestKind("read the list of data centers", "GET", path, missing=Kind.REFUSED)
        return self._client.collection(request, "dataCenters", models.center)

    def create(self, spec: PodSpec) -> Pod:
        """Rent a pod. Never repeated, neither here nor in the SDK."""
        request = RequestKind(
            "create a pod", "POST", "/v2/pods", missing=Kind.REFUSED, creates=True
        )
        document, response = self._client.call(
            request, json=create_body(spec), seconds=CREATE_SECONDS
        )
        return parsed(request, response, models.pod, document)

    def list(self) -> tuple[Pod, ...]:
        """Every pod of the account, all pages."""
        request = RequestKind("list the pods", "GET", "/v2/pods", missing=Kind.REFUSED)
        pods = {pod.id: pod for pod in self._client.collection(request, "pods", models.pod)}
        return tuple(pods.values())  # a pod may move to the next page between two requests

    def get(self, pod_id: str) -> Pod | None:
        """One pod; None after a 404, which proves little about a recently created pod."""
        request = pod_request("read a pod", "GET", pod_id)
        try:
            document, response = self._client.call(request)
        except ProviderError as error:
            if is_missing(error):
                return None
            raise
        return parsed(request, response, models.pod, document)

    def start(self, pod_id: str) -> None:
        """Start a parked pod on its host; raises CAPACITY if its GPU is in use."""
        self._act("start a pod", pod_id, "start")

    def stop(self, pod_id: str) -> None:
        """Park a pod: compute stops billing, the volume continues."""
        self._act("stop a pod", pod_id, "stop")

    def terminate(self, pod_id: str) -> bool:
        """Terminate a pod; False if it is unknown, which is no error."""
        try:
            self._client.call(pod_request("terminate a pod", "DELETE", pod_id))
        except ProviderError as error:
            if not is_missing(error):
                raise
            return False
        return True

    def volumes(self) -> tuple[NetworkVolume, ...]:
        """Every network volume of the account."""
        request = RequestKind(
            "list the volumes", "GET", "/v2/network-volumes", missing=Kind.REFUSED
        )
        return self._client.collection(request, "networkVolumes", models.volume)

    def create_volume(self, name: str, size_gb: int, data_center: str) -> NetworkVolume:
        """Make a network volume. Never repeated."""
        request = RequestKind(
            "create a network volume", "POST", "/v2/network-volumes", missing=Kind.REFUSED,
            creates=True,
        )  # fmt: skip
        body = {"name": name, "size": size_gb, "dataCenter": data_center}
        document, response = self._client.call(request, json=body, seconds=CREATE_SECONDS)
        return parsed(request, response, models.volume, document)

    def delete_volume(self, volume_id: str) -> bool:
        """Delete a network volume; False if it is unknown, which is no error."""
        path = f"/v2/network-volumes/{quote(volume_id, safe='')}"
        request = RequestKind("delete a network volume", "DELETE", path)
        try:
            self._client.call(request)
        except ProviderError as error:
            if not is_missing(error):
                raise
            return False
        return True

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        """The hourly records that touch [since, until]."""
        request = RequestKind("read the bill", "GET", "/v2/billing/pods", missing=Kind.REFUSED)
        window = {"startTime": rfc3339(since), "endTime": rfc3339(until), "bucketSize": "hour"}
        records = self._client.collection(request, "records", models.bill, window)
        return tuple(record for record in records if record.end > since and record.start < until)

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        """The last lines of the container's own output, unsanitised."""
        return self._log(pod_id, "container", tail)

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        """The last lines of the host's log of the pod, unsanitised."""
        return self._log(pod_id, "system", tail)

    def _log(self, pod_id: str, source: str, tail: int) -> tuple[str, ...]:
        request = pod_request(f"read the {source} log", "GET", pod_id, "/logs")
        body = EventBody(tail, LOG_SECONDS, source)
        query = {"source": source, "tail": str(body.tail)}
        lines, response = self._client.call(
            request, query=query, body=body, seconds=LOG_SECONDS + 3
        )
        if not isinstance(lines, builtins.list):
            raise unusable(request, response, "it contains no log")
        return tuple(lines)

    def last_change(self, pod_id: str) -> str:
        """`lastStatusChange`, which only GraphQL reports; empty if the request fails."""
        request = RequestKind("read a pod's history", "POST", "/graphql", missing=Kind.REFUSED)
        question = {"query": _CHANGE, "variables": {"pod": pod_id}}
        try:
            document, response = self._client.call(request, json=question)
            reply = parsed(request, response, models.ChangeReply.model_validate, document)
        except ProviderError:
            return ""
        change = reply.data.pod
        return change.last_change if change is not None else ""

    def account(self) -> Account:
        """Balance (None if not reported), registered keys, and the skew of the local clock."""
        balance = BackgroundCall(self._balance, "balance")
        keys, response = self._keys()
        provider_time = server_time(response.headers)
        middle = (response.sent_at + response.received_at) / 2
        return Account(
            balance_usd=balance.result(CALL_SECONDS + UNWIND_SECONDS),
            ssh_keys=tuple(keys),
            # `Date` is truncated to the second: on average it is half a second too early.
            clock_skew_seconds=None if provider_time is None else provider_time + 0.5 - middle,
        )

    def register_key(self, public_key: str) -> None:
        """Add one public key. The call replaces all keys, so the others are read first."""
        keys, _ = self._keys()
        if any(same_key(key, public_key) for key in keys):
            return
        request = RequestKind(
            "register an SSH key", "PUT", "/v2/account/ssh-keys", missing=Kind.REFUSED
        )
        self._client.call(request, json={"keys": [*keys, public_key.strip()]})

    def _keys(self) -> tuple[tuple[str, ...], ApiResponse]:
        request = RequestKind(
            "read the account", "GET", "/v2/account/ssh-keys", missing=Kind.REFUSED
        )
        document, response = self._client.call(request)
        return tuple(parsed(request, response, SshKeys.model_validate, document).keys), response

    def _balance(self) -> float | None:
        """The balance in USD, which only the retiring GraphQL API reports; None if that fails."""
        request = RequestKind("read the balance", "POST", "/graphql", missing=Kind.REFUSED)
        try:
            document, response = self._client.call(request, json={"query": _BALANCE})
            reply = parsed(request, response, BalanceReply.model_validate, document)
        except ProviderError:
            return None
        return reply.data.myself.balance

    def _gpus(self, need: Hardware) -> tuple[Offer, ...]:
        request = RequestKind(
            "read the GPU catalog", "GET", "/v2/catalog/gpus", missing=Kind.REFUSED
        )
        query = gpu_query(need)
        offers = self._client.collection(
            request, "gpus", lambda document: gpu_offer(document, need), query
        )
        return tuple(offer for offer in offers if offer is not None)

    def _cpus(self, vcpus: int, data_centers: tuple[str, ...] = ()) -> tuple[Offer, ...]:
        """Offers of `vcpus` vCPUs; 0 means the smallest size of each flavor."""
        request = RequestKind(
            "read the CPU catalog", "GET", "/v2/catalog/cpus", missing=Kind.REFUSED
        )
        query = cpu_query(vcpus)
        offers = self._client.collection(
            request, "cpus", lambda document: cpu_offer(document, vcpus, data_centers), query
        )
        return tuple(offer for offer in offers if offer is not None)

    def _act(self, operation: str, pod_id: str, action: str) -> None:
        self._client.call(
            pod_request(operation, "POST", pod_id, "/action"), json={"action": action}
        )
