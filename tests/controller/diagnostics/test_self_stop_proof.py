"""What proves that a pod ends its own bill: a read, a drill, and nobody else's answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from controller.diagnostics import drill_results as proof
from controller.diagnostics.drill_results import PASSED, REFUTED, STAGE
from controller.errors import Refused
from controller.planner import actions
from controller.planner.decide import decide
from controller.planner.policy import Policy
from remote.contract import GuardLimits, GuardReport
from state.database import open_database
from state.journal import Journal
from tests.controller.diagnostics.test_drill import guarded
from tests.controller.planner.test_decide import lease_state, pod, seen
from tests.support.emulated_cloud import EmulatedCloud, until
from tests.support.guard_api import ACTION, LONG, POD, Api, Bench, serving
from tests.support.laptop import Laptop
from tests.support.pod_side import until as pod_until

QUICK_PROOF = GuardLimits(boot_grace=60.0, idle=0.2, hard_cap=60.0)  # proves every 2 s
CDN = b"<html><body>error code: 1010</body></html>"
CDN_JSON = b'{"title": "Error 1010", "status": 403, "cloudflare_error": true, "error_code": 1010}'


# -- what the guard says ---------------------------------------------------------------------------


def test_a_key_that_may_not_read_its_pod_is_said_to_be_denied(bench: Bench) -> None:
    """That is no proof and no refutation: the same key may stop the pod."""
    bench.api.statuses[POD] = [403]
    bench.start(LONG)
    reports = bench.reports(denied=True)

    assert (reports.armed, reports.detail) == (False, "cannot read this pod: HTTP 403")


def test_a_key_that_lost_its_right_to_read_is_not_called_denied(bench: Bench) -> None:
    """It read the pod before: something was taken back, perhaps the right to stop, too."""
    bench.start(QUICK_PROOF)
    bench.reports(armed=True)
    bench.api.statuses[POD] = [403]

    assert not bench.reports(armed=False).denied


@pytest.mark.parametrize("page", [CDN, CDN_JSON, b"error code: 1010", b""])
def test_a_cdn_that_refuses_takes_no_proof_back(bench: Bench, page: bytes) -> None:
    """403 with code 1010 comes before anybody has looked at the key."""
    bench.start(QUICK_PROOF)
    bench.reports(armed=True)
    before = len(bench.api.of(POD))
    bench.api.pages[POD], bench.api.statuses[POD] = page, [403]
    pod_until(lambda: len(bench.api.of(POD)) > before + 2, f"proofs that fail: {bench.log()}")

    assert bench.report().armed
    assert "not armed" not in bench.log()


def test_a_cdn_that_refuses_from_the_start_arms_and_denies_nothing(bench: Bench) -> None:
    """It says nothing about the key, so a drill does not stand in for it either."""
    bench.api.pages[POD], bench.api.statuses[POD] = CDN, [403]
    bench.start(LONG)
    reports = bench.reports(
        armed=False, detail="cannot read this pod: HTTP 403 from something before the API"
    )

    assert not reports.denied


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_goes_to_no_other_host_and_its_answer_proves_nothing(
    bench: Bench, status: int
) -> None:
    """The guard follows no redirect, neither for the proof nor for the order to stop."""
    other = Api()
    with serving(other) as elsewhere:
        bench.api.moved = {path: elsewhere + path for path in (POD, ACTION, "/graphql")}
        bench.api.statuses = {path: [status] for path in (POD, ACTION, "/graphql")}
        bench.start(GuardLimits(boot_grace=0.5, idle=60.0, hard_cap=60.0))
        bench.reports(armed=False, detail=f"cannot read this pod: HTTP {status}")
        pod_until(lambda: len(bench.api.of(ACTION)) >= 2, f"orders to stop: {bench.log()}")

    assert other.calls == []
    assert "PODCTL-GUARD armed" not in bench.log()
    assert "the order to stop is accepted" not in bench.log()


def test_a_page_in_place_of_the_api_accepts_no_order(bench: Bench) -> None:
    """A sign-in page answers 200 to everything: the order is given again."""
    bench.api.pages = {ACTION: b"<html>sign in</html>", "/graphql": b"<html>sign in</html>"}
    bench.start(GuardLimits(boot_grace=0.5, idle=60.0, hard_cap=60.0))
    pod_until(lambda: len(bench.api.of(ACTION)) >= 2, f"orders to stop: {bench.log()}")

    assert "the order to stop is accepted" not in bench.log()


# -- what podctl makes of it -----------------------------------------------------------------------

DENIED = GuardReport("b", False, "HTTP 403", "boot", 100.0, 100.0, denied=True)


def look(guard: GuardReport | None, since: float = 10.0) -> Any:
    contact = dataclasses.replace(guarded(100.0), guard=guard)
    return seen(lease_state(), pod(), contact=contact, guard_since=since)


def test_a_drill_stands_in_for_a_read_that_is_denied_and_for_nothing_else() -> None:
    """A guard that is silent, or that lost its key, is as unarmed as before."""
    proven, unproven = Policy(stops_itself=True), Policy()
    armed = dataclasses.replace(DENIED, armed=True, denied=False)
    lost = dataclasses.replace(DENIED, denied=False)

    assert proven.trusts(DENIED)
    assert proven.trusts(armed)
    assert unproven.trusts(armed)
    assert not unproven.trusts(DENIED)
    for policy in (proven, unproven):
        assert not policy.trusts(lost)
        assert not policy.trusts(None)
        assert not policy.trusts(DENIED.silenced("the guard was silent for 61 s"))


def test_a_denied_guard_is_asked_about_soon_and_the_drill_is_named() -> None:
    """Nothing is won by waiting until the pod has cost as much as the drill."""
    policy = Policy()
    young = decide(look(DENIED, since=1000.0 - policy.denied + 1.0), policy)
    old = decide(look(DENIED, since=1000.0 - policy.denied - 1.0), policy)
    proven = decide(look(DENIED), dataclasses.replace(policy, stops_itself=True))

    assert isinstance(young, actions.Wait)
    assert isinstance(old, actions.AskUnguarded)
    assert "podctl doctor --drill" in old.detail
    assert isinstance(proven, actions.Upload)


def held(journal: Journal, outcome: str, image: str, account: str = "me") -> None:
    """One finished drill in the journal."""
    lease = journal.open_lease({"drill": {"account": account}}, [(STAGE, spec(image))])
    (run,) = journal.runs(lease=lease)
    journal.finish_run(run.id, outcome, {"why": f"{outcome} with {image}"})
    journal.close_lease(lease, outcome)


def spec(image: str) -> dict[str, Any]:
    return {"stage": {}, "shape": {"image": image} if image else {}}


def test_a_drill_counts_for_its_account_and_image(tmp_path: Path) -> None:
    """Another image may have no Python for the guard; an old journal's drill keeps its finding."""
    journal = Journal(open_database(tmp_path / "state.db"), 1)
    held(journal, PASSED, "a")
    held(journal, REFUTED, "b")
    held(journal, "stopped", "a")
    held(journal, REFUTED, "a", account="other")
    of_a, of_b = (proof.nearest(journal, "me", image) for image in "ab")
    of_c = proof.nearest(journal, "me", "c")

    assert of_a is not None
    assert of_b is not None
    assert of_c is not None
    assert (of_a.passed, of_b.passed) == (True, False)
    assert of_c == of_b
    assert proof.newest(journal, "me", "c") is None
    assert proof.newest(journal, "nobody") is None
    assert proof.reminder(of_a, "a") is None
    assert "self-stop not tested with the image c" in str(proof.reminder(of_a, "c"))
    assert "FAILED" in str(proof.reminder(of_b, "b"))


