"""What is rented with a small balance, without capacity, and what a script gets to read."""

from __future__ import annotations

import json

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

NO_CAPACITY = {"name": "no_capacity", "value": "stale"}
GPUS = 'gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"]'


def test_a_small_balance_rents_the_cheap_type_and_json_says_how_it_ended(laptop: Laptop) -> None:
    """$5 of balance: the dear types are dropped, not the job. The replacement of a pod is none of
    them either. `run --json` and `sync --json` print an object when nothing failed."""
    laptop.write(boot_minutes=0.05)
    file = laptop.folder / "podctl.toml"
    dear = 'gpus = ["NVIDIA GeForce RTX 4090", "NVIDIA B200"]\nmax_price_ratio = 20'
    file.write_text(file.read_text().replace(GPUS, dear))
    laptop.cloud.set_balance(5.0)
    (planned,) = laptop.json("plan", "hello")["pods"]
    laptop.cloud.faults({"name": "no_runtime", "times": 1})
    done = laptop.json("run", "hello", "-y")
    nothing = laptop.json("sync")

    assert [offer["name"] for offer in planned["quote"]["offers"]] == ["RTX 4090"]
    assert planned["quote"]["dearest"]["name"] == "RTX 4090"
    (dropped,) = planned["quote"]["dropped"]
    assert "balance of $5.00 is under 1.5 times" in dropped["reason"]
    made = laptop.cloud.state()["pods"]
    assert len(made) == 2
    assert {pod["gpu"] for pod in made} == {"NVIDIA GeForce RTX 4090"}
    assert done["schema"] == "podctl/run/1"
    (run,) = done["runs"]
    assert (run["run"], run["stage"], run["state"]) == ("hello-0001", "hello", "passed")
    assert run["lock"] == "locks/hello.json"
    assert run["files"] == {"folder": str(laptop.folder), "count": 2, "bytes": 16}
    assert run["pod"] in {pod["id"] for pod in made}
    assert not run["pod_bills"]
    assert 0 < run["cost"]["usd"] < 0.1
    assert nothing == {"schema": "podctl/sync/1", "runs": []}


def test_a_wait_for_capacity_survives_a_kill(laptop: Laptop) -> None:
    """Without --wait the exit code is 9. With it podctl asks again; when it is killed, the next
    command carries the wait on, and --detach returns 0 once the job runs."""
    laptop.write(seconds=2)
    laptop.cloud.faults(NO_CAPACITY)
    refused = laptop.podctl("run", "hello", "-y", expect=9)
    process = laptop.start("run", "hello", "-y", "--wait", "1h")
    until(lambda: len(laptop.creates()) >= 5, 60)  # two types: asked more than twice
    process.kill()
    shown = process.communicate()[1]
    waiting = laptop.start("sync")
    asked = len(laptop.creates())
    until(lambda: len(laptop.creates()) > asked, 60)
    waiting.kill()
    waiting.communicate()
    laptop.cloud.faults()
    left = laptop.podctl("run", "hello", "-y", "--detach", "--json")
    done = laptop.json("sync")

    assert "podctl run hello --wait 6h asks again" in refused.err
    assert "waiting for capacity until " in shown
    assert "; asked at " in shown
    assert "detached: hello-0002 keeps running on pod" in left.err
    assert "error" not in left.err
    (running,) = json.loads(left.out)["runs"]
    assert (running["run"], running["state"], running["lock"]) == ("hello-0002", "running", None)
    assert running["pod_bills"]
    assert [(run["run"], run["state"]) for run in done["runs"]] == [("hello-0002", "passed")]
    assert len(laptop.cloud.state()["pods"]) == 1


def test_open_runs_keep_their_worst_case_of_the_budget(laptop: Laptop) -> None:
    """A second lease gets what the first one cannot use any more, and not the same dollars."""
    laptop.write(seconds=60)
    file = laptop.folder / "podctl.toml"
    text = file.read_text()
    copy = text[text.index("[stages.hello]") :].replace("stages.hello", "stages.other")
    file.write_text(text + copy.replace('"out/**"', '"more/**"').replace("out/res", "more/res"))
    (planned,) = laptop.json("plan", "other")["pods"]
    most = planned["quote"]["most_usd"]
    file.write_text(file.read_text().replace("project_usd = 50.0", f"project_usd = {most * 1.2}"))
    laptop.podctl("run", "hello", "-y", "--detach")
    refused = laptop.podctl("run", "other", "-y", expect=6)
    planned_again = laptop.podctl("plan", "other", expect=6)
    laptop.podctl("stop", "hello", "--terminate", "-y")
    laptop.podctl("plan", "other")

    assert "more are reserved for open runs" in refused.err
    assert "more are reserved for open runs" in planned_again.out


def test_a_parked_pod_of_a_type_that_no_longer_fits_is_not_started_again(laptop: Laptop) -> None:
    """It was rented when the cheap type had no stock; now the balance bears the cheap one only."""
    laptop.write(rc=1)
    config = laptop.folder / "podctl.toml"
    wish = '[pod]\nkeep_warm_minutes = 0\non_failure = "park"'
    config.write_text(config.read_text().replace("[pod]", wish))
    laptop.cloud.faults(NO_CAPACITY | {"match": {"gpu": "NVIDIA GeForce RTX 4090"}})
    laptop.podctl("run", "hello", "-y", expect=1)
    (parked,) = laptop.living_pods()
    laptop.cloud.faults()
    laptop.job()
    (planned,) = laptop.json("plan", "hello")["pods"]
    laptop.cloud.set_balance(1.5 * planned["quote"]["worst"]["usd"] * 0.95)
    told = laptop.podctl("run", "hello", "-y").err

    assert planned["quote"]["dearest"]["name"] == "L40S"
    assert f"parked pod {parked['id']} is not restarted: 1 x L40S at $" in told
    assert "renting 1 x RTX 4090" in told
    assert [pod["id"] for pod in laptop.living_pods()] == [parked["id"]]
