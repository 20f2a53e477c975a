"""Guard, agent and supervisor in a real pod of the emulator, with no controller at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from controller.agent.guard_bootstrap import bootstrap
from remote import contract
from remote.contract import Attempt, Exit, JobSpec, dump
from tests.support.emulated_cloud import FAST, EmulatedCloud
from tests.support.pod_side import CODE, until

COUNT = """
import os, pathlib, signal, sys, time
here = pathlib.Path('out'); here.mkdir(exist_ok=True); state = here / 'state'
step = int(state.read_text()) if state.exists() else 0
def leave(*_):
    time.sleep(0.2); state.write_text(str(step)); open('left', 'a').write('x'); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
open('starts', 'a').write(f'{step} {os.getcwd()}\\n')
while not pathlib.Path('enough').exists():
    step += 1; time.sleep(0.01)
state.write_text(str(step))
"""


@pytest.fixture
def cloud(new_cloud: Callable[..., EmulatedCloud]) -> EmulatedCloud:
    """A cloud that gives a stopped pod the seconds it is said to have."""
    return new_cloud(replace(FAST, stop_seconds=8.0))


@pytest.fixture
def rented(cloud: EmulatedCloud) -> tuple[str, Path]:
    """A pod with the guard, and the root of the contract on its volume as the host sees it."""
    env = {contract.ENV_API_BASE: cloud.base_url, contract.ENV_MOUNT: "/workspace"}
    mounts = {"persistent": {"size": 10, "path": "/workspace"}}
    made = cloud.create(args=bootstrap(), env=env, mounts=mounts)
    cloud.until_running(made["id"])
    (book,) = until(lambda: [*cloud.state_dir.rglob("podctl/guard-*.json")] or None, "the guard")
    return made["id"], book.parent


def test_row_55_56_a_job_survives_reboot_and_eviction(
    cloud: EmulatedCloud, rented: tuple[str, Path]
) -> None:
    """Each new container gets the job back; an evicted one is given time to save."""
    pod_id, root = rented
    spec = JobSpec("r1", "s", ("python", "-S", "-c", COUNT), ("out/**",), CODE)
    run = root / "runs" / "r1"
    shutil.copytree(Path(contract.__file__).parents[1], root / "code" / CODE / "remote")
    run.mkdir(parents=True)
    (run / "spec.json").write_bytes(dump(spec))
    (run / "attempt.json").write_bytes(dump(Attempt("r1", 1, "a life before", 0.0)))
    (run / "owner.json").write_text(json.dumps({"pod": pod_id, "generation": 1}))

    cloud.reboot_pod(pod_id)
    until(lambda: _starts(run) == 1, f"attempt 2; {cloud.log(pod_id)}")
    assert cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": "stop"}).status == 200
    until(lambda: (run / "work/left").exists(), "the job to save")
    saved = int((run / "work/out/state").read_text())
    assert cloud.api("POST", f"/v2/pods/{pod_id}/action", {"action": "start"}).status == 200
    until(lambda: _starts(run) == 2, f"attempt 3; {cloud.log(pod_id)}")
    (run / "work/enough").write_text("1")
    until(lambda: (run / "exit.json").exists(), "exit.json")
    end = contract.load(Exit, (run / "exit.json").read_bytes())
    first, second = (run / "work/starts").read_text().splitlines()

    assert (end.attempt, end.rc) == (3, 0)
    assert (run / "work/left").read_text() == "x"
    assert saved > 0
    assert second.split()[0] == str(saved)
    assert first.split()[1].endswith("podctl/runs/r1/work")


def _starts(run: Path) -> int:
    path = run / "work" / "starts"
    return len(path.read_text().splitlines()) if path.exists() else 0