# -- from end to end -------------------------------------------------------------------------------

READS = {"name": "pod_key_denied", "match": {"method": "^GET$"}}
STOPS = {"name": "pod_key_denied", "match": {"method": "^POST$"}}
V2 = {"name": "pod_key_denied", "match": {"path": "^/v2/"}}


def pod_key(cloud: EmulatedCloud) -> tuple[str, str]:
    pod_id = cloud.create(args="bash -c 'echo $RUNPOD_API_KEY; sleep 600'")["id"]
    return pod_id, until(lambda: cloud.log(pod_id))[0]


@pytest.mark.parametrize(
    ("fault", "reads", "stops", "old"),
    [(READS, 403, 200, 200), (STOPS, 200, 403, 403), (V2, 403, 403, 200)],
)
def test_what_a_pods_key_may_do_is_played_in_parts(
    cloud: EmulatedCloud, fault: dict[str, Any], reads: int, stops: int, old: int
) -> None:
    """Reports conflict: one may stop and not read, one read and not stop, one has GraphQL alone."""
    pod_id, key = pod_key(cloud)
    cloud.faults(fault)
    stop = f'mutation {{ podStop(input: {{podId: "{pod_id}"}}) {{ id }} }}'
    path = f"/v2/pods/{pod_id}"

    assert cloud.api("GET", path, key=key).status == reads
    assert cloud.api("POST", f"{path}/action", {"action": "stop"}, key=key).status == stops
    assert cloud.graphql(stop, key=key).status == old
    assert cloud.api("GET", path).status == 200  # the account's key is another matter


def test_a_cdn_blocks_by_the_clients_name_before_it_looks_at_the_key(cloud: EmulatedCloud) -> None:
    """403 as a page, code 1010; other clients pass."""
    cloud.faults({"name": "cdn_block", "match": {"agent": "^Python-urllib"}})
    blocked = cloud.api("GET", "/v2/pods", key="wrong")
    named = cloud.api("GET", "/v2/pods", headers={"User-Agent": "podctl-guard/1"})

    assert blocked.status == 403
    assert "1010" in blocked.body
    assert "problem" not in blocked.headers["content-type"]
    assert named.status == 200


def test_a_passed_drill_is_the_proof_where_the_key_may_not_read(laptop: Laptop) -> None:
    """Without one the run ends soon and names the drill; with one it runs; nothing is left over."""
    laptop.write()
    laptop.podctl("doctor", "--register")
    laptop.cloud.faults(READS)
    refused = laptop.podctl("run", "hello", "-y", expect=Refused.exit_code)
    result = laptop.podctl("doctor", "--drill", "-y")
    laptop.podctl("run", "hello", "-y")

    assert "HTTP 403, and it is not known whether its key may stop it" in refused.err
    assert "podctl doctor --drill" in refused.err
    assert "PASS  self-stop: tested on 20" in result.out
    assert (laptop.folder / "locks" / "hello.json").exists()
    assert laptop.living_pods() == []
    laptop.assert_books_agree()
