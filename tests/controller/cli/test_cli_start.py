"""How the command line starts: fast, helpful, and with every error in one shape."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller import errors
from controller.cli import group
from controller.cli.main import run

ROOT = Path(__file__).resolve().parents[3]
HEAVY = (
    "aiohttp",
    "asyncssh",
    "fabric",
    "paramiko",
    "pydantic",
    "rich",
    "runpod",
    "starlette",
    "tenacity",
    "torch",
    "uvicorn",
)


def start(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """podctl in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "controller", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def modules_after(*words: str, cwd: Path) -> set[str]:
    """The top-level modules that a command has imported when it ends."""
    code = (
        "import sys, contextlib, io\n"
        "from controller.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    run({list(words)!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules},"
        " *(name for name in sys.modules if name.startswith('controller.')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty project."""
    (tmp_path / "podctl.toml").write_text("[budget]\nproject_usd = 10\n")
    return tmp_path


@pytest.mark.parametrize("words", [("--help",), ("cost",), ("status", "--cached")])
def test_light_commands_import_nothing_heavy(folder: Path, words: tuple[str, ...]) -> None:
    """Help, cost and cached status load no SDK, no SSH, no validator."""
    loaded = modules_after(*words, cwd=folder)

    assert loaded.isdisjoint(HEAVY)


def test_help_imports_no_command(folder: Path) -> None:
    """The list of commands comes from a table: not one of them is imported for it."""
    loaded = modules_after("--help", cwd=folder)
    commands = {f"controller.cli.{name}" for name in group.COMMANDS}

    assert loaded.isdisjoint(commands)


def test_a_command_imports_only_itself(folder: Path) -> None:
    """Typing one command does not pay for the others."""
    loaded = modules_after("cost", cwd=folder)
    commands = {f"controller.cli.{name}" for name in group.COMMANDS}

    assert loaded & commands == {"controller.cli.cost"}


def test_help_documents_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Each class of error has its exit code in `podctl --help`."""
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    documented = {int(code) for code in re.findall(r"^  (\d+)  ", shown, re.MULTILINE)}
    defined = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.PodctlError)
    }

    assert defined <= documented


@pytest.mark.parametrize("name", list(group.COMMANDS))
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every name of the table is a command that explains itself."""
    assert run([name, "--help"]) == 0
    assert f"podctl {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["plan", "status", "logs", "cost", "gc", "gpus", "locks", "verify", "doctor", "run"]
)
def test_commands_that_read_speak_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--json is offered wherever something is read."""
    run([name, "--help"])

    assert "--json" in capsys.readouterr().out


def test_a_folder_that_is_gone_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell may stand in a folder that somebody removed."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert run(["status"]) == 3
    assert "the current folder is gone" in capsys.readouterr().err


def test_unknown_commands_name_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the finger gets a suggestion and the usage exit code."""
    assert run(["statsu"]) == 2
    shown = capsys.readouterr().err
    assert "did you mean 'status'?" in shown
    assert "podctl --help" in shown


def test_usage_errors_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option with --json is an object like any other error."""
    assert run(["cost", "--json", "--wrong"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "podctl/error/1"
    assert found["error"]["code"] == "usage"


def test_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that needs a project says how to make one."""
    monkeypatch.chdir(tmp_path)
    for words in (["status"], ["cost"], ["run", "stage1c"], ["logs"], ["locks"], ["gc"]):
        assert run(words) == 3
        assert "podctl init" in capsys.readouterr().err


def test_a_mistake_in_podctl_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A malformed podctl.toml stops every command that reads it, with line and exit code 2."""
    (tmp_path / "podctl.toml").write_text("[pod]\nimgae = 1\n")
    monkeypatch.chdir(tmp_path)

    assert run(["plan", "stage1c"]) == 2
    assert "pod.imgae (line 2)" in capsys.readouterr().err


def test_empty_podctl_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty podctl.toml is named as such, with the command that writes one."""
    (tmp_path / "podctl.toml").write_text("")
    monkeypatch.chdir(tmp_path)

    assert run(["run", "stage1c"]) == 2
    assert "podctl init --force" in capsys.readouterr().err


def test_unknown_stage(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A stage that nobody defines ends with 3 and the nearest name, before anything is asked."""
    monkeypatch.chdir(folder)

    assert run(["run", "stage1x"]) == 3
    shown = capsys.readouterr().err
    assert "no stage named 'stage1x'" in shown
    assert "stage1a, stage1b, stage1c" in shown


def test_init_asks_nothing_without_a_terminal(tmp_path: Path) -> None:
    """A fresh folder becomes a project at once; a second init names the flag that replaces."""
    first = start("init", cwd=tmp_path)
    again = start("init", cwd=tmp_path)
    forced = start("init", "--force", cwd=tmp_path)

    assert first.returncode == 0, first.stderr
    assert "podctl doctor" in first.stderr
    assert ".podctl/" in (tmp_path / ".gitignore").read_text().splitlines()
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert forced.returncode == 0


def test_init_keeps_a_gitignore(tmp_path: Path) -> None:
    """What the user ignores stays, and nothing is added twice."""
    (tmp_path / ".gitignore").write_text("*.log\n.podctl/")
    assert run(["init", str(tmp_path)]) == 0
    assert run(["init", str(tmp_path), "--force"]) == 0

    lines = (tmp_path / ".gitignore").read_text().splitlines()
    assert lines == ["*.log", ".podctl/", "artifacts/", "checkpoints/"]


def test_init_refuses_a_name_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad --name is said before anything is written."""
    assert run(["init", str(tmp_path / "new"), "--name", "../x"]) == 2
    assert "project.name" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_row_38_output_into_a_closed_pipe(folder: Path) -> None:
    """`podctl --help | head -1` shows no traceback."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m controller --help | head -1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stdout.startswith("Usage: podctl")
    assert "Traceback" not in done.stderr


def test_row_38_sigterm_is_heard(folder: Path) -> None:
    """SIGTERM ends a command with 143 and says that pods go on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", "emulator", "--port", "0", "--state", "cloud"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    shown = [process.stdout.readline(), process.stdout.readline()]
    notes = (folder / ".podctl" / "emulator.json", folder / "cloud" / "emulator.json")
    announced = [stat.S_IMODE(note.stat().st_mode) for note in notes]
    process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    code = process.wait(30)

    assert re.fullmatch(r"export RUNPOD_API_BASE_URL=http://127.0.0.1:\d+\n", shown[0])
    assert re.fullmatch(r"export RUNPOD_API_KEY=rpa_emulator_[\w-]{32}\n", shown[1])
    assert announced == [0o600, 0o600]
    assert code in (0, 143)
    assert time.monotonic() - started < 20
    assert not any(note.exists() for note in notes)


def test_a_key_in_the_environment_is_never_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key of an unusual form is hidden too, wherever it turns up."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNPOD_API_KEY", "unusual-account-key")

    assert run(["run", "unusual-account-key"]) == 3
    captured = capsys.readouterr()
    assert "unusual-account-key" not in captured.out + captured.err
