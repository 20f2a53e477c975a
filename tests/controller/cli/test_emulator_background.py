"""`podctl emulator`: in the background, beside others, and its end by any signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.providers.emulator.server import running
from tests.support.emulated_cloud import until

CONFIG = '[project]\nname = "try"\nprovider = "emulator"\n'
SECONDS = 90.0


class Desk:
    """Project folders of one user, with podctl's own commands in real processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"XDG_STATE_HOME": str(folder / "state"), "NO_COLOR": "1"}

    def project(self, name: str) -> Path:
        project = self.folder / name
        project.mkdir()
        (project / "podctl.toml").write_text(CONFIG)
        return project

    def start(self, project: Path, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "controller", *words],
            cwd=project, env=self.environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def podctl(self, project: Path, *words: str, expect: int = 0) -> tuple[str, str]:
        process = self.start(project, *words)
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == expect, f"{process.returncode}\n{out}\n{err}"
        return out, err

    def status(self, project: Path) -> dict[str, Any]:
        return dict(json.loads(self.podctl(project, "emulator", "status", "--json")[0]))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    for project in tmp_path.glob("*/podctl.toml"):
        if running(project.parent / ".podctl" / "emulator"):
            desk.podctl(project.parent, "emulator", "stop")


def test_two_projects_have_emulators_in_the_background_and_stop_only_their_own(desk: Desk) -> None:
    """Each on a port of its own, and found by its project; starting one again changes nothing."""
    one, two = desk.project("one"), desk.project("two")
    desk.podctl(one, "emulator", "start", "--balance", "25")
    again = desk.podctl(one, "emulator", "start")[1]
    refused = desk.podctl(two, "emulator", "stop", expect=3)[1]
    elsewhere = desk.podctl(two, "gpus", expect=10)[1]
    desk.podctl(two, "emulator", "start")
    first, second = desk.status(one), desk.status(two)
    desk.podctl(two, "emulator", "stop")
    gone = desk.podctl(two, "emulator", "status", expect=3)[1]

    assert f"is running already at {first['base_url']}" in again
    assert "no emulator is running for this project" in refused
    assert f"export PODCTL_EMULATOR_URL={first['base_url']}" in elsewhere
    assert first["base_url"] != second["base_url"]
    assert (first["balance_usd"], first["running_pods"]) == (25.0, [])
    assert "next:  podctl emulator start" in gone
    assert "0 pods" in desk.podctl(one, "gc")[1]
    assert desk.status(one)["pid"] == first["pid"]


def test_a_second_emulator_of_a_project_leaves_the_first_one_findable(desk: Desk) -> None:
    """On the same state folder it is refused; on another one the first keeps the project. A closed
    terminal ends it, and SIGTERM ends it after that as well."""
    project = desk.project("one")
    folder = project / ".podctl" / "emulator"
    first = desk.start(project, "emulator", "--port", "0")
    until(lambda: running(folder), SECONDS)
    url = desk.status(project)["base_url"]
    refused = desk.podctl(project, "emulator", "--port", "0", expect=2)[1]
    other = desk.start(project, "emulator", "--port", "0", "--state", str(desk.folder / "other"))
    until(lambda: running(desk.folder / "other"), SECONDS)

    assert f"podctl emulator status --state {folder}" in refused
    assert desk.status(project)["base_url"] == url
    other.send_signal(signal.SIGHUP)
    warned = other.communicate(timeout=SECONDS)[1]
    assert f"this project's commands still use its other emulator, at {url}" in warned
    assert desk.status(project)["base_url"] == url
    (project / ".podctl" / "emulator.json").unlink()
    assert desk.status(project)["base_url"] == url  # by the file in its own state folder
    first.send_signal(signal.SIGHUP)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=SECONDS)
    assert running(folder) is None
