"""Notifications: sent once an event, kept over a kill, and never in the way of the run."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controller.errors import UsageError
from controller.notifications import delivery
from controller.notifications.event import Event, events_of
from controller.notifications.notifier import CLOSE_SECONDS, Notifier, deliver_waiting
from controller.notifications.outbox import MOST_REFUSED, Outbox
from controller.planner import actions
from controller.planner.job_progress import JobProgress
from controller.planner.lease_state import LeaseState, RunFacts
from controller.planner.observation import LocalObservation, Observation
from controller.project.project import Project
from state.redaction import PROCESS_REDACTOR

EVENT = Event("passed", "sft-0001 passed", "try: sft-0001 passed", "passed")
KINDS = frozenset(("passed", "failed", "question", "stuck", "budget"))
WAIT = actions.Wait(1.0, "for the job")


@dataclass
class Hook:
    """A web hook: what it was sent, and what it answers."""

    received: list[tuple[str, str]] = field(default_factory=list)  # title, text
    statuses: list[int] = field(default_factory=list)  # of the next answers; then 200
    let_go: threading.Event = field(default_factory=threading.Event)
    address: str = ""


@contextmanager
def hook(*, stuck: bool = False) -> Iterator[Hook]:
    """A real HTTP server on this machine; `stuck`: it does not answer before `let_go`."""
    found = Hook()
    if not stuck:
        found.let_go.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            found.received.append((self.headers["Title"], text))
            found.let_go.wait(30)
            self.send_response(found.statuses.pop(0) if found.statuses else 200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.address = f"http://127.0.0.1:{server.server_port}/topic"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield found
        found.let_go.set()
        server.shutdown()


def notifier(folder: Path, *addresses: str, warned: list[str] | None = None) -> Notifier:
    destinations = {f"PODCTL_NOTIFY_{index}": text for index, text in enumerate(addresses)}
    outbox = Outbox(folder / "notifications.json")
    warn = warned.append if warned is not None else lambda _: None
    return Notifier("try", KINDS, destinations, outbox, warn, pauses=(0.01,))


def seen(*runs: RunFacts, **more: object) -> Observation:
    return Observation(lease=LeaseState("l0001", runs), now=1000.0, **more)  # type: ignore[arg-type]


def test_an_event_is_sent_once_however_often_it_is_seen(tmp_path: Path) -> None:
    """Also by another process that observes the same end of the run."""
    passed = seen(RunFacts("sft-0001", "sft", outcome="passed"))
    with hook() as web:
        for _ in range(2):
            ours = notifier(tmp_path, web.address)
            ours.observe(passed, WAIT)
            ours.observe(passed, WAIT)
            ours.close()

    assert web.received == [("try: sft-0001 passed", "passed")]


def test_an_event_survives_a_kill_before_it_was_sent(tmp_path: Path) -> None:
    """What is on disk is sent by the next command."""
    Outbox(tmp_path / "notifications.json").add(EVENT, ("PODCTL_NOTIFY_0",))
    with hook() as web:
        notifier(tmp_path, web.address).close()

    assert len(web.received) == 1


def test_a_kill_while_it_was_sent_means_one_repeat_at_most(tmp_path: Path) -> None:
    """A send whose end is unknown is repeated once, and then reported instead."""
    path, warned = tmp_path / "notifications.json", list[str]()
    with hook() as web:
        Outbox(path).add(EVENT, ("PODCTL_NOTIFY_0",))
        Outbox(path).begin(EVENT, "PODCTL_NOTIFY_0")
        notifier(tmp_path, web.address).close()
        assert len(web.received) == 1

        other = Event("failed", "other", "t", "x")
        Outbox(path).add(other, ("PODCTL_NOTIFY_0",))
        for _ in range(2):
            Outbox(path).begin(other, "PODCTL_NOTIFY_0")
        notifier(tmp_path, web.address, warned=warned).close()

    assert len(web.received) == 1


def test_a_refusal_is_tried_again_and_told(tmp_path: Path) -> None:
    """An error of the server loses nothing: another try, another command, and a warning."""
    warned: list[str] = []
    with hook() as web:
        web.statuses = [500, 503]
        ours = notifier(tmp_path, web.address, warned=warned)
        ours.outbox.add(EVENT, tuple(ours.destinations))
        ours.close()
        assert len(web.received) == 1
        assert "HTTP status 500" in warned[0]
        assert "tries again" in warned[0]
        assert web.address not in warned[0]

        for _ in range(3):
            notifier(tmp_path, web.address).close()

    assert len(web.received) == 3
    assert not Outbox(tmp_path / "notifications.json").due()


def test_it_is_given_up_in_the_end_and_said_once(tmp_path: Path) -> None:
    """Nobody is asked for ever, and the warning does not return with every command."""
    said: list[str] = []
    box = Outbox(tmp_path / "notifications.json")
    box.add(EVENT, ("PODCTL_NOTIFY_0",))
    for _ in range(MOST_REFUSED + 2):
        notifier(tmp_path, "http://127.0.0.1:9/closed", warned=said).close()

    assert sum("not tried again" in line for line in said) == 1


def test_a_server_that_hangs_delays_no_run(tmp_path: Path) -> None:
    """Observing returns at once, and the end of a command waits for a limited time."""
    passed = seen(RunFacts("sft-0001", "sft", outcome="passed"))
    with hook(stuck=True) as web:
        ours = notifier(tmp_path, web.address)
        began = time.monotonic()
        ours.observe(passed, WAIT)
        ours.close(seconds=0.1)

        assert time.monotonic() - began < 5.0


def test_one_broken_destination_does_not_repeat_the_other(tmp_path: Path) -> None:
    """Each destination has its own state."""
    with hook() as web:
        ours = notifier(tmp_path, "http://127.0.0.1:9/closed", web.address)
        ours.outbox.add(EVENT, tuple(ours.destinations))
        ours.close()
        notifier(tmp_path, "http://127.0.0.1:9/closed", web.address).close()

    assert len(web.received) == 1


def test_what_a_pod_says_is_redacted(tmp_path: Path) -> None:
    """The reason of a failure may hold a secret, or move a cursor."""
    PROCESS_REDACTOR.add("correct-horse-battery")
    why = "exit 1: \x1b[2Jcorrect-horse-battery"
    with hook() as web:
        ours = notifier(tmp_path, web.address)
        ours.observe(seen(RunFacts("sft-0001", "sft", outcome="failed", why=why)), WAIT)
        ours.close()

    assert len(web.received) == 1
    assert "horse" not in web.received[0][1]
    assert "\x1b" not in web.received[0][1]


def test_a_command_gets_title_and_text(tmp_path: Path) -> None:
    """The program is run without a shell, and without the keys of the environment."""
    script = tmp_path / "tell.sh"
    script.write_text(f'printf "%s|%s|%s" "$PODCTL_EVENT" "$1" "$2" > {tmp_path}/told\n')
    delivery.send(f"command:sh {script}", Event("failed", "k", "a title", "a; text"))

    assert (tmp_path / "told").read_text() == "failed|a title|a; text"
    with pytest.raises(delivery.DeliveryError, match="ended with 3"):
        delivery.send("command:sh -c 'exit 3'", EVENT)


def test_an_answer_that_is_no_http_and_a_command_that_cannot_be_read_are_failures() -> None:
    """Any other exception would end the thread that sends, and what waits with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answer_garbage, args=(server,), daemon=True).start()
        with pytest.raises(delivery.DeliveryError) as caught:
            delivery.send(f"http://127.0.0.1:{server.getsockname()[1]}/topic", EVENT)
    assert caught.value.unclear

    for destination in ('command:sh -c "x', "http://a b/", "http:///topic"):
        with pytest.raises(delivery.DeliveryError) as caught:
            delivery.send(destination, EVENT)
        assert not caught.value.unclear


