"""A pod tells the user that a job ended, if no controller calls and the user allowed it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from remote.contract import Exit, JobSpec
from remote.pod.paths import PodPaths
from remote.supervisor.absent_controller import NAME, EndNotice, notice_of
from tests.support.pod_side import PodSide, until


@contextmanager
def web_hook() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Its address, and what it was sent: titles and texts."""
    received: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            received.append((self.headers["Title"], text))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/topic", received
        server.shutdown()


def test_a_job_that_nobody_asks_about_tells_its_end_once(tmp_path: Path) -> None:
    """The address is a secret of the job, and the next run may begin while the pod waits."""
    pod = PodSide(tmp_path / "pod", env={"PODCTL_PACE_ABSENT": "1.5"})
    try:
        with web_hook() as (address, received):
            pod.call("secrets", "--run", "r1", stdin=json.dumps({NAME: address}).encode())
            pod.start(pod.spec("raise SystemExit(3)\n", secrets=(NAME,)))
            pod.ended()
            until(lambda: len(received) or None, "a message")

            assert len(received) == 1
            assert received[0][0] == "podctl: r1 failed (exited)"
            assert "podctl sync" in received[0][1]
            leaked = [p for p in pod.root.rglob("*") if p.is_file()]
            assert not [p for p in leaked if address.encode() in p.read_bytes()]
    finally:
        pod.kill_all()


def notice(beat: Path, ended_at: float, absent: float) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the end of a job is sent, and what arrived."""
    base = SimpleNamespace(
        pace=SimpleNamespace(absent=absent),
        watch=SimpleNamespace(signalled=False),
        breathe=lambda: time.sleep(0.01),
    )
    end = Exit("r1", 1, 0, "exited", "", "", 0, ended_at - 5, ended_at)
    with web_hook() as (address, received):
        sent = EndNotice(address, str(beat)).send_if_absent(base, end)  # type: ignore[arg-type]
    return sent, received


def test_a_controller_that_called_after_the_end_knows_it(tmp_path: Path) -> None:
    """Nothing is sent: podctl tells it itself."""
    beat = tmp_path / "beat"
    beat.touch()

    assert notice(beat, time.time() - 10, absent=600.0) == (False, [])


def test_a_pod_that_was_never_asked_lately_tells_it_at_once(tmp_path: Path) -> None:
    """Ten minutes of silence before the end count too."""
    sent, received = notice(tmp_path / "absent", time.time(), absent=600.0)

    assert sent
    assert received[0][0] == "podctl: r1 ended well"


def test_only_a_web_address_that_the_user_named_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret, or one that is no web address, sends nothing."""
    monkeypatch.setenv("PODCTL_EMULATED_ROOT", str(tmp_path))
    place = PodPaths.at(str(tmp_path))

    def spec(*secrets: str) -> JobSpec:
        return JobSpec("r1", "s", ("x",), (), "c" * 64, secrets=secrets)

    folder = place.secrets("r1")
    folder.mkdir(parents=True)
    (folder / NAME).write_text("file:///etc/passwd")

    assert notice_of(place, spec()) is None
    assert notice_of(place, spec(NAME)) is None
    (folder / NAME).write_text("https://ntfy.sh/topic\n")
    found = notice_of(place, spec(NAME))
    assert found is not None
    assert found.address == "https://ntfy.sh/topic"
