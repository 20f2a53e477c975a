"""podctl doctor: each line PASS, WARN or FAIL, with the mend."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import run
from controller.project.project import Project
from tests.support.emulated_cloud import EmulatedCloud


@pytest.fixture
def folder(tmp_path: Path, cloud: EmulatedCloud, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project as `podctl init` leaves it, whose provider is the emulator."""
    assert run(["init", str(tmp_path), "--provider", "emulator"]) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", cloud.base_url)
    return tmp_path


def examine(capsys: pytest.CaptureFixture[str], *words: str, expect: int) -> dict[str, Any]:
    """The checks by name."""
    capsys.readouterr()
    assert run(["doctor", "--json", *words]) == expect
    shown = capsys.readouterr().out
    return {check["name"]: check for check in json.loads(shown)["checks"]}


def test_an_unregistered_key_is_mended_by_a_flag(
    folder: Path, capsys: pytest.CaptureFixture[str], cloud: EmulatedCloud
) -> None:
    """The only thing a fresh account lacks is our key; --register adds it and keeps others."""
    cloud.api("PUT", "/v2/account/ssh-keys", {"keys": ["ssh-ed25519 AAAAother me"]})
    before = examine(capsys, expect=1)
    after = examine(capsys, "--register", expect=0)
    keys = cloud.api("GET", "/v2/account/ssh-keys").body["keys"]

    assert before["ssh key"]["verdict"] == "FAIL"
    assert before["ssh key"]["mend"] == "podctl doctor --register"
    assert after["ssh key"]["verdict"] == "PASS"
    assert {check["verdict"] for check in after.values()} <= {"PASS", "WARN"}
    assert any("AAAAother" in key for key in keys)


def test_a_wrong_key_fails_with_the_places_of_keys(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that the provider refuses is exit code 10, and is not shown."""
    monkeypatch.setenv("PODCTL_EMULATOR_KEY", "rpa_emulator_wrong")
    check = examine(capsys, expect=10)["key"]

    assert check["verdict"] == "FAIL"
    assert check["mend"]
    assert "rpa_emulator_wrong" not in json.dumps(check)


def test_no_key_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key for the real provider nothing is sent, and the mend says how to get one."""
    run(["init", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RUNPOD_API_KEY", "RUNPOD_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    check = examine(capsys, expect=10)["key"]

    assert "RUNPOD_API_KEY" in check["mend"]


def test_a_provider_that_does_not_answer(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer is exit code 8: nothing is known of the key."""
    monkeypatch.setenv("PODCTL_EMULATOR_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("controller.cli.options.PATIENCE_SECONDS", 1.0)

    assert examine(capsys, expect=8)["key"]["verdict"] == "FAIL"


def test_an_empty_account(
    folder: Path, capsys: pytest.CaptureFixture[str], cloud: EmulatedCloud
) -> None:
    """At zero the provider deletes pods with their data: that is a FAIL with exit code 10."""
    examine(capsys, "--register", expect=0)
    cloud.set_balance(0.0)
    empty = examine(capsys, expect=10)["balance"]
    cloud.set_balance(2.0)
    little = examine(capsys, expect=0)["balance"]

    assert empty["verdict"] == "FAIL"
    assert little["verdict"] == "WARN"


def test_a_state_folder_in_git_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key that git would commit is a FAIL; the .gitignore of init prevents it."""
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True, timeout=20)
    examine(capsys, "--register", expect=0)
    (folder / ".gitignore").write_text("")
    check = examine(capsys, expect=1)["git"]

    assert check["verdict"] == "FAIL"
    assert ".gitignore" in check["mend"]


def test_a_malformed_podctl_toml(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor goes on past a broken podctl.toml as far as it can, and ends with 2."""
    (folder / "podctl.toml").write_text("[pod]\nimgae = 1\n")
    checks = examine(capsys, expect=2)

    assert checks["podctl.toml"]["verdict"] == "FAIL"
    assert "pod.imgae" in checks["podctl.toml"]["detail"]
    assert checks["python"]["verdict"] == "PASS"


def test_lines_are_readable_without_colour(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line begins with its verdict, and a failed one ends with its mend."""
    run(["doctor"])
    lines = capsys.readouterr().out.splitlines()

    assert all(line.startswith(("PASS  ", "WARN  ", "FAIL  ")) for line in lines)
    assert any(line.endswith("-> podctl doctor --register") for line in lines)
    assert (Project(folder).private_key.stat().st_mode & 0o777) == 0o600
