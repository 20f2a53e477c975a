"""The worst case that is printed before renting is one: replaced pods and restarts included."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.costs.pricing import PODS_PAID, Budget, WorstCase
from controller.leases.drive import budget_cap
from controller.planner import actions
from controller.planner import pod_spec as order
from controller.planner.decide import decide
from controller.planner.policy import Policy
from controller.providers.base import PodStatus
from tests.controller.locks.test_staleness import stage
from tests.controller.planner.test_decide import DEARER, OFFER, lease_state, pod, running, seen
from tests.support.laptop import Laptop

WORST = WorstCase(5.0, 4.0, 0.0, 0.1)  # $4 for one pod


def test_the_most_is_two_pods_or_what_the_budget_leaves() -> None:
    """Never less than one pod's worst case: below that nothing is rented at all."""
    assert Budget(None, None).lease_limit_usd(WORST, 0.0) == 8.0
    assert Budget(None, 6.0).lease_limit_usd(WORST, 0.0) == 6.0
    assert Budget(20.0, None).lease_limit_usd(WORST, 15.0) == 5.0
    assert Budget(20.0, 6.0).lease_limit_usd(WORST, 19.0) == 4.0


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.none() | st.floats(4.0, 30.0))
def test_whatever_the_pods_of_a_lease_cost_the_sum_holds(
    shares: list[float], run_usd: float | None
) -> None:
    """Each pod costs up to its worst case, in any order: the planner stops renting in time."""
    lease_limit_usd = Budget(None, run_usd).lease_limit_usd(WORST, 0.0)
    policy = dataclasses.replace(
        Policy(), replacement_budget_usd=lease_limit_usd - WORST.usd, generations=100
    )
    spent = 0.0
    for share in shares:
        spent += share * WORST.usd
        again = decide(seen(lease_state(pod=None), offers=(OFFER,), spent_usd=spent), policy)
        if not isinstance(again, actions.OpenGeneration):
            break

    assert spent <= lease_limit_usd + 1e-9
    assert lease_limit_usd <= max(WORST.usd, PODS_PAID * WORST.usd)


def test_another_pod_that_might_break_the_sum_is_not_rented() -> None:
    """The run ends and says so; without a printed sum nothing is held back."""
    policy = dataclasses.replace(Policy(), replacement_budget_usd=1.0)
    empty = lease_state(pod=None)
    over = decide(seen(empty, offers=(OFFER,), spent_usd=1.01), policy)

    assert isinstance(over, actions.Finish)
    assert "printed before renting" in over.why
    assert decide(seen(empty, offers=(OFFER,), spent_usd=1.0), policy) == actions.OpenGeneration(2)
    assert decide(seen(empty, offers=(OFFER,), spent_usd=99.0), Policy()) == (
        actions.OpenGeneration(2)
    )


def test_a_start_that_might_break_the_sum_is_left_to_a_person() -> None:
    """What the stopped pod holds is kept, and the command that allows more is named."""
    policy = dataclasses.replace(Policy(), replacement_budget_usd=1.0)
    stopped = lease_state(running(), parked=True)
    within = decide(seen(stopped, pod(PodStatus.EXITED), spent_usd=0.5), policy)
    over = decide(seen(stopped, pod(PodStatus.EXITED), spent_usd=1.5), policy)

    assert within == actions.StartPod("p1", 0.0)
    assert isinstance(over, actions.NeedsOperator)
    assert over.code == "artifacts-not-safe"
    assert "podctl run stage1c --budget" in over.hint


@pytest.mark.parametrize(
    ("opened_with", "now", "cap"),
    [(10.0, 20.0, 20.0), (10.0, 5.0, 10.0), (10.0, None, 10.0), (None, 20.0, None)],
)
def test_a_budget_given_now_raises_the_cap_of_what_was_begun(
    opened_with: float | None, now: float | None, cap: float | None
) -> None:
    """Else the pod that it allowed again would be stopped at the old cap; it never lowers one."""
    assert budget_cap(opened_with, now) == cap


def test_an_offer_dearer_than_those_that_were_priced_is_not_taken() -> None:
    """Types that come into stock later cannot make the worst case a lie."""
    policy = dataclasses.replace(Policy(), max_offer_usd_per_hour=OFFER.usd_per_hour)
    empty = lease_state(pod=None, had_pod=False, reached=False, pods=())
    tried = dataclasses.replace(empty, tried=((OFFER.id, "no capacity"),))

    assert decide(seen(empty, offers=(OFFER, DEARER)), policy) == actions.Create(OFFER)
    assert isinstance(decide(seen(tried, offers=(OFFER, DEARER)), policy), actions.Finish)


