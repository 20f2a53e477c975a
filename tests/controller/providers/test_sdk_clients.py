"""The `runpod` SDK, both generations, unmodified, rents from the emulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulated_cloud import EmulatedCloud

OLD = "1.12.0"
_PREAMBLE = """
import json, sys, time
import runpod
runpod.api_key = "rpa_emulator"
def until_ready(pod_id):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        pod = runpod.get_pod(pod_id)
        if pod["runtime"]:
            return pod
        time.sleep(0.05)
    raise SystemExit("the pod never became ready")
"""
_LIFE = """
gpus = runpod.get_gpus()
gpu = runpod.get_gpu("NVIDIA A40")
made = runpod.create_pod(
    "sdk", "runpod/pytorch", "NVIDIA A40", ports="22/tcp,8888/http", env={"A": "b c"},
    volume_in_gb=10, volume_mount_path="/workspace", container_disk_in_gb=5,
    docker_args="sleep 600",
)
pod = until_ready(made["id"])
listed = [one["id"] for one in runpod.get_pods()]
stopped = runpod.stop_pod(made["id"])
resumed = runpod.resume_pod(made["id"], *resume)
runpod.terminate_pod(made["id"])
print(json.dumps({
    "gpus": len(gpus), "gpu": gpu["id"], "id": made["id"], "pod": pod, "listed": listed,
    "stopped": stopped, "resumed": resumed, "after": runpod.get_pod(made["id"]),
    "left": runpod.get_pods(),
}))
"""


def run(cloud: EmulatedCloud, script: str, path: Path | None = None) -> Any:
    """The JSON that `script` prints, run by a Python of its own with the SDK found in `path`."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("RUNPOD_")}
    env["RUNPOD_API_BASE_URL"] = cloud.base_url
    if path is not None:
        env["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", _PREAMBLE + script],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def old_sdk() -> Path:
    """runpod 1.12.0 in a folder of its own, kept between runs; its dependencies are 2.0's."""
    folder = Path(tempfile.gettempdir()) / f"podctl-tests-runpod-{OLD}-{os.getuid()}"
    if (folder / "runpod" / "__init__.py").exists():
        return folder
    beside = Path(tempfile.mkdtemp(prefix="podctl-tests-runpod-"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    done = subprocess.run(
        [*pip, str(beside), f"runpod=={OLD}"],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.skip(f"pip cannot fetch runpod {OLD}: {done.stderr.strip()[-200:]}")
    try:
        beside.rename(folder)
    except OSError:  # another worker was faster
        return beside if not folder.exists() else folder
    return folder


def check_life(result: dict[str, Any]) -> None:
    assert result["gpus"] >= 15
    assert result["gpu"] == "NVIDIA A40"
    assert result["listed"] == [result["id"]]
    assert (result["after"], result["left"]) == (None, [])


def test_new_sdk(cloud: EmulatedCloud) -> None:
    """runpod 2.0: create, look, stop, resume and terminate, over REST v2."""
    result = run(cloud, "resume = ()\n" + _LIFE)

    check_life(result)
    assert result["pod"]["env"] == {"A": "b c"}
    assert result["pod"]["mounts"] == {"persistent": {"size": 10, "path": "/workspace"}}
    assert (result["stopped"]["status"], result["resumed"]["status"]) == ("EXITED", "PROVISIONING")


def test_new_sdk_cpu_pod_and_errors(cloud: EmulatedCloud) -> None:
    """runpod 2.0: a CPU pod, keys and templates; errors keep their status and their text."""
    result = run(
        cloud,
        """
cpu = runpod.create_pod("c", "runpod/base", instance_id="cpu5c-4-8", container_disk_in_gb=5)
user = runpod.update_user_settings("ssh-ed25519 AAAA me@here")
template = runpod.create_template("t", "img", "sleep 1", 5)
try:
    runpod.create_pod("x", "i", "NVIDIA B200", gpu_count=9)
except runpod.error.QueryError as error:
    refused = [error.status_code, str(error)]
try:
    runpod.get_gpu("nope")
except ValueError as error:
    missing = str(error)
print(json.dumps([cpu["cpu"], user["pubKey"], template["args"], refused, missing]))
""",
    )
    cpu, key, args, refused, missing = result

    assert cpu == {"id": "cpu5c", "vcpuCount": 4, "memory": 8}
    assert (key, args) == ("ssh-ed25519 AAAA me@here", "sleep 1")
    assert refused[0] == 400
    assert "no longer any instances available" in refused[1]
    assert "No GPU found" in missing


def test_old_sdk(cloud: EmulatedCloud, old_sdk: Path) -> None:
    """runpod 1.12: the same life over GraphQL."""
    result = run(cloud, f'assert runpod.__version__ == "{OLD}"\nresume = (1,)\n' + _LIFE, old_sdk)

    check_life(result)
    assert result["pod"]["env"] == ["A=b c"]
    ssh = [port for port in result["pod"]["runtime"]["ports"] if port["privatePort"] == 22]
    assert ssh[0]["isIpPublic"]
    assert result["stopped"]["desiredStatus"] == "EXITED"
    assert result["resumed"]["desiredStatus"] == "RUNNING"


def test_old_sdk_errors(cloud: EmulatedCloud, old_sdk: Path) -> None:
    """runpod 1.12: a refusal is a QueryError with the real text, a bad key its own error."""
    result = run(
        cloud,
        """
found = []
try:
    runpod.create_pod("x", "i", "NVIDIA B200", gpu_count=9)
except runpod.error.QueryError as error:
    found.append(str(error))
runpod.api_key = "wrong"
try:
    runpod.get_pods()
except runpod.error.AuthenticationError as error:
    found.append(str(error))
print(json.dumps(found))
""",
        old_sdk,
    )

    assert "no longer any instances available" in result[0]
    assert "Unauthorized" in result[1]
