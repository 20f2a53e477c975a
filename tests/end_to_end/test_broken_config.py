"""podctl.toml has an error while a pod bills: everything but `run`, `plan`, `check` still works."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.errors import PodctlError
from controller.project.project import Project, find
from state.journal import Journal
from state.project_lock import acquire
from tests.support.laptop import Laptop

BROKEN = {
    "syntax": "x = [",
    "empty": "",
    "latin-1": '[project]\nname = "caf\xe9"\nprovider = "emulator"\n',
    "unknown key": '[project]\nprovider = "emulator"\nnmae = "x"\n',
    "unknown table": '[project]\nprovider = "emulator"\n[pods]\nx = 1\n',
    "wrong type": "project = 3\n",
    "provider": '[project]\nprovider = "runpods"\n',
    "wrong sections": '[project]\nprovider = "emulator"\n[pod]\non_failure = 7\n[budget]\n',
    "stage": '[project]\nprovider = "emulator"\n[stages.hello]\ntitle = 7\n',
    "stages": '[project]\nprovider = "emulator"\n[stages]\nhello = 3\n',
    "huge": "#" * (1 << 21),
    "nested": "x = " + "[" * 3000,
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_a_broken_file_does_not_say_is_known_from_the_state(tmp_path: Path, text: str) -> None:
    """Provider and address are those of the open lease; the error is told once; who does not
    tolerate it gets it raised."""
    (tmp_path / "podctl.toml").write_bytes(text.encode("latin-1"))
    with acquire(tmp_path / ".podctl", "test") as owner:
        spec = {"stage": {"name": "hello"}, "shape": {"api_base": "http://127.0.0.1:1"}}
        journal = Journal(owner.connection, owner.epoch)
        journal.open_lease({"provider": "emulator"}, [("hello", spec)])
    told: list[PodctlError] = []
    project = find(tmp_path, told.append)

    assert project.config.project.provider == "emulator"
    assert project.stages is not None
    assert project.problem is told[0]
    assert len(told) == 1
    with pytest.raises(PodctlError):
        assert Project(tmp_path).stages


def test_a_project_without_its_file_is_found_by_its_state(tmp_path: Path) -> None:
    """podctl.toml was deleted, or is a folder: what bills is still found, from a folder below."""
    with acquire(tmp_path / ".podctl", "test") as owner:
        Journal(owner.connection, owner.epoch).open_lease({"provider": "emulator"}, [])
    below = tmp_path / "src"
    below.mkdir()
    (tmp_path / "podctl.toml").mkdir()

    assert find(below, lambda _: None).config.project.provider == "emulator"
    with pytest.raises(PodctlError):
        find(below)


def test_a_running_pod_is_seen_used_and_ended_with_a_broken_file(laptop: Laptop) -> None:
    """status, cost, logs, exec, sync and gc work and name the error; run and plan refuse; a run
    that has to be uploaded is not; the pod is ended."""
    laptop.write()
    laptop.detach()
    good = (laptop.folder / "podctl.toml").read_text()
    (laptop.folder / "podctl.toml").write_text(good + "\n[pods]\nx = 1\n")
    status = laptop.podctl("status")
    ran = laptop.podctl("exec", "hello", "--", "echo", "here")
    laptop.podctl("cost")
    laptop.podctl("gc")
    refused = laptop.podctl("run", "hello", "-y", expect=2)
    laptop.podctl("plan", expect=2)
    (laptop.folder / "podctl.toml").unlink()
    synced = laptop.podctl("sync")

    assert "unknown key" in status.err
    assert "hello-0001" in status.out
    assert ran.out == "here\n"
    assert "unknown key" in refused.err
    assert "no podctl.toml" in synced.err
    laptop.assert_done()