def test_a_replacement_is_never_an_offer_that_was_dropped_before_renting() -> None:
    """Prices may rise within the tolerance, but not into those that were left out."""
    near = dataclasses.replace(DEARER, usd_per_hour=OFFER.usd_per_hour * 1.04)
    policy = dataclasses.replace(Policy(), max_offer_usd_per_hour=OFFER.usd_per_hour)
    dropped = dataclasses.replace(policy, dropped_offers=frozenset({near.id}))
    again = dataclasses.replace(
        lease_state(pod=None, had_pod=False, reached=False, pods=()),
        tried=((OFFER.id, "no capacity"),),
    )
    ended = decide(seen(again, offers=(OFFER, near)), dropped)

    assert decide(seen(again, offers=(OFFER, near)), policy) == actions.Create(near)
    assert isinstance(ended, actions.Finish)
    assert ended.outcome == "no-capacity"
    assert "1 available type is not taken" in ended.why


@pytest.mark.parametrize(
    ("hardware", "hours"), [('gpus = ["NVIDIA L40S"]', 0.5), ('cpu = "cpu3c"', 6.0)]
)
def test_row_63_results_that_a_stop_would_wipe_are_left_alone_for_longer(
    laptop: Laptop, hardware: str, hours: float
) -> None:
    """Nobody fetches: a pod without a volume is stopped 6 h after its job's end, not half an hour;
    that is told before renting, and the guard's hard cap has room for it."""
    laptop.write(seconds=60)
    config = laptop.folder / "podctl.toml"
    text = config.read_text()
    gpus = next(line for line in text.splitlines() if line.startswith("gpus ="))
    config.write_text(text.replace(gpus, hardware))
    told = laptop.podctl("run", "hello", "-y", "--detach")
    (path,) = laptop.cloud.state_dir.rglob("runs/hello-0001/spec.json")
    spec = json.loads(path.read_text())
    (made,) = laptop.living_pods()
    laptop.podctl("stop", "hello", "--terminate", "-y")

    assert ("were not downloaded last 6 h after the job's end" in told.err) == (hours == 6.0)
    assert spec["grace_done_seconds"] == hours * 3600
    guard = json.loads(made["env"]["PODCTL_GUARD"])
    assert guard["hard_cap"] == pytest.approx((0.1 + 1.5 + hours) * 3600 + 60)


def test_every_stage_of_a_pod_without_a_volume_has_its_longer_grace_within_the_hard_cap() -> None:
    """Else the last one's results would be wiped before their 6 h are over."""
    bare = stage(max_hours=1, hardware={"cpu": "cpu3c"})
    one, three = (
        order.guard_limits([bare] * count, order.Shape("image"), 60.0).hard_cap for count in (1, 3)
    )

    assert three - one == pytest.approx(2 * ((1.0 + 5.5) * 3600.0 + 60.0))


def test_a_stages_grace_is_the_jobs_and_within_the_hard_cap() -> None:
    """What saving may take is known to the agent, to the guard, and so to the worst case."""
    short, long = stage(grace_seconds=0), stage(grace_seconds=1800, stray_processes="kill")
    job = order.job_spec(long, "r", "c" * 64)
    caps = [order.guard_limits([one], order.Shape("i"), 60.0).hard_cap for one in (short, long)]

    assert (job.term_grace_seconds, job.stray_processes) == (1800.0, "kill")
    assert caps[1] - caps[0] == 1800.0


def test_pods_that_do_not_boot_are_replaced_only_within_the_printed_sum(laptop: Laptop) -> None:
    """With a budget of one pod's worst case and a bit, the first bad pod is the last one."""
    laptop.write(boot_minutes=0.05)
    laptop.cloud.faults({"name": "no_runtime"})
    (planned,) = laptop.json("plan", "hello")["pods"]
    worst, lease_limit_usd = planned["quote"]["worst"]["usd"], planned["quote"]["most_usd"]
    told = laptop.podctl("run", "hello", "-y", "--budget", f"{worst + 0.0001:.6f}", expect=1)

    assert lease_limit_usd == pytest.approx(2 * worst)
    assert f"${worst:.2f} (this machine stays offline" in told.err
    assert "could exceed the worst case that was printed" in told.err
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []
    assert laptop.json("cost")["total"]["usd"] < worst
