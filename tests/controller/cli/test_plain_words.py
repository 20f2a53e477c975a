"""Small promises of the command line: help, exit codes of `plan`, hints and quantities."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from controller import package_extras
from controller.locks.certificate import CriterionMet
from controller.package_extras import install_hint
from controller.terminal.formatting import count, span
from jobs.criteria import evaluate
from jobs.stage import Criterion
from tests.support.shell import Shell


def test_podctl_without_arguments_prints_its_help_and_ends_with_0(tmp_path: Path) -> None:
    """As an answer on stdout, not as an error."""
    done = subprocess.run(
        [sys.executable, "-m", "controller"], cwd=tmp_path, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: podctl [OPTIONS] COMMAND")


def test_plan_ends_as_run_does(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a secret that is not set, with an unknown GPU beside it, and with a lock whose
    certificate is gone."""
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    file = shell.project.file
    plain = file.read_text()
    secret = plain.replace("[stages.hello]", '[stages.hello]\nsecrets = ["WANDB_API_KEY"]')
    file.write_text(secret)
    planned = shell("plan", "hello", expect=2)
    shell("run", "hello", "-y", expect=2)
    assert "WANDB_API_KEY" in planned
    assert "WANDB_API_KEY" in shell.err
    file.write_text(secret.replace('gpus = ["', 'gpus = ["H1000", "'))
    shell("plan", "hello", expect=2)
    assert "WANDB_API_KEY" in shell.err  # which `run` finds first
    file.write_text(plain)
    shell("run", "hello", "-y")
    lock = shell.project.root / "locks" / "hello.json"
    lock.unlink()
    shell("plan", "hello", expect=5)
    assert "hello is locked but its certificate is missing" in shell.err


def test_an_extra_is_installed_from_where_podctl_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a checkout with its path, from an index by its name."""
    root = package_extras.checkout()
    assert root is not None
    monkeypatch.chdir(root)
    assert install_hint("demo") == "pip install '.[demo]'"
    monkeypatch.chdir(tmp_path)
    assert install_hint("demo") == f"cd {root} && pip install '.[demo]'"
    monkeypatch.setattr(package_extras, "checkout", lambda: None)
    assert install_hint("demo") == "pip install 'podctl[demo]'"


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (None, "-"), (0.0, "0 s"), (0.01, "36 s"), (0.2, "12 min"), (1.0, "60 min"),
        (1.66, "1.7 h"), (2.0, "2 h"), (13.04, "13 h"),
    ],
)  # fmt: skip
def test_a_duration_has_the_unit_that_people_use(hours: float | None, text: str) -> None:
    """Never `0.00` hours."""
    assert span(hours) == text


def test_counts_have_their_singular() -> None:
    """No `1 files`."""
    assert [count(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert count(1, "criterion", "criteria") == "1 criterion"


@pytest.mark.parametrize(
    ("bounds", "detail"),
    [
        ({"at_least": 0.3}, "0.5, need at least 0.3"),
        ({"at_most": 0.9}, "0.5, need at most 0.9"),
        ({"at_least": 0.3, "at_most": 0.9}, "0.5, need 0.3 to 0.9"),
        ({"equals": 0.5}, "0.5"),
        ({"equals": 0.7}, "0.5, need 0.7"),
    ],
)
def test_a_bound_is_in_words(tmp_path: Path, bounds: dict[str, float], detail: str) -> None:
    """Not `need 0.3 to inf`."""
    (tmp_path / "a.json").write_text('{"x": 0.5}')
    criterion = Criterion.model_validate({"kind": "value", "path": "a.json", "key": "x"} | bounds)
    (finding,) = evaluate([criterion], tmp_path)

    assert finding.detail == detail


@pytest.mark.parametrize(
    ("measured", "detail", "result"),
    [
        (100, "100, need 100 to inf", "100, need at least 100"),
        (0.123456, "0.123456, need -inf to 0.5", "0.123456, need at most 0.5"),
        (True, "True, need True", "True"),
        (True, "True", "True"),
        ("x", "'x', need 'x'", "x"),
        (8, "2 files; the last: fine", "8 (2 files; the last: fine)"),
        (None, "present", "present"),
        (3, "", "3"),
        (3, "3", "3"),
        (1, "10 records", "1 (10 records)"),
    ],
)
def test_what_a_lock_measured_is_told_once(measured: object, detail: str, result: str) -> None:
    """Also of locks that earlier versions wrote."""
    met = CriterionMet.model_validate(
        {"criterion": "c", "status": "PASS", "measured": measured, "detail": detail}
    )

    assert met.result == result
