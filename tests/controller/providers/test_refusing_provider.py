"""A provider that says no: what is repeated, what is not, and what the user is told."""

from __future__ import annotations

from typing import Any

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

CREATE = {"method": "^POST$", "path": "^/v2/pods$"}


def answering(
    status: int, detail: str, *errors: str, match: dict[str, str], **more: Any
) -> dict[str, Any]:
    """The fault that answers matching requests with RunPod's own error document."""
    body = {"title": "Error", "status": status, "detail": detail, "errors": list(errors)}
    value = {"status": status, "body": body, "type": "application/problem+json"}
    return {"name": "respond", "match": match, "value": value, **more}


def test_row_09_a_throttled_provider_is_asked_again_when_it_says(laptop: Laptop) -> None:
    """429 with Retry-After on the create, without on the list: nothing is lost, one pod is made."""
    laptop.write()
    lists = {"method": "^GET$", "path": "^/v2/pods$"}
    laptop.cloud.faults(
        {"name": "throttle", "times": 1, "value": 2, "match": CREATE},
        {"name": "throttle", "times": 2, "skip": 3, "match": lists},
    )
    laptop.podctl("run", "hello", "-y")
    first, second = laptop.creates()

    assert second - first >= 2
    laptop.assert_done(pods=1)


def test_row_10_a_key_that_is_revoked_mid_run_stops_loudly_and_leaves_the_job_to_its_guard(
    laptop: Laptop,
) -> None:
    """Exit code 10 with the pod, what it costs and what to do by hand; a new key carries on."""
    laptop.write()
    with laptop.held():
        process = laptop.start("run", "hello", "-y")
        until(laptop.works, 60)
        (pod,) = laptop.living_pods()
        laptop.cloud.faults(answering(401, "missing bearer token", match={"path": "^/v2/"}))
        _, err = process.communicate(timeout=90)
    state = laptop.cloud.state()["pods"]

    assert process.returncode == 10, err
    for word in (pod["id"], "/h", "guard", "console", "podctl doctor", "the key is not accepted"):
        assert word in err
    assert [pod["status"] for pod in state] == ["RUNNING"]
    laptop.cloud.faults()
    laptop.podctl("sync")
    laptop.assert_done(pods=1)


def test_row_11_a_create_without_funds_is_not_repeated(laptop: Laptop) -> None:
    """402, where the balance is told nowhere beforehand: exit code 10, and where to add funds."""
    laptop.write()
    laptop.cloud.set_balance(0.1)
    laptop.cloud.faults(answering(410, "gone", match={"path": "^/graphql"}))
    result = laptop.podctl("run", "hello", "-y", expect=10)

    assert len(laptop.creates()) == 1
    assert "balance is too low" in result.err
    assert "under Billing" in result.err
    assert laptop.living_pods() == []


def test_row_12_a_request_that_the_schema_refuses_is_not_repeated(laptop: Laptop) -> None:
    """422 after a change at the provider: exit code 10 with each of its findings."""
    laptop.write()
    finding = "$: missing property 'dataCenter'"
    laptop.cloud.faults(answering(422, "Request validation failed.", finding, match=CREATE))
    result = laptop.podctl("run", "hello", "-y", expect=10)

    assert len(laptop.creates()) == 1
    assert finding in result.err
    assert laptop.cloud.state()["pods"] == []


def test_row_10_a_key_that_may_not_delete_is_said_at_once(laptop: Laptop) -> None:
    """The stage is locked; the pod that stays, what bills and what to do are told: exit code 10."""
    laptop.write()
    body = {"title": "Forbidden", "status": 403, "detail": "this key may not delete"}
    value = {"status": 403, "body": body, "type": "application/problem+json"}
    match = {"method": "^DELETE$", "path": "^/v2/pods/"}
    laptop.cloud.faults({"name": "respond", "match": match, "value": value})
    result = laptop.podctl("run", "hello", "-y", expect=10)
    (pod,) = laptop.living_pods()
    laptop.cloud.faults()
    laptop.podctl("sync")

    assert (laptop.folder / "locks" / "hello.json").exists()
    assert "still billing" in result.err
    assert pod["id"] in result.err
    assert laptop.living_pods() == []
    laptop.assert_books_agree()
