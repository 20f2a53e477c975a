"""One state folder on two machines: each pod has one controller, the one that came last."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop


def sync_elsewhere(laptop: Laptop) -> subprocess.Popen[str]:
    """podctl sync on a machine of another name."""
    line = 'hostname elsewhere && exec "$@"'
    words = ["unshare", "--uts", "sh", "-c", line, "sh", sys.executable, "-m", "controller", "sync"]
    return subprocess.Popen(
        words,
        cwd=laptop.folder,
        env=os.environ | {"PODCTL_EMULATOR_URL": laptop.cloud.base_url, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="another host name needs root")
def test_row_32_a_state_folder_copied_to_a_second_laptop_drives_each_pod_once(
    laptop: Laptop,
) -> None:
    """The second is told where the state was driven before and takes the pod over; the first finds
    its claim there and leaves with exit code 75; one job runs, and comes home once."""
    laptop.write()
    with laptop.held():
        first = laptop.start("run", "hello", "-y", "--no-follow")
        until(lambda: list(laptop.cloud.state_dir.rglob("runs/hello-0001/attempt.json")), 90)
        os.killpg(first.pid, signal.SIGSTOP)  # so that the copy is of one moment
        other = Laptop(laptop.folder.parent / "second", laptop.cloud)
        shutil.copytree(laptop.folder, other.folder)

        second = sync_elsewhere(other)
        (claim,) = laptop.cloud.state_dir.rglob("podctl/controller.json")
        until(lambda: "elsewhere" in claim.read_text(), 90)
        os.killpg(first.pid, signal.SIGCONT)
        _, err = first.communicate(timeout=90)
    _, told = second.communicate(timeout=90)

    assert second.returncode == 0, told
    assert "was last used on" in told
    assert first.returncode == 75, err
    assert "podctl on elsewhere drives pod" in err
    lock = json.loads((other.folder / "locks" / "hello.json").read_text())
    assert lock["run"] == "hello-0001"
    assert not (laptop.folder / "locks" / "hello.json").exists()
    log = (other.folder / ".podctl" / "runs" / "hello-0001" / "job.log").read_text()
    assert log.count("begin") == 1
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []
    other.assert_books_agree()
