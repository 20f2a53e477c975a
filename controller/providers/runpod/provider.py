"""RunPod over REST v2, through its SDK; the emulator too, by another base URL.

The only module that imports `runpod`. It translates: `PodSpec` to a request body, documents to
frozen dataclasses, failures to `ProviderError`. Nothing is retried here.
"""

from __future__ import annotations

import asyncio
import builtins  # `list` is a method here
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import aiohttp
from pydantic import ValidationError
from runpod.api.rest import run_rest_request_async  # type: ignore[import-untyped]  # ships none
from runpod.error import RunPodError  # type: ignore[import-untyped]  # the same

from controller.credentials.secret import Secret
from controller.errors import Refused
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
from controller.providers.event_loop import run_to_end
from controller.providers.offers import by_price, ranked
from controller.providers.runpod import catalog as wire_catalog
from controller.providers.runpod import models as wire
from controller.providers.runpod.container_log import EventBody
from controller.providers.runpod.errors import (
    NETWORK_HINT,
    RequestKind,
    is_missing,
    pod_ask,
    refused,
    server_time,
    unreached,
    unusable,
)
from controller.providers.runpod.requests import create_body, rfc3339, same_key
from controller.providers.runpod.transport import Answer, Body, JsonBody, Transport, UnusableAnswer

BASE_URL = "https://api.runpod.io"
CALL_SECONDS = 30.0
CREATE_SECONDS = 120.0  # renting a pod may take well over ten seconds
LOG_SECONDS = 12.0
UNWIND_SECONDS = 10.0  # of a request whose time is over
EMULATOR_HINT = "podctl emulator starts it"

_BALANCE = "query Balance { myself { clientBalance } }"
_CHANGE = "query Change($pod: String!) { pod(input: {podId: $pod}) { lastStatusChange } }"

T = TypeVar("T")


