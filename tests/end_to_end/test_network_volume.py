"""A network volume is filled before a pod is rented, and read without one."""

from __future__ import annotations

import os

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

BLOBS = "podctl/blobs"


def new_volume(laptop: Laptop, center: str) -> str:
    words = ("create", "data", "--size", "10", "--data-center", center, "-y")
    return str(laptop.json("volume", *words)["volume"]["id"])


def test_large_inputs_wait_on_the_volume_before_the_pod_is_rented(laptop: Laptop) -> None:
    """`pod.send = "volume"`: the 3 MB are there before the create call, the pod gets the small
    files only, the second run sends nothing, and the result is read without a pod; while a run is
    unfinished its volume cannot be deleted, afterwards it can."""
    laptop.write()
    path = laptop.folder / "podctl.toml"
    volume = new_volume(laptop, "EU-RO-1")
    keys = f'[pod]\nnetwork_volume_id = "{volume}"\nsend = "volume"'
    inputs = 'inputs = ["job.sh", "in.txt", "big.bin"'
    path.write_text(
        path.read_text().replace("[pod]", keys).replace('inputs = ["job.sh", "in.txt"', inputs)
    )
    (laptop.folder / "big.bin").write_bytes(os.urandom(3_000_000))
    planned = laptop.podctl("plan", "hello").out

    with laptop.held():
        run = laptop.podctl("run", "hello", "-y", "--detach")
    refused = laptop.podctl("volume", "delete", volume, "-y", expect=7)
    laptop.podctl("sync")

    requests = laptop.cloud.state()["requests"]
    (rented,) = laptop.creates()
    folder = laptop.cloud.state_dir / "volumes" / volume
    (blob,) = [blob for blob in (folder / BLOBS).rglob("*") if blob.stat().st_size == 3_000_000]
    assert requests
    assert blob.stat().st_mtime < rented
    assert "go to the network volume before" in planned
    assert "sent 1 file, 3.0 MB, to volume" in run.err
    assert "3.00 MB were there" in run.err
    assert "hello-0001" in refused.err

    listed = laptop.json("volume", "ls", "podctl/runs/hello-0001/work/out")["files"]
    assert [entry["path"].rsplit("/")[-1] for entry in listed] == ["copy.txt", "result.json"]
    laptop.podctl("volume", "get", "podctl/runs/hello-0001/work/out", "again")
    assert (laptop.folder / "again/copy.txt").read_text() == "hi\n"
    until(lambda: not laptop.living_pods(), 30)
    laptop.podctl("volume", "delete", "data", "-y")
    assert laptop.json("volume", "list")["volumes"] == []


def test_a_volume_that_pods_cannot_reach_is_an_error_before_renting(laptop: Laptop) -> None:
    """`pod.send = "volume"` without a volume, an unknown volume, one in another data center than
    the pods, one where none of the stage's GPUs is: four errors and no create call."""
    laptop.write()
    path = laptop.folder / "podctl.toml"
    plain = path.read_text()
    path.write_text(plain.replace("[pod]", '[pod]\nsend = "volume"'))
    missing = laptop.podctl("run", "hello", "-y", expect=2)
    path.write_text(plain.replace("[pod]", '[pod]\nnetwork_volume_id = "nope"'))
    unknown = laptop.podctl("run", "hello", "-y", expect=3)
    volume = new_volume(laptop, "EUR-IS-1")
    place = f'[pod]\nnetwork_volume_id = "{volume}"\n'
    path.write_text(plain.replace("[pod]", f'{place}data_centers = ["US-KS-2"]'))
    elsewhere = laptop.podctl("run", "hello", "-y", expect=2)
    path.write_text(plain.replace("[pod]", place))
    without = laptop.podctl("run", "hello", "-y", expect=9)

    assert "needs a network volume" in missing.err
    assert "podctl volume list" in unknown.err
    assert "must run in US-KS-2, and its network volume is in EUR-IS-1" in elsewhere.err
    assert "EUR-IS-1" in without.err
    assert laptop.creates() == []
