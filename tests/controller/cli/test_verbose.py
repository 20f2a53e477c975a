"""`-v`, the log of a command, and what a crash leaves for its report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli import group
from controller.cli.exec import separated
from controller.cli.main import run
from tests.support.laptop import Laptop

ROOT = Path(__file__).resolve().parents[3]
CRASH = """
import sys
from controller.costs import spending
def broken(*_):
    raise ZeroDivisionError("of no use")
spending.read_account = broken
from controller.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project that podctl was used in."""
    (tmp_path / "podctl.toml").write_text("")
    (tmp_path / ".podctl").mkdir(mode=0o700)
    return tmp_path


def crash(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`podctl` with a bug in `podctl cost`."""
    return subprocess.run(
        [sys.executable, "-c", CRASH, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def log(folder: Path) -> str:
    return (folder / ".podctl" / "podctl.log").read_text()


def test_a_command_is_in_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start with the arguments, its error, and its end with the exit code."""
    monkeypatch.chdir(folder)
    assert run(["locks", "nothing"]) == 3
    begin, error, end = log(folder).splitlines()

    assert begin.endswith(" cli begin podctl locks nothing")
    assert " cli error not-found: nothing is not locked" in error
    assert re.search(r" cli end exit code 3, \d+ ms$", end)


def test_a_key_on_the_command_line_is_not_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--key` takes any word, which no pattern knows."""
    monkeypatch.chdir(folder)
    for words in (["--key", "ab cd"], ["--key=ab cd"]):
        assert run(["emulator", *words, "--port", "0"]) == 2

    assert "ab cd" not in log(folder)


def test_nothing_is_written_outside_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No log, no folder."""
    monkeypatch.chdir(tmp_path)
    assert run(["locks"]) == 3
    assert run(["--help"]) == 0

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", list(group.COMMANDS))
def test_every_command_has_the_option(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`-v` is in the help of each command once; `emulator env` has it too."""
    for _ in range(2):
        assert run([name, "--help"]) == 0
        assert capsys.readouterr().out.count("-v, --verbose") == 1
    assert run(["emulator", "env", "--help"]) == 0
    assert capsys.readouterr().out.count("-v, --verbose") == 1


@pytest.mark.parametrize("words", [["-v", "locks"], ["locks", "-v"]])
def test_verbose_shows_the_lines_of_the_log(
    words: list[str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On stderr, between the messages; stdout stays the command's."""
    monkeypatch.chdir(folder)
    assert run(words) == 0
    shown = capsys.readouterr()

    assert shown.out == ""
    assert [line for line in shown.err.splitlines() if " cli " in line] == log(folder).splitlines()
    assert "no stage is locked" in shown.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["hello", "ls", "-v", "-t"], ["hello", "--", "ls", "-v", "-t"]),
        (["-v", "hello", "-t", "ls", "-l"], ["-v", "hello", "-t", "--", "ls", "-l"]),
        (["--timeout", "5", "hello", "ls"], ["--timeout", "5", "hello", "--", "ls"]),
        (["hello", "-t", "--", "ls", "-v"], ["hello", "-t", "--", "ls", "-v"]),
        (["hello"], ["hello"]),
    ],
)
def test_the_options_of_an_executed_command_are_its_own(
    words: list[str], expected: list[str]
) -> None:
    """`podctl exec hello grep -v x` gives -v to grep, as ssh does."""
    assert separated(words) == expected


def test_a_crash_prints_three_lines_and_writes_its_traceback(folder: Path) -> None:
    """What happened, that pods are not affected, and the file to attach to a report."""
    done = crash(folder, "cost")
    first, second, third = done.stderr.splitlines()

    assert done.returncode == 1
    assert "internal error (please report it): ZeroDivisionError: of no use" in first
    assert "running pods are not affected" in second
    assert str(folder / ".podctl" / "podctl.log") in third
    assert "Traceback" in log(folder)
    assert "ZeroDivisionError: of no use" in log(folder)


def test_a_crash_outside_of_the_log_names_the_way_to_its_traceback(folder: Path) -> None:
    """Where the log cannot be written, PODCTL_DEBUG=1 is the next step, and shows it."""
    (folder / ".podctl" / "podctl.log").mkdir()
    assert "repeat the command with PODCTL_DEBUG=1" in crash(folder, "cost").stderr
    done = crash(folder, "cost", PODCTL_DEBUG="1")

    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_json_has_the_crash_as_an_error(folder: Path) -> None:
    """`--json` prints the error object of an internal error too."""
    assert '"code": "internal"' in crash(folder, "cost", "--json").stdout


def test_a_run_records_requests_commands_and_decisions(laptop: Laptop) -> None:
    """Each API request, SSH command and decision of a run is a line; no input of a command is."""
    laptop.write()
    shown = laptop.podctl("run", "hello", "-y", "-v").err
    text = (laptop.folder / ".podctl" / "podctl.log").read_text()

    assert re.search(r" api POST /v2/pods 201 \d+ ms ", text)
    assert re.search(r" api GET /v2/pods 200 \d+ ms ", text)
    assert re.search(r" ssh root@\S+: connected, \d+ ms\n", text)
    assert re.search(r" ssh root@\S+: status 0, \d+ ms: exec ", text)
    assert re.search(r" engine l0001: no pod, not connected -> Create\(", text)
    assert re.search(r" engine l0001: pod \w+ RUNNING, hello-0001 ended -> Pull\(", text)
    assert re.search(r" engine l0001: .* -> Lock\(", text)
    assert re.search(r" cli end exit code 0, \d+ ms\n", text)
    assert laptop.cloud.api_key not in text
    lines = {line for line in shown.splitlines() if re.match(r"\S+\.\d{3}Z ", line)}
    assert lines <= set(text.splitlines())
    assert any(" engine " in line for line in lines)
