"""What comes from elsewhere is taken by a name that means one thing for good, or it is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controller.locks.certificate import Certificate, Price
from controller.preflight.hub_commit import HubUnavailable, commit_of
from controller.preflight.pins import pinned_models, unhashed
from controller.preflight.stage_inputs import hub_model
from controller.project.project import Project
from remote.supervisor import uv_pin
from remote.supervisor.installer import BuildContext, find_uv
from state.journal import Journal
from state.project_lock import acquire
from tests.support.hub_server import COMMIT, Hub, serving
from tests.support.shell import Shell

CONFIG = """
[project]
plan = "stage1"
model = "some/model"
provider = "emulator"

[stages.own]
command = ["python", "own.py"]
outputs = ["out/**"]
hours = 0.1
max_hours = 0.2
criteria = [{ kind = "exists", path = "out/x" }]
parameters = { model = "some/model" }
environment = { kind = "lock", lock = "own.lock" }
"""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with serving(Hub({"config.json": b"{}"})) as one:
        monkeypatch.setenv("HF_ENDPOINT", one.url)
        yield one


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "podctl.toml").write_text(CONFIG)
    return Project(tmp_path)


def lock(commit: str) -> Certificate:
    return Certificate(
        stage="stage1a", title="t", run="stage1a-0001", criteria=(), artifacts=(), outputs=(),
        cost=Price(usd=1, hours=1), started_at=1, ended_at=1, locked_at=1,
        environment={"models": {"some/model": commit}},
    )  # fmt: skip


def test_main_is_resolved_to_a_commit(hub: Hub, project: Project) -> None:
    """For podctl's own stages, of whose programs it is known that they load it so."""
    stages = [project.stages[name] for name in ("stage1a", "stage1c", "own")]

    assert pinned_models(project, stages, {}) == ({"some/model": COMMIT}, ())
    assert hub_model(project.stages["own"], project.root) == ""


def test_a_plan_stays_on_the_commit_that_it_began_with(hub: Hub, project: Project) -> None:
    """What an earlier stage's lock, or a run that goes on, was pinned to goes before the hub."""
    stage = project.stages["stage1c"]
    by_lock, _ = pinned_models(project, [stage], {"stage1a": lock("a" * 40)})
    project.prepare()
    with acquire(project.state_dir, "test") as owner:
        journal = Journal(owner.connection, owner.epoch)
        spec = {"models": {"some/model": "b" * 40}}
        journal.open_lease({}, [("stage1c", spec)])
        by_run, _ = pinned_models(project, [stage], {}, journal)
        journal.finish_run("stage1c-0001", "criteria")
        anew, _ = pinned_models(project, [stage], {}, journal)

    assert by_lock == {"some/model": "a" * 40}
    assert by_run == {"some/model": "b" * 40}
    assert anew == {"some/model": COMMIT}


def test_the_plan_shows_what_it_is_pinned_to(hub: Hub, shell: Shell) -> None:
    """Model and commit, as the run and its certificate will have them."""
    file = shell.project.file
    file.write_text(file.read_text() + '\n[stages.stage1a.parameters]\nmodel = "some/model"\n')
    (pod,) = shell.json("plan", "stage1a")["pods"]

    assert pod["models"] == {"some/model": COMMIT}


@pytest.mark.parametrize("word", ["small", "base", "/data/model", "model", "a/b/c"])
def test_what_is_no_model_of_the_hub_needs_no_commit(tmp_path: Path, word: str) -> None:
    """The small model, a folder of the project, and what the stage itself will refuse."""
    (tmp_path / "podctl.toml").write_text(f'[project]\nmodel = "{word}"\n')
    (tmp_path / "base").mkdir()
    project = Project(tmp_path)

    assert pinned_models(project, [project.stages["stage1a"]], {}) == ({}, ())


def test_a_silent_hub_is_said_and_stops_nothing(
    hub: Hub, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error, an answer without a commit, an address that is none, no network at all."""
    stage = project.stages["stage1a"]
    hub.down = 1
    pins, (remark,) = pinned_models(project, [stage], {})
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    unreached = pinned_models(project, [stage], {})
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = pinned_models(project, [stage], {})

    assert pins == {}
    assert remark == "some/model is not pinned to a commit: the hub answers 503"
    assert unreached[0] == offline[0] == {}
    assert "HF_HUB_OFFLINE" in offline[1][0]
    for address in ("file:///etc", "nonsense", "http://127.0.0.1:9"):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(HubUnavailable):
            commit_of("some/model")


def test_a_requirements_file_without_hashes_is_told(project: Project) -> None:
    """The user's own, which podctl installs as it is."""
    own = project.stages["own"]
    path = project.root / "own.lock"
    path.write_text("requests==2.0\n")
    told = unhashed(project, [own, project.stages["stage1c"]])
    path.write_text("requests==2.0 --hash=sha256:00\n")

    assert len(told) == 1
    assert "own.lock has no hashes" in told[0]
    assert unhashed(project, [own]) == ()


def test_a_pod_without_uv_gets_the_pinned_one(tmp_path: Path) -> None:
    """By version and hash, without what it might depend on, from the pod's own index."""
    base, asked = tmp_path / "python", tmp_path / "asked"
    base.write_text(
        f'#!/bin/sh\n[ "$2" = pip ] || exit 1\necho "$@" > {asked}\nfor last; do :; done\n'
        f"cp $last {tmp_path}/pin\n"
    )
    base.chmod(0o755)
    (tmp_path / "scratch").mkdir()
    context = BuildContext(
        tmp_path, {"PATH": "/usr/bin:/bin"}, tmp_path / "log", tmp_path / "scratch", lambda: None
    )
    found = find_uv(base, context)

    assert found == [str(tmp_path / "tools" / f"uv-{uv_pin.VERSION}" / "bin" / "uv")]
    assert "--no-deps --require-hashes -r" in asked.read_text()
    assert (tmp_path / "pin").read_text() == uv_pin.requirement()


def test_a_redirect_takes_no_token_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's answer is followed, as for a model that was renamed; the token stays behind."""
    seen: list[tuple[str, str]] = []

    class Renamed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            moved = "/new/" not in self.path
            self.send_response(307 if moved else 200)
            if moved:
                self.send_header("Location", f"http://localhost:{self.server.server_port}/new/x")
            self.end_headers()
            if not moved:
                self.wfile.write(json.dumps({"sha": "d" * 40}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Renamed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        commit = commit_of("some/model", "hf_kanarienvogel")
        server.shutdown()

    assert commit == "d" * 40
    assert [token for _, token in seen] == ["Bearer hf_kanarienvogel", ""]
