"""What is not known is said to be not known: with a source, an age and an exit code of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import run
from controller.project.project import Project
from controller.status.overview import FRESH_SECONDS, read_overview
from state.journal import Journal
from state.last_seen import LastSeen
from state.project_lock import acquire
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop

NOWHERE = "http://127.0.0.1:9"  # nothing listens there
RUNNING = {"state": "running", "step": 3, "max_steps": 9}
HEAD = '{"schema":1,"run":"hello-0001","boot_id":"b",'
HOSTILE = (
    f'print(\'{HEAD}"state":"running","attempt":NaN}}\')',
    f"print('{HEAD}\"state\":true}}')",
    "print('{\"a\":' * 150_000)",
    "import sys\nfor _ in range(1 << 14): sys.stdout.write(' ' * 65536)",  # a gigabyte
    "",
)


Read = Callable[..., Any]


@pytest.fixture
def working(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Read]:
    """Reads the JSON of podctl's commands, here, about a job that runs on a pod without us."""
    laptop.write(seconds=120)
    laptop.podctl("run", "hello", "-y", "--detach")
    monkeypatch.chdir(laptop.folder)
    monkeypatch.setenv("PODCTL_EMULATOR_URL", laptop.cloud.base_url)

    def read(*words: str, expect: int = 0) -> Any:
        capsys.readouterr()
        assert run([*words, "--json"]) == expect
        return json.loads(capsys.readouterr().out)

    yield read
    for pod in laptop.living_pods():
        laptop.cloud.api("DELETE", f"/v2/pods/{pod['id']}")


def agent_of(laptop: Laptop) -> Path:
    """The agent's file on the pod's disk."""
    found = list(laptop.cloud.state_dir.rglob("podctl/code/*/remote/agent/__main__.py"))
    return until(lambda: found[-1] if found else None, 30)


def assert_unknown(seen: dict[str, Any], *names: str) -> None:
    """These lines do not claim to know, and say by whom and when it was last known."""
    for row in (row for name in names for row in seen[name]):
        assert row["state"] == "unknown"
        assert row["detail"].startswith("was ")
        assert row["source"] in ("agent", "provider")
        assert row["age_seconds"] >= 0
    assert all(seen[name] for name in names)
    assert seen["unknown"] is True
    assert seen["failures"]


def test_row_75_a_pod_that_talks_nonsense_or_not_at_all_is_unknown(
    working: Read, laptop: Laptop
) -> None:
    """NaN, nesting, wrong types, a gigabyte, silence: unknown with exit code 8, never running."""
    assert working("status", "hello")["runs"][0]["state"] == "running"
    agent = agent_of(laptop)
    ours = agent.read_text()
    for script in HOSTILE:
        agent.write_text(script + "\n")
        assert_unknown(working("status", "hello", expect=8), "runs", "stages")
    agent.unlink()
    seen = working("status", "hello", expect=8)
    assert_unknown(seen, "runs", "stages")
    assert seen["pods"][0]["state"] == "RUNNING"  # the provider answers for it
    agent.write_text(ours)

    assert working("status", "hello")["runs"][0]["state"] == "running"


def test_row_48_without_a_network_nothing_runs_and_nothing_is_done(
    working: Read, laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers: each command says so at once, and shows what is here with its age."""
    assert working("status")["runs"][0]["state"] == "running"
    assert working("logs", "hello")["source"] == "pod"
    monkeypatch.setenv("PODCTL_EMULATOR_URL", NOWHERE)
    copy = Project(laptop.folder).job_log("hello-0001")
    copy.unlink(missing_ok=True)
    assert "no response" in working("logs", "hello", expect=8)["error"]["what"]
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(b"begin\n")
    seen = working("status", "hello-0001", expect=8)
    log = working("logs", "hello", expect=8)
    page = (laptop.folder / "STATUS.md").read_text()

    assert_unknown(seen, "runs", "stages", "pods")
    assert (log["source"], log["text"].splitlines()[-1]) == ("local copy", "begin")
    assert log["age_seconds"] >= 0
    assert "no response" in log["why"]
    assert "running" not in page
    assert "hello-0001 is unfinished" in page
    working("status", "nothing", expect=3)


@pytest.mark.parametrize(
    ("age", "state", "silent"),
    [
        (0.0, "running", False),
        (FRESH_SECONDS - 1, "running", False),
        (FRESH_SECONDS + 1, "unknown", False),
        (-3600.0, "unknown", False),  # the clock was set back: nobody knows how old it is
        (1.0, "unknown", True),
    ],
)
def test_only_a_fresh_sign_of_life_from_who_still_answers_counts(
    tmp_path: Path, age: float, state: str, silent: bool
) -> None:
    """After a minute, from the future, or after a question without an answer: unknown."""
    project = Project(tmp_path)
    project.prepare()
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        name = journal.open_run(journal.open_lease({}), "hello", {})
        LastSeen(owner.connection, lambda: 1e9 - age).see(f"run:{name}", "agent", RUNNING)
        asked = frozenset({f"run:{name}"} if silent else ())
        seen = read_overview(project, owner.connection, 1e9, asked)

    assert [line.fact.state for line in (*seen.runs, *seen.stages)] == [state, state]
    assert seen.runs[0].fact.source == "agent"
    assert seen.runs[0].fact.at == 1e9 - age
    assert seen.unknown is (state == "unknown")


def test_what_has_ended_stays_ended(tmp_path: Path) -> None:
    """An exit record does not grow old, and neither does a pod that is gone."""
    project = Project(tmp_path)
    project.prepare()
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        name = journal.open_run(journal.open_lease({}), "hello", {})
        LastSeen(owner.connection, lambda: 0.0).see(f"run:{name}", "agent", {"state": "ended"})
        seen = read_overview(project, owner.connection, 1e9)

    assert seen.runs[0].fact.state == "ended"
    assert seen.unknown is False
