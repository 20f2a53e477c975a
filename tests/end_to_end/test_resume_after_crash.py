"""A run that was begun is carried on as it was begun, by whatever version and configuration."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from controller.engine.lease_context import pinned
from controller.project.pod_settings import shape_of
from state.journal import Journal
from state.project_lock import acquire
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.shell import Shell

ROOT = Path(__file__).resolve().parents[2]


def edit(laptop: Laptop, old: str, new: str) -> None:
    path = laptop.folder / "podctl.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_row_41_an_edit_of_podctl_toml_reaches_the_next_run_and_not_the_present_one(
    laptop: Laptop,
) -> None:
    """A run is pinned to what it was begun as: its criteria judge it, and each difference to
    podctl.toml is told. Another provider is refused: there its pod would seem to be gone."""
    laptop.write(seconds=4)
    laptop.detach()
    edit(laptop, "equals = true", "equals = 7")
    edit(laptop, "max_hours = 0.1", "max_hours = 0.2")
    edit(laptop, 'provider = "emulator"', 'provider = "runpod"')
    laptop.environment = {
        "RUNPOD_API_KEY": laptop.cloud.api_key,
        "RUNPOD_API_BASE_URL": laptop.cloud.base_url,
    }

    refused = laptop.podctl("sync", expect=2)
    edit(laptop, 'provider = "runpod"', 'provider = "emulator"')
    told = laptop.podctl("sync")

    assert 'set provider = "emulator"' in refused.err
    assert "max_hours was 0.1, is 0.2 now" in told.err
    assert "criteria was" in told.err
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    assert {one["status"] for one in lock["criteria"]} == {"PASS"}
    assert laptop.living_pods() == []


def test_row_40_a_newer_podctl_carries_on_what_an_older_one_began(
    laptop: Laptop, tmp_path: Path
) -> None:
    """The job goes on under the code that it was started with; steps of the journal that this
    version does not know are passed over, and the world is asked instead."""
    laptop.write(seconds=4)
    laptop.detach()
    with acquire(laptop.folder / ".podctl", "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        journal.intent("l0001", "levitate", {"height": 3})
        journal.note("l0001", "levitated", {"pod": 1}, run="hello-0001")
    newer = tmp_path / "newer"
    for room in ("controller", "jobs", "remote", "state"):
        shutil.copytree(ROOT / room, newer / room, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "controller" / "__init__.py").write_text(
        "import sys\n\nprint('the newer one', file=sys.stderr)\n"
    )
    agent = newer / "remote" / "agent" / "__main__.py"
    agent.write_text(agent.read_text() + "\n# Of a later version.\n")

    laptop.environment = {"PYTHONPATH": str(newer), "PYTHONSAFEPATH": "1"}
    told = laptop.podctl("sync")

    assert "the newer one" in told.err
    lock = json.loads((laptop.folder / "locks" / "hello.json").read_text())
    uploads = [op.data for op in laptop.journal().ops("l0001") if op.step == "upload"]
    assert [one["code"] for one in uploads if one] == [lock["code"]]
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []


@pytest.mark.parametrize("part", ["stage", "shape"])
def test_row_40_what_a_newer_podctl_asked_for_is_not_half_understood(
    shell: Shell, part: str
) -> None:
    """A run whose pinned order has something that this version lacks is left to the newer one."""
    stage = shell.project.stage("hello")
    spec = pinned(stage, shape_of(shell.project))
    spec[part]["colour"] = "blue"
    shell.project.prepare()
    with acquire(shell.project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        journal.open_run(journal.open_lease({"provider": "emulator"}), "hello", spec)

    shell("sync", expect=1)

    assert "another version of podctl" in shell.err
    assert "continue with that version" in shell.err


@pytest.mark.long
def test_a_secret_that_is_missing_when_a_run_is_carried_on_ends_in_words(laptop: Laptop) -> None:
    """A few tries with pauses, then what lacks; `stop` ends the run, and nothing is left."""
    laptop.environment = {"MY_TOKEN": "value-of-it"}
    laptop.write(seconds=1)
    edit(laptop, "hours = 0.01", 'secrets = ["MY_TOKEN"]\nhours = 0.01')
    process = laptop.start("run", "hello", "-y")
    until(lambda: laptop.creates(), 60)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    laptop.environment = {}
    told = laptop.podctl("sync", expect=1)
    laptop.podctl("stop", "hello", "--terminate", "-y")

    assert "MY_TOKEN" in told.err
    assert laptop.living_pods() == []
    assert laptop.journal().runs("hello")[0].outcome in ("not-begun", "stopped", "refused")
