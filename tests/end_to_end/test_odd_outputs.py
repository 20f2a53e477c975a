"""Outputs of everyday jobs that are no plain files of plain names, from the command to the lock."""

from __future__ import annotations

import json

from controller.engine.executor import repeated_work_in_words
from tests.support.laptop import Laptop

ODD = r"""
mkdir -p out cache/blobs
cp in.txt out/copy.txt; echo '{"ok": true}' > out/result.json
echo a > out/Sample.txt; echo b > out/sample.txt
echo c > ./out/-lr=2e-4.txt
echo d > $'out/caf\xe9.txt'; echo e > $'out/two\nlines'
echo weights > cache/blobs/0a1b; ln -s ../cache/blobs/0a1b out/weights.bin
ln -s nowhere out/dangling
long=out/$(printf '%0200d' 1)/$(printf '%0100d' 2); mkdir -p $long; echo f > $long/adapter.bin
"""


def test_every_file_of_an_everyday_job_comes_home_and_is_locked(laptop: Laptop) -> None:
    """Case pairs, a dash, bytes that are no UTF-8, a link into a cache, a long path, and an input
    of a long name: one run, all of it certified, and every command speaks of it. Cases
    03-name-case-clash, 03-name-dash, 03-name-nonutf8, 05, 16b and 17."""
    laptop.write()
    (laptop.folder / "job.sh").write_text(ODD)
    config = laptop.folder / "podctl.toml"
    more = 'inputs = ["job.sh", "in.txt", "data"]'
    config.write_text(config.read_text().replace('inputs = ["job.sh", "in.txt"]', more))
    (laptop.folder / "data").mkdir()
    (laptop.folder / "data" / ("n" * 250)).write_text("x")
    (laptop.folder / "data" / "caf\udce9.txt").write_text("x")
    laptop.podctl("run", "hello", "-y")
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    found = {one["path"]: one for one in lock["artifacts"]}
    out = laptop.folder / "out"

    assert (out / "weights.bin").read_text() == "weights\n"
    assert not (out / "weights.bin").is_symlink()
    assert (out / "caf\udce9.txt").read_text() == "d\n"
    assert (out / "two\nlines").read_text() == "e\n"
    assert {r"out/caf\xe9.txt", r"out/two\u000alines", "out/-lr=2e-4.txt"} <= found.keys()
    assert len([path for path in found if path.lower() == "out/sample.txt"]) == 2
    assert len(found) == 9
    assert {"data/" + "n" * 250, r"data/caf\xe9.txt"} <= {one["path"] for one in lock["inputs"]}

    (out / "caf\udce9.txt").chmod(0o644)
    (out / "caf\udce9.txt").write_text("altered")
    (laptop.folder / "data" / "caf\udce9.txt").write_text("altered")
    told = laptop.podctl("verify", "hello", expect=5)
    assert r"out/caf\xe9.txt: 7 bytes, was 2" in told.out
    assert r"input data/caf\xe9.txt changed" in laptop.podctl("why", "hello").out
    assert "stale" in laptop.podctl("locks").out
    laptop.podctl("unlock", "hello", "--reason", "the test goes on")
    assert "hello" in (laptop.folder / "STATUS.md").read_text()
    assert laptop.living_pods() == []


def test_an_output_that_could_not_travel_keeps_the_pod_until_it_is_fetched(laptop: Laptop) -> None:
    """A link out of the work folder: exit 7 with name, price and a command, whatever on_failure
    says; what that command brings is compared, and only then is the stage locked."""
    laptop.write()
    config = laptop.folder / "podctl.toml"
    config.write_text(config.read_text().replace("[pod]", '[pod]\non_failure = "terminate"'))
    elsewhere = laptop.folder / "of the pod"
    (laptop.folder / "job.sh").write_text(
        f"mkdir -p out '{elsewhere}'; echo '{{\"ok\": true}}' > out/result.json\n"
        f"echo w > '{elsewhere}/w.bin'; ln -s '{elsewhere}' \"out/it's far\"\n"
    )
    told = laptop.podctl("run", "hello", "-y", expect=7)
    again = laptop.podctl("sync", expect=7)
    (kept,) = laptop.living_pods()
    command = told.err.split("next:")[1].split(", then podctl sync")[0].strip()
    files = laptop.folder / ".podctl" / "runs" / "hello-0001" / "files" / "out"
    (files / "it's far").mkdir()
    (files / "it's far" / "w.bin").write_text("another")
    spoilt = laptop.podctl("sync", expect=7)
    laptop.shell(command)
    laptop.podctl("sync")

    assert kept["status"] == "RUNNING"
    for one in (told, again, spoilt):
        assert "out/it's far (a link that leads out of the work folder)" in one.err
        assert "an hour ($" in one.err
    assert (laptop.folder / "out" / "it's far" / "w.bin").read_text() == "w\n"
    laptop.assert_done()


def test_what_did_not_come_is_never_said_to_be_nothing() -> None:
    """Work that has to be done again costs something, however little. Case 04."""
    assert repeated_work_in_words(0.004, 0.0003).startswith(
        "less than a minute of work (less than $0.01)"
    )
    assert repeated_work_in_words(0.5, 1.0).startswith("about 30 min of work ($1.00)")
