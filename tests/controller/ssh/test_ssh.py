"""One connection to a pod, against a real sshd."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from controller.errors import ConnectionLost, UsageError
from controller.providers.base import Endpoint
from controller.ssh.command_line import command_line
from controller.ssh.host_keys import HostKeyMismatch, PinnedKeys, ensure_key
from controller.ssh.session import AuthRefused, Session, Timing
from controller.ssh.ssh_config import SshEntry, write_ssh_config
from controller.ssh.stream import CommandFailed, CommandTimeout, SessionRefused, Unreachable
from tests.support.emulated_cloud import until
from tests.support.sshd_server import QUICK, Server, free_port, needs_sshd, new_host_key, sshd
from tests.support.tcp_proxy import Proxy
from tests.support.unresponsive_sshd import deaf_sshd

pytestmark = needs_sshd


def test_status_and_both_outputs_come_back(session: Session) -> None:
    """A command's status, stdout and stderr are told apart."""
    result = session.run(["sh", "-c", "echo out; echo err >&2; exit 3"])

    assert (result.status, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_arguments_arrive_as_given(session: Session) -> None:
    """No argument is ever interpreted by the remote shell."""
    words = ["a b", "$HOME", "`id`", "'\"", "", "*", "line\nbreak", "é→"]

    result = session.run(["python3", "-S", "-c", "import sys; print(sys.argv[1:])", *words])

    assert result.stdout.decode() == f"{words}\n"


def test_folder_and_environment_reach_the_command(session: Session, tmp_path: Path) -> None:
    """`cwd` and `env` hold for that command only, whatever characters they have."""
    (folder := tmp_path / "it's a folder").mkdir()

    result = session.run(["sh", "-c", 'pwd; echo "$X"'], cwd=str(folder), env={"X": "a 'b' $c"})

    assert result.stdout.decode() == f"{folder}\na 'b' $c\n"


def test_a_missing_folder_is_a_failed_command(session: Session) -> None:
    """A command whose folder is missing is not run somewhere else."""
    result = session.run(["touch", "x"], cwd="/no/such/folder")

    assert result.status != 0


def test_large_stdin_and_stdout_do_not_block_each_other(session: Session) -> None:
    """12 MB go in and come out of one command, both ways at once."""
    data = bytes(range(256)) * (12 * 4096)

    result = session.run(["cat"], stdin=data)

    assert result.stdout == data


def test_output_over_the_cap_is_cut_not_kept(session: Session) -> None:
    """Too much costs the cap in memory, and one can see that it was cut."""
    result = session.run(["head", "-c", "1000000", "/dev/zero"], cap=1000)

    assert (result.status, len(result.stdout), result.truncated) == (0, 1000, True)


def test_output_without_an_end_in_sight_is_a_failure(session: Session) -> None:
    """A flood is not read for as long as the pod likes; the connection serves on."""
    with pytest.raises(CommandFailed, match="more output than expected"):
        session.run(["cat", "/dev/zero"], cap=1000)

    assert session.run(["true"]).status == 0


def test_a_command_that_does_not_end_is_left(session: Session) -> None:
    """The deadline of one command ends the waiting, not the connection."""
    start = time.monotonic()

    with pytest.raises(CommandTimeout):
        session.run(["sleep", "30"], deadline_seconds=0.5)

    assert time.monotonic() - start < 5
    assert session.run(["true"]).status == 0


def test_a_signalled_command_has_no_status(session: Session) -> None:
    """A command ended by a signal is told from a lost connection."""
    assert session.run(["sh", "-c", "kill -9 $$"]).status == -1


def test_the_emulated_root_is_read_from_the_pod(server: Server, session: Session) -> None:
    """The prefix of absolute paths comes from the pod and reaches the layout."""
    assert session.root == str(server.root)
    assert str(session.layout().root) == f"{server.root}/workspace/podctl"


def test_a_sibling_is_a_connection_of_its_own(session: Session) -> None:
    """Closing one connection leaves the other standing."""
    with session.sibling() as other:
        assert other.run(["echo", "hi"]).stdout == b"hi\n"

    assert session.run(["true"]).status == 0


def test_row_46_nobody_listening_is_unreachable_after_the_deadline(server: Server) -> None:
    """A refused connection is tried again until the deadline, then it is the network's fault."""
    start = time.monotonic()

    with pytest.raises(Unreachable) as caught:
        Session.connect(
            Endpoint("127.0.0.1", free_port(), "root"),
            server.key.path,
            server.pins(),
            deadline_seconds=1,
            timing=QUICK,
        )

    assert 0.9 < time.monotonic() - start < 6
    assert caught.value.symptom == "refused"


def test_row_52_a_silent_listener_is_unreachable(server: Server) -> None:
    """A peer that accepts and never greets is given up within the deadline."""
    with Proxy(server.endpoint.port) as proxy:
        proxy.hole = True
        with pytest.raises(Unreachable) as caught:
            Session.connect(
                Endpoint("127.0.0.1", proxy.port, "root"),
                server.key.path,
                server.pins(),
                deadline_seconds=1,
                timing=Timing(attempt_seconds=0.7),
            )
    assert caught.value.symptom == "no-banner"


def test_row_46_an_sshd_that_comes_late_is_waited_for(server: Server) -> None:
    """A pod that is still booting is reached as soon as it answers."""
    with Proxy(server.endpoint.port) as proxy:
        proxy.refuse = True
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            proxy.refuse = len(waits) < 3

        with Session.connect(
            Endpoint("127.0.0.1", proxy.port, server.endpoint.user),
            server.key.path,
            server.pins(),
            sleep=wait,
        ) as late:
            assert late.alive

    assert len(waits) == 3
    assert waits[0] < waits[2]


def test_row_52_a_foreign_key_is_refused(server: Server, tmp_path: Path) -> None:
    """sshd's refusal of our key is said at once and as what it is."""
    key = ensure_key(tmp_path)

    with pytest.raises(AuthRefused):
        Session.connect(server.endpoint, key.path, server.pins())


def test_an_unreadable_key_is_said(server: Server, tmp_path: Path) -> None:
    """A broken key of ours is not blamed on the network."""
    (broken := tmp_path / "id_ed25519").write_text("no key")

    with pytest.raises(AuthRefused, match="podctl's SSH key"):
        Session.connect(server.endpoint, broken, server.pins())


def test_row_50_a_changed_host_key_is_an_error(tmp_path: Path) -> None:
    """Another key at the pinned pod's address ends the attempt before we say who we are."""
    with sshd(tmp_path) as server:
        server.connect().close()
    new_host_key(tmp_path)
    with sshd(tmp_path) as server, pytest.raises(HostKeyMismatch):
        server.connect()

    assert "Accepted publickey" not in (tmp_path / "sshd.log").read_text().split("listening")[-1]


def test_row_49_a_key_from_the_log_replaces_the_pinned_one(tmp_path: Path) -> None:
    """After a restart the container log authenticates the new host key."""
    with sshd(tmp_path) as server:
        server.connect().close()
    new_host_key(tmp_path)
    with sshd(tmp_path) as server:
        printed = server.fingerprint().split()[1]
        pins = PinnedKeys(server.pins().store, "pod1", [printed])
        with Session.connect(server.endpoint, server.key.path, pins) as session:
            assert session.run(["true"]).status == 0
        server.connect().close()  # and is pinned from then on


def test_row_44_a_cut_says_unreachable(server: Server) -> None:
    """A connection cut under a running command is told from that command's end."""
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        with session.stream(["sh", "-c", "echo ready; sleep 20"]) as stream:
            assert stream.line() == b"ready"
            proxy.cut()
            with pytest.raises(Unreachable):
                stream.line()

        assert not session.alive
        with pytest.raises(ConnectionLost):
            session.run(["true"])


def test_row_45_a_black_hole_is_noticed(server: Server) -> None:
    """A link that swallows bytes is given up after the keepalive's time, without any traffic."""
    timing = Timing(alive_seconds=0.25, alive_count=4)
    with (
        Proxy(server.endpoint.port) as proxy,
        server.connect(proxy.port, timing) as session,
        session.stream(["sh", "-c", "echo ready; sleep 20"]) as stream,
    ):
        assert stream.line() == b"ready"
        proxy.hole = True
        start = time.monotonic()
        with pytest.raises(Unreachable, match="lost"):
            stream.line()

    assert 0.5 < time.monotonic() - start < 3


def test_an_idle_connection_stays(server: Server) -> None:
    """A silent but healthy peer answers the keepalive and is kept."""
    timing = Timing(alive_seconds=0.1, alive_count=3)
    with server.connect(timing=timing) as session:
        assert session.run(["sleep", "1.2"]).status == 0
        assert session.alive


def test_row_45_the_default_keepalive_is_under_a_minute() -> None:
    """The product's own numbers notice a black hole within 60 seconds."""
    timing = Timing()

    assert timing.alive_seconds * timing.alive_count <= 60


# Of a whole session: greeting, key exchange, authentication, data; as shares of its bytes.
@pytest.mark.parametrize("place", ["greeting", "key exchange", "authentication", "data"])
@pytest.mark.parametrize("way", ["down", "up"])
def test_row_43_a_flipped_bit_ends_the_connection(server: Server, way: str, place: str) -> None:
    """A corrupted byte at any time, in either direction, is never taken for data, for a refusal or
    for another pod: that connection ends, and the next one is right."""
    with Proxy(server.endpoint.port) as proxy, server.connect(proxy.port) as session:
        whole = getattr(proxy, way)
        at = {"greeting": 5, "key exchange": whole // 2, "authentication": whole - 60}
        attribute = "flip_at" if way == "down" else "flip_up_at"
        if place == "data":
            setattr(proxy, attribute, whole + 100_000)
            with pytest.raises(Unreachable):
                session.run(["cat"], stdin=bytes(1_000_000))
        else:
            setattr(proxy, attribute, whole + at[place])
            proxy.cut()
        with server.connect(proxy.port) as again:  # refused or unreachable would end it
            assert again.run(["echo", "hi"]).stdout == b"hi\n"

    assert getattr(proxy, attribute) is None  # the bit was flipped


def test_row_52_a_cut_while_we_prove_who_we_are_is_the_networks(server: Server) -> None:
    """A connection that ends, or falls silent, during authentication is no refusal of our key."""
    quick = Timing(attempt_seconds=1.5, first_wait=0.05, longest_wait=0.1)
    with Proxy(server.endpoint.port) as proxy:
        server.connect(proxy.port).close()
        before_the_last_word = proxy.down - 60
        for silent in (False, True):
            proxy.cut_at = proxy.down + before_the_last_word
            proxy.hole_at_cut = silent
            with pytest.raises(Unreachable):
                Session.connect(
                    Endpoint("127.0.0.1", proxy.port, server.endpoint.user),
                    server.key.path,
                    server.pins(),
                    deadline_seconds=0.01,
                    timing=quick,
                )
            assert proxy.cut_at is None  # it came as far as that
            proxy.hole = False


def test_row_52_an_sshd_that_opens_no_more_sessions(tmp_path: Path) -> None:
    """MaxSessions is told as what it is: the connection stands, and serves again later."""
    with sshd(tmp_path, more="MaxSessions 1\n") as server, server.connect() as session:
        with session.stream(["cat"]) as first:
            with pytest.raises(SessionRefused, match="no more sessions"):
                session.run(["true"])
            first.send(b"still here\n")
            first.end()
            line = first.line()

        def again() -> bool:
            try:
                return session.run(["true"]).status == 0
            except SessionRefused:  # sshd has not noticed the end of the first one
                return False

        until(again, 60)

        assert line == b"still here"
        assert session.alive


def test_row_52_an_sshd_that_starts_nothing_and_stays_alive_is_given_up(tmp_path: Path) -> None:
    """It opens channels, answers keepalives and no exec: the command's deadline ends the wait."""
    timing = Timing(alive_seconds=0.2, alive_count=4)
    with (
        deaf_sshd() as endpoint,
        Session.connect(
            endpoint,
            ensure_key(tmp_path).path,
            PinnedKeys(tmp_path / "known_hosts", "pod1"),
            timing=timing,
        ) as session,
    ):
        start = time.monotonic()
        with pytest.raises(CommandTimeout, match="did not start a command"):
            session.run(["true"], deadline_seconds=2)
        taken = time.monotonic() - start

        assert 1.5 < taken < 15
        assert session.alive  # by the keepalive, which was answered all along


def test_row_46_resets_are_met_with_growing_waits(server: Server) -> None:
    """A peer that resets every connection is tried again, ever more seldom, until the deadline."""
    waits: list[float] = []
    now = [0.0]

    def wait(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    with Proxy(server.endpoint.port) as proxy:
        proxy.refuse = proxy.reset = True
        with pytest.raises(Unreachable):
            Session.connect(
                Endpoint("127.0.0.1", proxy.port, "root"),
                server.key.path,
                server.pins(),
                deadline_seconds=30,
                clock=lambda: now[0],
                sleep=wait,
            )

    assert 8 <= len(waits) <= 16
    assert waits[0] < 0.5
    assert max(waits) > 3
    assert sum(waits) == pytest.approx(30)


def test_no_agent_is_ever_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's agent is not spoken to, neither by us nor by ssh with our configuration."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.setblocking(False)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        server.connect().close()
        pins = server.pins()
        entry = SshEntry("podctl-x", server.endpoint, pins.alias, server.key.path, pins.store)
        write_ssh_config(tmp_path / "config", [entry])
        if ssh := shutil.which("ssh"):
            argv = [ssh, "-F", str(tmp_path / "config"), "-n", "podctl-x", "true"]
            assert subprocess.run(argv, timeout=60, check=False).returncode == 0
        with pytest.raises(BlockingIOError):
            agent.accept()


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "", "a b", "h;id"])
def test_an_address_that_is_none_is_refused(server: Server, host: str) -> None:
    """An address from the provider is looked at before it is used."""
    with pytest.raises(UsageError):
        Session.connect(Endpoint(host, 22, "root"), server.key.path, server.pins())


def test_quoting_is_in_one_place() -> None:
    """Folder, environment and arguments are quoted for a POSIX shell."""
    line = command_line(["a b", "c"], "/x y", {"K": "v w"})

    assert line == "cd '/x y' && exec env 'K=v w' 'a b' c"
