"""A network volume that earlier runs filled: what is there is not sent or made again."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from controller.planner.pod_spec import Shape
from controller.preflight.volume_contents import environment_of, sent_to, there
from controller.project.project import Project
from tests.controller.project.test_environment_files import TOML
from tests.controller.transfer.test_snapshot import lay
from tests.remote.test_environment import PATH, wheel
from tests.support.laptop import Laptop, with_volume

STAGE = """
[stages.own]
command = ["python", "-c", "import podctl_demo_wheel as w; w.main()"]
inputs = ["data"]
outputs = ["out/**"]
hours = 0.01
max_hours = 0.1
criteria = [{ kind = "exists", path = "out/a" }]
hardware = { gpus = ["NVIDIA L40S", "NVIDIA GeForce RTX 4090"], disk_gb = 10 }
environment = { kind = "lock", lock = "requirements.txt" }
"""
LOCKED = '{ kind = "lock", lock = "requirements.txt" }'


def run_before(project: Project, name: str, at: float, **shape: str) -> None:
    """What a run leaves in its folder, of a project that was sent as it is now."""
    stage = project.stages["job"]
    folder = project.run_dir(name)
    whole = {"network_volume_id": "vol", "image": "image"} | shape
    spec = {"stage": stage.model_dump(mode="json"), "shape": whole}
    order = {"lease": "l", "pod": "p", "code": "c", "at": at, "spec": spec}
    inputs = [
        {"path": path, "size": (project.root / path).stat().st_size, "sha256": "0" * 64}
        for path in ("train.py", "requirements.txt")
    ]
    end = {
        **{"run": name, "attempt": 1, "rc": 0, "reason": "exited", "detail": "", "schema": 1},
        **{"manifest_sha256": "", "log_size": 0, "started_at": 0.0, "ended_at": 1.0},
    }
    lay(
        folder,
        {
            "order.json": json.dumps(order),
            "inputs.json": json.dumps(inputs),
            "exit.json": json.dumps(end),
        },
    )


def project_of(folder: Path) -> Project:
    toml = TOML.format(environment=LOCKED)
    lay(folder, {"podctl.toml": toml, "train.py": "1", "requirements.txt": "numpy\n"})
    project = Project(folder)
    project.prepare()
    return project


def test_what_was_touched_since_counts_as_not_there(tmp_path: Path) -> None:
    """By size and by the inode's own time, which nothing sets back; nothing is hashed for that."""
    project = project_of(tmp_path)
    files = {path: tmp_path / path for path in ("train.py", "requirements.txt", "podctl.toml")}
    run_before(project, "job-0001", time.time() + 1)
    run_before(project, "job-0002", time.time() - 100)
    assert there(sent_to(project, "vol"), files) == ("train.py", "requirements.txt")

    (tmp_path / "train.py").write_text("22")
    assert there(sent_to(project, "vol"), files) == ("requirements.txt",)
    run_before(project, "job-0001", time.time() - 100)
    assert there(sent_to(project, "vol"), files) == ()
    assert sent_to(project, None) == sent_to(project, "another") == ()


def test_an_environment_is_known_by_its_lock_and_image(tmp_path: Path) -> None:
    """Of a run that had one; another image, another lock, or a failed installation is none."""
    project = project_of(tmp_path)
    stage = project.stages["job"]
    run_before(project, "job-0001", time.time() + 1)
    runs = sent_to(project, "vol")

    assert environment_of(project, runs, Shape("image"), stage) == "job-0001"
    assert environment_of(project, runs, Shape("another"), stage) == ""
    end = project.run_dir("job-0001") / "exit.json"
    end.write_text(end.read_text().replace("exited", "environment"))
    assert environment_of(project, sent_to(project, "vol"), Shape("image"), stage) == ""
    end.write_text(end.read_text().replace("environment", "exited"))
    (tmp_path / "requirements.txt").write_text("numpy<2\n")
    assert environment_of(project, sent_to(project, "vol"), Shape("image"), stage) == ""


def test_inputs_and_environment_are_there_for_the_next_pod_on_a_network_volume(
    laptop: Laptop,
) -> None:
    """The second pod is sent only what podctl writes anew for it and finds its environment made;
    `plan` says both before."""
    asked = {"name": "shared", "size": 20, "dataCenter": "EU-RO-1"}
    volume = laptop.cloud.api("POST", "/v2/network-volumes", asked).body["id"]
    laptop.write(more=STAGE)
    with_volume(laptop, volume)
    wheel(laptop.folder / "wheels", "podctl_demo_wheel")
    (laptop.folder / "data").mkdir()
    (laptop.folder / "data/big.bin").write_bytes(os.urandom(3_000_000))
    lock = "--no-index\n--find-links wheels\npodctl_demo_wheel\n"
    (laptop.folder / "requirements.txt").write_text(lock)
    laptop.environment |= {"PATH": PATH}

    before = laptop.podctl("plan", "own")
    first = laptop.podctl("run", "own", "-y")
    laptop.podctl("unlock", "own", "--reason", "again")
    after = laptop.podctl("plan", "own")
    second = laptop.podctl("run", "own", "-y")

    assert "own uploads 3 files, 3.0 MB\n" in before.out
    assert "sent 5 of 5 files, 3.00 MB\n" in first.err
    assert "own uploads 3 files, 3.0 MB, of which 3.0 MB are on the volume already" in after.out
    assert "environment: kept from own-0001 on the network volume" in after.out
    assert "sent 1 of 5 files, 0.00 MB (3.00 MB were there)" in second.err
    log = (laptop.folder / ".podctl/runs/own-0002/job.log").read_text()
    assert "environment: kept from" in log
    assert "made by own-0001" in log
    laptop.assert_books_agree()