class RunPod:
    """A `Provider`. One instance has one account and one base URL; calls may run in threads."""

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
        self._key = api_key if isinstance(api_key, Secret) else Secret(api_key)
        if not re.fullmatch(r"[!-~]{1,512}", self._key.reveal()):
            # An empty one would make the SDK take another account's key without a word.
            raise Refused("the API key is empty or not plain text")
        self._base_url = base_url.rstrip("/")
        self._call_seconds = call_seconds
        self._clock = clock
        self._silence_hint = EMULATOR_HINT if name == "emulator" else NETWORK_HINT

    def offers(self, need: Hardware) -> tuple[Offer, ...]:
        """What `need` accepts, cheapest first; availability NONE last."""
        if need.cpu is not None:
            return ranked(self._cpus(need.vcpu_count, need.data_centers), need)
        return ranked(self._gpus(need), need)

    def catalog(self) -> tuple[Offer, ...]:
        """One GPU of each type, and the smallest size of each CPU flavor, cheapest first."""
        secure = self._gpus(Hardware())
        seen = {offer.id for offer in secure}
        community = [one for one in self._gpus(Hardware(cloud="COMMUNITY")) if one.id not in seen]
        return by_price([*secure, *community, *self._cpus(0)])

    def inventory(self, need: Hardware) -> Inventory:
        """Every GPU type, or CPU flavor, and every data center, with what `need.cloud` has."""
        kind = "cpus" if need.cpu is not None else "gpus"
        ask = RequestKind("read the catalog", "GET", f"/v2/catalog/{kind}", missing=Kind.REFUSED)
        parse = wire_catalog.cpu_type if need.cpu is not None else wire_catalog.gpu_type
        query = wire_catalog.cpu_query(0)
        if need.cpu is None:
            query = wire_catalog.gpu_query(Hardware(cloud=need.cloud))
        types = self._collection(ask, kind, lambda one: parse(one, need.cloud), query)
        return Inventory(tuple(one for one in types if one is not None), self._centers(need))

    def _centers(self, need: Hardware) -> tuple[DataCenter, ...]:
        """Read where a data center is asked for; else nobody wants to know."""
        if not need.data_centers:
            return ()
        path = "/v2/catalog/datacenters"
        ask = RequestKind("read the list of data centers", "GET", path, missing=Kind.REFUSED)
        return self._collection(ask, "dataCenters", wire.center)

    def create(self, spec: PodSpec) -> Pod:
        """Rent. Never repeated, neither here nor below."""
        ask = RequestKind("create a pod", "POST", "/v2/pods", missing=Kind.REFUSED, creates=True)
        document, answer = self._call(ask, json=create_body(spec), seconds=CREATE_SECONDS)
        return _read(ask, answer, wire.pod, document)

    def list(self) -> tuple[Pod, ...]:
        """Every pod of the account, all pages."""
        ask = RequestKind("list the pods", "GET", "/v2/pods", missing=Kind.REFUSED)
        pods = {pod.id: pod for pod in self._collection(ask, "pods", wire.pod)}
        return tuple(pods.values())  # a pod may move to the next page between two requests

    def get(self, pod_id: str) -> Pod | None:
        """One pod; None when the provider says 404, which is weak evidence for a young pod."""
        ask = pod_ask("read a pod", "GET", pod_id)
        try:
            document, answer = self._call(ask)
        except ProviderError as error:
            if is_missing(error):
                return None
            raise
        return _read(ask, answer, wire.pod, document)

    def start(self, pod_id: str) -> None:
        """Resume on its host; CAPACITY when its GPU is taken."""
        self._act("start a pod", pod_id, "start")

    def stop(self, pod_id: str) -> None:
        """Park: compute stops billing, the volume goes on."""
        self._act("stop a pod", pod_id, "stop")

    def terminate(self, pod_id: str) -> bool:
        """End for good; False for a pod that is unknown, which is no error."""
        try:
            self._call(pod_ask("terminate a pod", "DELETE", pod_id))
        except ProviderError as error:
            if not is_missing(error):
                raise
            return False
        return True

    def volumes(self) -> tuple[NetworkVolume, ...]:
        """Every network volume of the account."""
        ask = RequestKind("list the volumes", "GET", "/v2/network-volumes", missing=Kind.REFUSED)
        return self._collection(ask, "networkVolumes", wire.volume)

    def billing(self, since: float, until: float) -> tuple[BillingRecord, ...]:
        """The hourly records that touch [since, until]."""
        ask = RequestKind("read the bill", "GET", "/v2/billing/pods", missing=Kind.REFUSED)
        window = {"startTime": rfc3339(since), "endTime": rfc3339(until), "bucketSize": "hour"}
        records = self._collection(ask, "records", wire.bill, window)
        return tuple(one for one in records if one.end > since and one.start < until)

    def container_log(self, pod_id: str, tail: int = 1000) -> tuple[str, ...]:
        """The last lines of the container's own output, as they are: not yet safe to show."""
        return self._log(pod_id, "container", tail)

    def system_log(self, pod_id: str, tail: int = 200) -> tuple[str, ...]:
        """The last lines of the host's own log of the pod; as unsafe to show."""
        return self._log(pod_id, "system", tail)

    def _log(self, pod_id: str, source: str, tail: int) -> tuple[str, ...]:
        ask = pod_ask(f"read the {source} log", "GET", pod_id, "/logs")
        body = EventBody(tail, LOG_SECONDS, source)
        query = {"source": source, "tail": str(body.tail)}
        lines, answer = self._call(ask, query=query, body=body, seconds=LOG_SECONDS + 3)
        if not isinstance(lines, builtins.list):
            raise unusable(ask, answer, "no log came")
        return tuple(lines)

    def last_change(self, pod_id: str) -> str:
        """`lastStatusChange`, which only GraphQL tells; its silence is not an error."""
        ask = RequestKind("read a pod's history", "POST", "/graphql", missing=Kind.REFUSED)
        question = {"query": _CHANGE, "variables": {"pod": pod_id}}
        try:
            document, answer = self._call(ask, json=question)
            reply = _read(ask, answer, wire.ChangeReply.model_validate, document)
        except ProviderError:
            return ""
        found = reply.data.pod
        return found.last_change if found is not None else ""

    def account(self) -> Account:
        """Balance (None where it is not told), registered keys, and how far our clock is off."""
        keys, answer = self._keys()
        told = server_time(answer.headers)
        middle = (answer.sent_at + answer.received_at) / 2
        return Account(
            balance_usd=self._balance(),
            ssh_keys=tuple(keys),
            # `Date` is cut to the second: on average half a second older than the answer.
            clock_skew_seconds=None if told is None else told + 0.5 - middle,
        )

    def register_key(self, public_key: str) -> None:
        """Add one public key; the call replaces all of them, so the others are read first."""
        keys, _ = self._keys()
        if any(same_key(one, public_key) for one in keys):
            return
        ask = RequestKind(
            "register an SSH key", "PUT", "/v2/account/ssh-keys", missing=Kind.REFUSED
        )
        self._call(ask, json={"keys": [*keys, public_key.strip()]})

    def _keys(self) -> tuple[tuple[str, ...], Answer]:
        ask = RequestKind("read the account", "GET", "/v2/account/ssh-keys", missing=Kind.REFUSED)
        document, answer = self._call(ask)
        return tuple(_read(ask, answer, wire.SshKeys.model_validate, document).keys), answer

    def _balance(self) -> float | None:
        """Only GraphQL tells it, and GraphQL is about to go: its silence is not an error."""
        ask = RequestKind("read the balance", "POST", "/graphql", missing=Kind.REFUSED)
        try:
            document, answer = self._call(ask, json={"query": _BALANCE})
            reply = _read(ask, answer, wire.BalanceReply.model_validate, document)
        except ProviderError:
            return None
        return reply.data.myself.balance

    def _gpus(self, need: Hardware) -> tuple[Offer, ...]:
        ask = RequestKind("read the GPU catalog", "GET", "/v2/catalog/gpus", missing=Kind.REFUSED)
        query = wire_catalog.gpu_query(need)
        found = self._collection(ask, "gpus", lambda one: wire_catalog.gpu_offer(one, need), query)
        return tuple(offer for offer in found if offer is not None)

    def _cpus(self, vcpus: int, places: tuple[str, ...] = ()) -> tuple[Offer, ...]:
        """Offers of `vcpus` vCPUs; 0 means the smallest size of each flavor."""
        ask = RequestKind("read the CPU catalog", "GET", "/v2/catalog/cpus", missing=Kind.REFUSED)
        query = wire_catalog.cpu_query(vcpus)
        found = self._collection(
            ask, "cpus", lambda one: wire_catalog.cpu_offer(one, vcpus, places), query
        )
        return tuple(offer for offer in found if offer is not None)

    def _act(self, what: str, pod_id: str, action: str) -> None:
        self._call(pod_ask(what, "POST", pod_id, "/action"), json={"action": action})

    def _collection(
        self,
        ask: RequestKind,
        key: str,
        parse: Callable[[Any], T],
        query: Mapping[str, str] | None = None,
    ) -> tuple[T, ...]:
        """Every item of a list, page by page, in at most five calls' time."""
        items: builtins.list[T] = []
        seen: set[str | None] = {None}
        cursor: str | None = None
        end = time.monotonic() + 5 * self._call_seconds
        while time.monotonic() < end:
            paged = {**(query or {}), **({"cursor": cursor} if cursor else {})}
            document, answer = self._call(ask, query=paged)
            page = document.get(key) if isinstance(document, dict) else None
            if not isinstance(page, builtins.list):
                raise unusable(ask, answer, f"no list of {key} in it")
            items += [_read(ask, answer, parse, one) for one in page]
            cursor = _read(ask, answer, wire.next_cursor, document)
            if cursor is None:
                return tuple(items)
            if cursor in seen:
                raise unusable(ask, answer, "the same page came twice")
            seen.add(cursor)
        raise unreached(ask, "the list has no end in time", sent=True)

    def _call(
        self,
        ask: RequestKind,
        *,
        query: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        body: Body | None = None,
        seconds: float | None = None,
    ) -> tuple[Any, Answer]:
        """One request. The document (None for an empty answer), and the answer it came in.

        Causes are told in words and not chained: the SDK's exceptions carry the key's header.
        """
        exchange = Transport(self._base_url + ask.path, body or JsonBody(), self._clock)
        allowed = seconds or self._call_seconds
        try:
            document = run_to_end(
                self._send(ask, exchange, query, json, allowed), allowed + UNWIND_SECONDS
            )
        except RunPodError as error:
            if exchange.answer is None:
                raise unreached(ask, str(error), sent=exchange.connected) from None
            raise refused(ask, exchange.answer) from None
        except UnusableAnswer as error:
            raise unusable(ask, exchange.answer, str(error)) from None
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise unreached(
                ask, _why(error), sent=exchange.connected, hint=self._silence_hint
            ) from None
        if exchange.answer is None:
            raise unreached(ask, "no answer", sent=exchange.connected)
        return document, exchange.answer

    async def _send(
        self,
        ask: RequestKind,
        exchange: Transport,
        query: Mapping[str, str] | None,
        json: Mapping[str, Any] | None,
        seconds: float,
    ) -> Any:
        async with asyncio.timeout(seconds + 1):  # a second line of defence around the SDK's own
            return await run_rest_request_async(
                ask.method,
                ask.path,
                api_key=self._key.reveal(),
                params=query,
                json=json,
                timeout=seconds,
                session=exchange,
            )


def _read(ask: RequestKind, answer: Answer, parse: Callable[[Any], T], document: Any) -> T:
    try:
        return parse(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise unusable(ask, answer, f"{place}: {first['msg']}") from None


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    return f"{type(error).__name__}: {error}"
