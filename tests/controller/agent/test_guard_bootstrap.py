"""The create call's `args`: what becomes process 1 of a container."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from controller.agent.guard_bootstrap import bootstrap
from remote.contract import ENV_API_BASE, ENV_GUARD, ENV_MOUNT, GuardLimits, dump
from remote.pod import processes
from tests.support.emulated_cloud import EmulatedCloud
from tests.support.emulated_cloud import until as cloud_until
from tests.support.pod_side import PodSide, until


def test_it_is_one_command_for_a_shell() -> None:
    """The cloud splits it as a shell would and executes it; it is short enough to send."""
    words = shlex.split(bootstrap())

    assert words[:2] == ["bash", "-c"]
    assert len(words) == 3
    assert len(bootstrap()) < 10_000
    assert subprocess.run(["bash", "-n", "-c", words[2]], capture_output=True).returncode == 0


def test_a_guard_too_long_to_send_is_an_error() -> None:
    """Nothing is cut silently."""
    noise = bytes(byte for i in range(20_000) for byte in (i * 7919 % 251, i * i % 241))

    with pytest.raises(ValueError, match="characters"):
        bootstrap(noise)


def first_process(pod: PodSide, script: str | None, **env: str) -> subprocess.Popen[bytes]:
    if script is not None:
        (pod.folder / "start.sh").write_text(f"#!/bin/bash\n{script}\n")
    with (pod.folder / "container.log").open("ab") as log:
        return subprocess.Popen(
            shlex.split(bootstrap()),
            env=pod.env | env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def says(pod: PodSide, text: str) -> None:
    log = pod.folder / "container.log"
    until(lambda: text in log.read_text(), f"{text!r} in {log.read_text()!r}")


def test_the_start_script_runs_beside_the_guard(pod: PodSide) -> None:
    """Both live; SIGTERM ends both."""
    process = first_process(pod, "echo started; sleep 60")
    says(pod, "started")
    says(pod, "PODCTL-GUARD not armed")  # there is no key here
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 143
    until(lambda: not [c for c in pod.processes().values() if "sleep 60" not in c], "all to end")


def test_row_64_a_killed_guard_comes_back(pod: PodSide) -> None:
    """A job that kills it gains a moment only."""
    first_process(pod, "sleep 60")
    says(pod, "not armed")
    pids = [p for p, c in pod.processes().items() if "-S -c import base64" in c]
    subprocess.run(["kill", "-9", *map(str, pids)], check=True)

    says(pod, "started again")


def guards(pod: PodSide) -> list[int]:
    return [p for p, c in pod.processes().items() if "-S -c import base64" in c]


def test_a_halted_guard_goes_on(pod: PodSide) -> None:
    """A job that is root sends it SIGSTOP: process 1 sees that, says so, and continues it."""
    first_process(pod, "sleep 60")
    says(pod, "not armed")
    (guard,) = guards(pod)
    os.kill(guard, signal.SIGSTOP)

    says(pod, "PODCTL-GUARD was halted, and is continued")
    until(lambda: processes.read(guard) and not processes.read(guard).stopped, "it to go on")
    assert guards(pod) == [guard]


def test_a_guard_that_is_halted_again_and_again_is_replaced(pod: PodSide) -> None:
    """Whoever holds it down has to find another one, which knows how long the container lives."""
    limits = GuardLimits(boot_grace=60.0, idle=60.0, hard_cap=600.0)
    first_process(pod, "sleep 60", **{ENV_GUARD: dump(limits).decode()})
    says(pod, "not armed")
    (guard,) = guards(pod)
    boot = pod.local / "boot.json"
    document = json.loads(boot.read_text())["started"]
    forged = json.loads(boot.read_text()) | {"started": time.monotonic() + 9999.0}
    boot.write_text(json.dumps(forged))

    def hold_down() -> bool:
        if processes.read(guard) is not None:
            os.kill(guard, signal.SIGSTOP)
        return "PODCTL-GUARD started again" in (pod.folder / "container.log").read_text()

    until(hold_down, "another guard")
    until(lambda: guards(pod) not in ([], [guard]), "it to run")
    report = pod.local / "guard.json"
    report.unlink()
    until(report.exists, "its word")
    guard_report = json.loads(report.read_text())

    assert guard_report["hard_cap_in_seconds"] == pytest.approx(
        document + 600.0 - guard_report["monotonic"], abs=2.5
    )


def test_a_start_script_that_ends_does_not_end_the_container(pod: PodSide) -> None:
    """The cloud would start it again for ever, each time with a new grace."""
    process = first_process(pod, "exit 3")
    says(pod, "/start.sh ended")

    assert process.poll() is None


def test_row_64_an_image_without_python_starts_all_the_same(pod: PodSide, tmp_path: Path) -> None:
    """The log says that nothing guards this pod."""
    for name in ("bash", "cat", "sleep"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or "")
    first_process(pod, "echo started", PATH=str(tmp_path / "bin"))

    says(pod, "PODCTL-GUARD not armed: this image has no python3")
    says(pod, "started")


def test_row_63_a_pod_of_the_cloud_stops_itself(cloud: EmulatedCloud) -> None:
    """Rented, never visited: the guard proves its key, waits, and the pod is EXITED."""
    limits = GuardLimits(boot_grace=1.5, idle=60.0, hard_cap=60.0)
    env = {ENV_GUARD: dump(limits).decode(), ENV_API_BASE: cloud.base_url, ENV_MOUNT: "/workspace"}
    pod = cloud.create(
        args=bootstrap(), env=env, mounts={"persistent": {"size": 10, "path": "/workspace"}}
    )
    cloud_until(lambda: (cloud.pod(pod["id"]) or {}).get("status") == "EXITED", 30.0)
    log = "\n".join(cloud.log(pod["id"]))

    assert "PODCTL-GUARD armed" in log
    assert "stopping this pod: nobody ever came" in log