def _answer_garbage(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"garbage\r\n\r\n")


def test_blanks_letters_and_ipv6_in_an_address_are_sent_as_they_must_be() -> None:
    """A topic with a blank, and a server that is named by its IPv6 address."""
    with hook() as found:
        delivery.send(found.address + " of möbius", EVENT)

    assert len(found.received) == 1
    with pytest.raises(delivery.DeliveryError, match="refused"):
        delivery.send("http://[::1]:1/topic", EVENT)


def test_an_address_of_another_kind_needs_apprise() -> None:
    """Without the extra the error names it; with it, Apprise says what it does not know."""
    with pytest.raises(delivery.DeliveryError, match=r"podctl\[notify\]|Apprise"):
        delivery.send("nonsense://x", EVENT)


def test_the_events_of_a_lease() -> None:
    """The end of each run, a question, a budget that is used up; nothing of a run that goes on."""
    running = RunFacts("b-0001", "b", started=True)
    calm = seen(RunFacts("a-0001", "a", outcome="passed"), running)
    spent = seen(running, local=LocalObservation(spent_usd=2.0, cap_usd=1.0))
    question = actions.NeedsOperator("connection-lost", "the pod does not answer", "podctl sync")

    def kinds(observation: Observation, action: actions.Action) -> list[str]:
        return [one.kind for one in events_of("p", observation, action, JobProgress())]

    assert kinds(calm, WAIT) == ["passed"]
    assert kinds(spent, WAIT) == ["budget"]
    assert kinds(seen(running), question) == ["question"]
    assert kinds(seen(RunFacts("a-0001", "a", outcome="time-up")), WAIT) == ["failed"]


def test_the_project_says_what_and_the_environment_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent without both; a missing address is a warning; only PODCTL_NOTIFY… is read."""
    (tmp_path / "podctl.toml").write_text('[notify]\non = ["passed"]\n')
    monkeypatch.delenv("PODCTL_NOTIFY", raising=False)
    project, warned = Project(tmp_path), list[str]()
    project.prepare()
    deliver_waiting(project, warned.append)
    assert warned == ["no notifications: the variable PODCTL_NOTIFY is not set"]
    assert Notifier.of(project, warned.append) is None

    with hook() as web:
        monkeypatch.setenv("PODCTL_NOTIFY", web.address)
        Outbox(tmp_path / ".podctl" / "notifications.json").add(EVENT, ("PODCTL_NOTIFY",))
        deliver_waiting(project, warned.append)
        deliver_waiting(project, warned.append)
    assert len(web.received) == 1
    assert web.address not in PROCESS_REDACTOR(f"to {web.address}")

    (tmp_path / "podctl.toml").write_text('[notify]\non = ["passed"]\nto = ["AWS_SECRET"]\n')
    with pytest.raises(UsageError):
        _ = Project(tmp_path).config
    (tmp_path / "podctl.toml").write_text("")


def test_a_command_that_hangs_ends_before_podctl_does() -> None:
    """Else it would run on for good, and the end of the send would be unknown."""
    assert delivery.SECONDS < CLOSE_SECONDS
