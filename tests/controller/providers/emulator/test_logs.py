"""The emulator's log streams: server-sent events of what pods really print."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.parse import quote

from tests.support.emulated_cloud import EmulatedCloud


def events(cloud: EmulatedCloud, path: str, count: int, **headers: str) -> list[dict[str, Any]]:
    """The first `count` events of a log stream, with their ids."""
    request = urllib.request.Request(
        cloud.base_url + path, headers={"Authorization": f"Bearer {cloud.api_key}", **headers}
    )
    collected: list[dict[str, Any]] = []
    with urllib.request.urlopen(request, timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        event_id = ""
        while len(collected) < count:
            line = stream.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                event_id = line[4:]
            if line.startswith("data: "):
                collected.append({"id": event_id, **json.loads(line[6:])})
    return collected


def test_logs(cloud: EmulatedCloud) -> None:
    """The log streams the container's own output live, and resumes after any event."""
    pod = cloud.create(
        args="bash -c 'for i in 1 2 3; do echo line $i; done; sleep 1; echo late; sleep 600'"
    )
    path = f"/v2/pods/{pod['id']}/logs?source=container"
    cloud.until_running(pod["id"])
    events_ = events(cloud, path, 4)
    assert [entry["line"] for entry in events_] == ["line 1", "line 2", "line 3", "late"]
    assert all(entry["id"] == entry["ts"] and entry["source"] == "container" for entry in events_)

    resumed = {"Last-Event-ID": events_[1]["id"]}
    assert [event["line"] for event in events(cloud, path, 2, **resumed)] == ["line 3", "late"]
    assert events(cloud, path + "&tail=1", 1)[0]["line"] == "late"
    since = quote(events_[2]["ts"])
    assert events(cloud, f"{path}&since={since}", 1)[0]["line"] == "line 3"
    system = events(cloud, f"/v2/pods/{pod['id']}/logs?source=system", 1)
    assert "create container" in system[0]["line"]
    assert cloud.api("GET", path + "&tail=5001").status == 422
    assert cloud.api("GET", path + "&since=yesterday").status == 422
    assert cloud.api("GET", f"/v2/pods/{pod['id']}/logs?source=nope").status == 422
    assert cloud.api("GET", "/v2/pods/nope/logs").status == 404
