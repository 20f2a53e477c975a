"""What the plan cost so far, as it travels with a run; and what samples of a machine say."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.costs.plan_spending import document
from jobs.catalog import load_stages
from remote.usage import POINTS, summarise, thinned
from state.interval import SCALE, Total
from tests.support.laptop import Laptop

HOUR = 3_600_000  # milliseconds


def test_the_plan_is_an_hour_and_a_quarter_of_one_l40s() -> None:
    """All five stages, in order, at the price of the GPU that their hours are of."""
    stages = load_stages({})
    found = json.loads(
        document(stages, "stage1e", "stage1e-0001", [], {}, usd_per_hour=0.86, at=1.0)
    )

    assert [one["name"] for one in found["stages"]] == [f"stage1{letter}" for letter in "abcde"]
    assert found["plan"] == {"hours": 1.25, "usd": 1.075, "usd_per_hour": 0.86}
    assert (found["stage"], found["run"], found["usd_per_hour"]) == (
        "stage1e",
        "stage1e-0001",
        0.86,
    )


def test_what_was_paid_stands_beside_what_was_planned() -> None:
    """Hours are those of compute; storage is in the money; unpaid stages have zeros."""
    spent = [
        Total("stage1a", "stage1a", "compute", HOUR, SCALE, 0),
        Total("stage1a", "stage1a", "disk", HOUR, SCALE // 100, 0),
        Total("elsewhere", "elsewhere", "compute", HOUR, SCALE, 0),
    ]
    found = json.loads(
        document(
            load_stages({}),
            "stage1b",
            "r",
            spent,
            {"stage1a": {"samples": 3}},
            usd_per_hour=1,
            at=1,
        )
    )
    first, second = found["stages"]

    assert (first["hours"], first["usd"], first["usage"]) == (1.0, 1.01, {"samples": 3})
    assert (second["name"], second["hours"], second["usd"]) == ("stage1b", 0.0, 0.0)


def test_a_smaller_project_is_compared_with_the_same_plan() -> None:
    """Hours that a project sets for its demo are no estimate of the plan."""
    small = load_stages({"stage1c": {"hours": 0.01}})
    found = json.loads(document(small, "stage1c", "r", [], {}, usd_per_hour=1, at=1))

    assert found["stages"][-1]["plan_hours"] == 0.1


def test_samples_are_summed_up() -> None:
    """Mean and maximum of each quantity; GPUs count as their mean, their memory as the sum."""
    lines = [
        {
            "time": 100 + n,
            "cpu_percent": None if n == 0 else 50 + n,
            "memory_gb": 2.0,
            "gpus": [{"percent": 80, "memory_gb": 10}, {"percent": 100, "memory_gb": 12}],
        }
        for n in range(300)
    ]
    found = summarise("\n".join(map(json.dumps, lines)).encode())

    assert found is not None
    assert (found["samples"], found["seconds"]) == (300, 299)
    assert found["gpu_percent"] == {"mean": 90.0, "max": 90.0}
    assert found["gpu_memory_gb"] == {"mean": 22.0, "max": 22.0}
    assert found["cpu_percent"]["max"] == 349.0
    assert len(found["series"]) == POINTS
    assert found["series"][0] == {"seconds": 0.0, "cpu_percent": None, "gpu_percent": 90.0}


def test_samples_of_a_hostile_pod_are_no_numbers() -> None:
    """NaN, infinities, texts, nested rubbish and half lines are left out; nothing raises."""
    lines = [
        b'{"time": NaN}',
        b'{"time": 1e999}',
        b'{"time": 1, "cpu_percent": "much", "gpus": [1, {"percent": -5}, {"percent": true}]}',
        b'{"time": 2, "cpu_percent": 1e300, "memory_gb": NaN, "gpus": {"percent": 1}}',
        b"[" * 100_000,
        b'{"time": 3, "cpu_percent": 4',
        b"\xff\xfe",
        b"[]",
    ]
    found = summarise(b"\n".join(lines))

    assert found is not None
    assert found["samples"] == 2
    assert found["cpu_percent"] is None
    assert found["gpu_percent"] is None
    assert json.dumps(found, allow_nan=False)
    assert summarise(b"") is None


@given(raw=st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_no_bytes_break_the_summary(raw: bytes) -> None:
    """Whatever a file holds, there is a summary of finite numbers, or none."""
    assert json.dumps(summarise(raw), allow_nan=False)


@given(count=st.integers(0, 500), most=st.integers(2, 50))
@settings(max_examples=50, deadline=None)
def test_thinning_keeps_both_ends(count: int, most: int) -> None:
    """No more than asked for, in order, with the first and the last."""
    kept = thinned(list(range(count)), most)

    assert len(kept) == min(count, most)
    assert kept == sorted(set(kept))
    assert not count or (kept[0], kept[-1]) == (0, count - 1)


def test_a_stage_on_a_pod_knows_what_the_ones_before_it_cost(laptop: Laptop) -> None:
    """The second stage of a lease reads cost, hours and samples of the first; samples are here."""
    more = """
[stages.second]
title = "Keep the summary"
command = ["bash", "-c", "mkdir -p next; cp .podctl/plan_so_far.json next/plan.json"]
needs = ["hello"]
outputs = ["next/**"]
hours = 0.01
max_hours = 0.1
criteria = [{ kind = "value", path = "next/plan.json", key = "stage", equals = "second" }]

[stages.second.hardware]
gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]
disk_gb = 10
volume_gb = 20
"""
    laptop.write(more=more)
    laptop.podctl("run", "hello", "second", "-y")

    found = json.loads((laptop.folder / "next" / "plan.json").read_text())
    hello, second = found["stages"]
    assert (hello["name"], second["name"], found["run"]) == ("hello", "second", "second-0001")
    assert hello["usd"] > 0
    assert hello["hours"] > 0
    assert found["usd_per_hour"] > 0.1
    assert hello["usage"]["samples"] >= 1
    assert (laptop.folder / ".podctl" / "runs" / "hello-0001" / "samples.jsonl").is_file()
