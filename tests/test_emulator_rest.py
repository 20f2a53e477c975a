"""REST v2 of the embedded cloud, as the published API has it."""

from __future__ import annotations

from tests.emulated_cloud import EmulatedCloud, until


def test_pod_life(cloud: EmulatedCloud) -> None:
    """A pod is created, runs, and is gone after DELETE."""
    made = cloud.create()
    assert (made["status"], made["runtime"]) == ("PROVISIONING", None)

    running = cloud.until_running(made["id"])
    assert running["actions"] == ["stop", "restart", "terminate"]
    assert running["ssh"]["direct"]["port"] == running["runtime"]["ports"][0]["public"]

    assert cloud.api("DELETE", f"/v2/pods/{made['id']}").status == 204
    assert cloud.api("GET", f"/v2/pods/{made['id']}").status == 404
    assert cloud.api("GET", "/v2/pods").body["pods"] == []
