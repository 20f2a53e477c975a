"""The emulator for tests: a real process with real requests and pods."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from controller.providers.emulator.server import EmulatorProcess, start_process
from controller.providers.emulator.settings import EmulatorSettings, Quota
from tests.support import openapi_v2

FAST = EmulatorSettings(
    boot_seconds=0.05,
    runtime_seconds=0.0,
    stop_seconds=1.0,
    evict_seconds=1.0,
    restart_seconds=0.1,
    quota=Quota(1_000_000, 1_000_000, 1_000_000),
    record_traffic=True,
)
T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]  # lower-case names
    body: Any  # decoded JSON, or text


@dataclass
class EmulatedCloud:
    """One running emulator. `api` sends requests as the account; the rest is control."""

    process: EmulatorProcess
    api_key: str

    @property
    def base_url(self) -> str:
        return self.process.base_url

    @property
    def state_dir(self) -> Path:
        return self.process.state_dir

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Reply:
        """One request with the account's key; `key=None` sends none, another is sent as it is."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            sent["Authorization"] = f"Bearer {key or self.api_key}"
        data = body if isinstance(body, bytes) else None if body is None else _encoded(body)
        request = urllib.request.Request(
            self.base_url + path, data=data, method=method, headers=sent
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return _reply(reply.status, reply.headers, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error.headers, error.read())

    def graphql(self, query: str, *, key: str | None = "", **more: Any) -> Reply:
        return self.api("POST", "/graphql", {"query": query, **more}, key=key)

    def pod(self, pod_id: str) -> dict[str, Any] | None:
        reply = self.api("GET", f"/v2/pods/{pod_id}")
        return reply.body if reply.status == 200 else None

    def create(self, **fields: Any) -> dict[str, Any]:
        """A small GPU pod that sleeps, unless told otherwise."""
        body = {
            "name": "pod",
            "image": "runpod/base",
            "disk": 5,
            "args": "sleep 600",
            "ports": ["22/tcp"],
            **({} if "cpu" in fields else {"gpu": {"id": "NVIDIA A40", "count": 1}}),
            **fields,
        }
        reply = self.api("POST", "/v2/pods", body)
        assert reply.status == 201, reply
        return dict(reply.body)

    def until_running(self, pod_id: str, seconds: float = 20.0) -> dict[str, Any]:
        """The pod once it is RUNNING and its runtime is reported."""

        def ready() -> dict[str, Any] | None:
            pod = self.pod(pod_id)
            return pod if pod and pod["status"] == "RUNNING" and pod["runtime"] else None

        return until(ready, seconds)

    def log(self, pod_id: str) -> list[str]:
        """The container's output so far."""
        path = self.state_dir / "pods" / pod_id / "container.log"
        if not path.exists():
            return []
        return [line.partition(" ")[2] for line in path.read_text().splitlines()]

    def state(self) -> dict[str, Any]:
        return dict(self.api("GET", "/_emulator/state").body)

    def faults(self, *faults: dict[str, Any]) -> None:
        """Switch on exactly these, e.g. `cloud.faults({"name": "no_capacity", "times": 1})`."""
        reply = self.api("PUT", "/_emulator/faults", {"faults": list(faults)})
        assert reply.status == 200, reply

    def set_balance(self, dollars: float) -> None:
        reply = self.api("PUT", "/_emulator/balance", {"usd": dollars})
        assert reply.status == 200, reply

    def kill_pod(self, pod_id: str, *, lost_volume: bool = False, status: str = "EXITED") -> None:
        """The pod's host dies."""
        self._pod_event(pod_id, "kill", {"lost_volume": lost_volume, "status": status})

    def evict_pod(self, pod_id: str) -> None:
        self._pod_event(pod_id, "evict")

    def reboot_pod(self, pod_id: str) -> None:
        self._pod_event(pod_id, "reboot")

    def crash_pod(self, pod_id: str) -> None:
        self._pod_event(pod_id, "crash")

    def check_traffic(self) -> None:
        """Every exchange since the last check is as the published schema has it."""
        path = self.state_dir / "traffic.jsonl"
        if not path.exists():
            return
        exchanges = [json.loads(line) for line in path.read_text().splitlines()]
        path.unlink()
        openapi_v2.check(exchanges)

    def reset(self) -> None:
        reply = self.api("POST", "/_emulator/reset", timeout=60.0)
        assert reply.status == 204, reply

    def _pod_event(self, pod_id: str, event: str, body: Any = None) -> None:
        reply = self.api("POST", f"/_emulator/pods/{pod_id}/{event}", body)
        assert reply.status == 204, reply


def start_cloud(
    state_dir: Path, settings: EmulatorSettings = FAST, api_key: str = "rpa_emulator"
) -> EmulatedCloud:
    return EmulatedCloud(start_process(state_dir, api_key=api_key, settings=settings), api_key)


def until(poll: Callable[[], T | None], seconds: float = 20.0) -> T:
    """Call `poll` until its result is true or not empty; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = poll()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"nothing within {seconds} s")


def _encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def _reply(status: int, headers: Any, data: bytes) -> Reply:
    names = {name.lower(): value for name, value in headers.items()}
    text = data.decode(errors="replace")
    try:
        return Reply(status, names, json.loads(text) if text else None)
    except ValueError:
        return Reply(status, names, text)
