"""Emulated pods as machines: their disks, their first process, their sshd, their end."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import psutil
import pytest

from controller.providers.emulator.container import container as containers
from controller.providers.emulator.container import ssh_keygen as keygen
from controller.providers.emulator.container import sshd
from controller.providers.emulator.container.console_log import ContainerLog
from controller.providers.emulator.container.container import (
    Container,
    ContainerError,
    ContainerSpec,
)

DEADLINE = 20.0  # seconds for anything that should take a few tenths
PROJECT = Path(__file__).resolve().parents[4]
MODES = ("namespace", "userns", "process")
SERVERS = ("openssh", "embedded")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pods are POSIX processes")


def eventually(fact: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not fact():
        assert time.monotonic() < deadline, f"not within {DEADLINE:g} s: {what}"
        time.sleep(0.01)


class Machine:
    """One pod of a test: its spec, its lives, and a client that logs in to it."""

    def __init__(self, root: Path, mode: str, server: str) -> None:
        self.key = paramiko.ECDSAKey.generate()
        self.life: Container | None = None
        public = f"{self.key.get_name()} {self.key.get_base64()} test"
        name = f"pod{os.urandom(5).hex()}"
        self.spec = ContainerSpec(
            pod_id=name,
            root=root / name,
            image="runpod/base",
            args="",
            env={"PUBLIC_KEY": public, "RUNPOD_POD_ID": name, "RUNPOD_ODD": "a 'b\"\n$c"},
            disk_gb=1,
            volume_path=root / f"{name}-volume",
            mount_path="/workspace",
            ssh_port=free_port(),
            mode=mode,
            ssh_server=server,
        )

    @property
    def prefix(self) -> str:
        return self.spec.prefix

    def start(self, args: str = "") -> Container:
        self.life = Container.start(dataclasses.replace(self.spec, args=args))
        return self.life

    def output(self) -> list[str]:
        lines = self.spec.log_path.read_text().splitlines() if self.spec.log_path.exists() else []
        return [line.split(" ", 1)[1] for line in lines]

    def says(self, line: str) -> None:
        eventually(lambda: line in self.output(), f"{line!r} in the container's log")

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.spec.ssh_port or 0)) == 0

    def connect(self) -> paramiko.SSHClient:
        eventually(self.listens, "sshd listens")
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect(
            "127.0.0.1",
            self.spec.ssh_port or 0,
            username=containers.ssh_user(self.spec.mode),
            pkey=self.key,
            look_for_keys=False,
            allow_agent=False,
            timeout=DEADLINE,
        )
        return client

    def run(self, command: str, data: bytes = b"") -> tuple[int, str]:
        """(exit status, stdout) of one command in its own connection."""
        with self.connect() as client:
            stdin, stdout, _ = client.exec_command(command, timeout=DEADLINE)
            stdin.write(data)
            stdin.channel.shutdown_write()
            text = stdout.read().decode()
            return stdout.channel.recv_exit_status(), text

    def path(self, path: str) -> str:
        return self.prefix + path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def runs(text: str) -> list[int]:
    """Living processes of this machine that have `text` in their command line."""
    pids = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if any(text in word for word in words) and process.pid != os.getpid():
            pids.append(process.pid)
    return pids


def need(mode: str) -> None:
    if mode not in containers.available_modes():
        pytest.skip(f"this machine allows no {mode} containers")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    need(request.param)
    return str(request.param)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    try:
        sshd.choose(containers.default_mode(), request.param)
    except ContainerError as error:
        pytest.skip(error.what)
    return str(request.param)


@pytest.fixture
def machine(tmp_path: Path, mode: str) -> Iterator[Machine]:
    """A pod in every mode, with the server that the machine prefers."""
    yield from machines(tmp_path, mode, "auto")


@pytest.fixture
def served(tmp_path: Path, server: str) -> Iterator[Machine]:
    """A pod in the best mode, with either server."""
    yield from machines(tmp_path, containers.default_mode(), server)


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Machine]:
    """A pod in the best mode."""
    yield from machines(tmp_path, containers.default_mode(), "auto")


def machines(tmp_path: Path, mode: str, server: str) -> Iterator[Machine]:
    machine = Machine(tmp_path, mode, server)
    try:
        yield machine
    finally:
        if machine.life is not None:
            machine.life.kill()


def test_volume_survives_and_the_rest_does_not(machine: Machine) -> None:
    """A stop keeps the volume and wipes the container disk: home, /tmp."""
    volume, home = machine.path("/workspace/kept"), machine.path("/root/lost")
    life = machine.start()
    code, where = machine.run(f"echo 1 > {volume}; echo 2 > {home}; cat {volume} {home}; pwd")
    life.kill()
    machine.start()
    _, output = machine.run(f"cat {volume}; ls {home} 2>&1")

    assert (code, where.split()) == (0, ["1", "2", machine.path("/root")])
    assert output.startswith("1\nls: ")


def test_only_the_first_process_has_the_variables(machine: Machine) -> None:
    """`ssh host env` shows no RUNPOD_ variable; an interactive shell reads them all, intact."""
    machine.start()
    machine.says("Start script(s) finished, Pod is ready to use.")
    _, plain = machine.run("env")
    _, shell = machine.run('bash -ic \'printf "%s|%s" "$RUNPOD_POD_ID" "$RUNPOD_ODD"\' 2>/dev/null')
    _, sourced = machine.run(f". {machine.path('/etc/rp_environment')}; env | grep -c PUBLIC_KEY")

    assert "RUNPOD_" not in plain
    assert shell == f"{machine.spec.pod_id}|a 'b\"\n$c"
    assert sourced == "0\n"


def test_a_command_that_replaces_the_start_script_leaves_no_sshd(machine: Machine) -> None:
    """The container command is the first process; sshd is the start script's doing."""
    machine.start("bash -c 'echo \"own $RUNPOD_POD_ID\"; sleep 300; true'")
    machine.says(f"own {machine.spec.pod_id}")

    assert not machine.listens()
    assert machine.output() == [f"own {machine.spec.pod_id}"]


def test_a_command_may_go_on_to_the_start_script(machine: Machine) -> None:
    """A bootstrap that ends in /start.sh is an ordinary pod."""
    machine.start("bash -c 'echo before; exec \"${PODCTL_EMULATED_ROOT-}/start.sh\"'")

    assert machine.run("echo in") == (0, "in\n")
    assert machine.output()[:2] == ["before", "Pod Started"]


def test_log_tells_the_host_keys(machine: Machine) -> None:
    """The fingerprints in the log are those of the server; they are new at every start."""
    machine.start()
    log_lines = []
    for _ in range(2):
        with machine.connect() as client:
            transport = client.get_transport()
            assert transport is not None
            blob = transport.get_remote_server_key().asbytes()
        log_lines.append(base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("="))
        machine.says("Start script(s) finished, Pod is ready to use.")
        if len(log_lines) == 1:
            assert machine.life is not None
            machine.life.kill()
            first = machine.output()
            machine.start()
    second = machine.output()[len(first) :]

    for key, lines in zip(log_lines, (first, second), strict=True):
        at = lines.index("SSH host keys:")
        assert lines[at + 1] == "Key: /etc/ssh/ssh_host_ecdsa_key.pub"
        assert any(f"SHA256:{key} " in line for line in lines[at:])
    assert log_lines[0] != log_lines[1]


def test_kill_leaves_no_process(machine: Machine) -> None:
    """Killing a pod ends what its sessions detached, even without its environment."""
    tag = f"31{int.from_bytes(os.urandom(4), 'big')}"
    machine.start()
    machine.run(
        f"setsid nohup sleep {tag}.1 >/dev/null 2>&1 </dev/null & "
        f"env -i setsid nohup sleep {tag}.2 >/dev/null 2>&1 </dev/null &"
    )
    eventually(lambda: len(runs(tag)) == 2, "both detached processes outlive their session")
    assert machine.life is not None
    machine.life.kill()

    assert runs(tag) == []
    assert not machine.life.running()
    assert not machine.listens()
    assert not any(psutil.pid_exists(pid) for pid in runs(machine.spec.pod_id))


def test_a_killed_supervisor_takes_the_pod_along(machine: Machine) -> None:
    """SIGKILL to the process above: namespaces die with it, the rest is swept by `kill`."""
    tag = f"32{int.from_bytes(os.urandom(4), 'big')}"
    life = machine.start()
    machine.run(f"setsid nohup sleep {tag} >/dev/null 2>&1 </dev/null &")
    os.kill(life.pid, signal.SIGKILL)
    eventually(lambda: not life.running(), "the life is over")
    if machine.spec.mode == "process":
        life.kill()

    eventually(lambda: not runs(tag) and not machine.listens(), "nothing is left")


def test_stop_asks_the_first_process_first(machine: Machine) -> None:
    """A first process that handles SIGTERM has its say before the end."""
    life = machine.start(
        "bash -c 'trap \"echo bye; exit 0\" TERM; echo up; while :; do sleep 0.02; done'"
    )
    machine.says("up")
    life.stop(DEADLINE)

    assert not life.running()
    assert machine.output()[-1] == "bye"


def test_stop_does_not_wait_for_ever(plain: Machine) -> None:
    """The start script's `sleep infinity` heeds no SIGTERM where it is process 1."""
    life = plain.start()
    plain.says("Start script(s) finished, Pod is ready to use.")
    start = time.monotonic()
    life.stop(0.2)

    assert not life.running()
    assert time.monotonic() - start < DEADLINE / 2


def test_the_first_process_ends_the_life(machine: Machine) -> None:
    """When the command exits, the container is over, with what it left behind."""
    tag = f"33{int.from_bytes(os.urandom(4), 'big')}"
    life = machine.start(f"bash -c 'setsid sleep {tag} & echo done'")

    assert life.wait(DEADLINE)
    assert machine.output() == ["done"]
    assert runs(tag) == []


def test_a_command_that_is_not_there_is_told_in_the_log(plain: Machine) -> None:
    """A command that cannot be started is a life that ends, not an error of the emulator."""
    life = plain.start("no-such-program --really")

    assert life.wait(DEADLINE)
    assert plain.output() == ["exec: 'no-such-program': No such file or directory"]


def test_attach_after_the_starter_is_gone(machine: Machine) -> None:
    """A pod outlives the emulator, which finds it again by process id and start time."""
    document = {**dataclasses.asdict(machine.spec)}
    document |= {"root": str(machine.spec.root), "volume_path": str(machine.spec.volume_path)}
    script = (
        "import json, pathlib, sys\n"
        "from controller.providers.emulator.container.container import Container, ContainerSpec\n"
        "spec = json.load(sys.stdin)\n"
        "spec |= {name: pathlib.Path(spec[name]) for name in ('root', 'volume_path')}\n"
        "print(Container.start(ContainerSpec(**spec)).pid)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )
    life = machine.life = Container.attach(machine.spec, int(done.stdout))

    assert life is not None
    assert Container.attach(machine.spec, os.getpid()) is None
    assert machine.run("echo still") == (0, "still\n")
    life.kill()
    assert not life.running()
    assert Container.attach(machine.spec, life.pid) is None


def test_the_pod_sees_its_own_machine(tmp_path: Path, mode: str) -> None:
    """With namespaces the host's files and processes are out of sight; its Python is not."""
    if mode == "process":
        pytest.skip("a plain process tree shares the host's view")
    secret = tmp_path / "secret"
    secret.write_text("host")
    mounts = Path("/proc/self/mountinfo").read_text()
    for machine in machines(tmp_path, mode, "auto"):
        machine.start()
        _, output = machine.run(
            f"ls {secret} 2>/dev/null; id -un; hostname; ls /start.sh; touch /usr/x 2>/dev/null; "
            "ls -d /proc/[0-9]* | wc -l; python3 -c 'import sys, psutil; print(sys.prefix)'"
        )
        during = Path("/proc/self/mountinfo").read_text()

        name, host, start, processes, prefix = output.split()
        assert (name, host, start) == ("root", machine.spec.pod_id, "/start.sh")
        assert int(processes) < 20
        assert prefix == sys.prefix
        assert during == mounts


def test_the_pods_own_name_resolves(tmp_path: Path, mode: str) -> None:
    """As Docker writes it into /etc/hosts: launchers of several processes meet under it."""
    if mode == "process":
        pytest.skip("a plain process tree has the host's name")
    for machine in machines(tmp_path, mode, "auto"):
        machine.start()
        script = "import socket as s; print(s.gethostname(), s.gethostbyname(s.gethostname()))"
        _, output = machine.run(f'python3 -c "{script}"; cat /etc/hostname; getent hosts localhost')

        assert output.split()[:3] == [machine.spec.pod_id, "127.0.0.1", machine.spec.pod_id]
        assert "localhost" in output


def test_exec_as_a_client_expects(served: Machine) -> None:
    """Input, both outputs, large outputs, exit status: the same from either server."""
    served.start()

    assert served.run("cat; exit 7", b"hello") == (7, "hello")
    with served.connect() as client:
        _, stdout, stderr = client.exec_command("echo no >&2; head -c 3000000 /dev/zero")
        assert len(stdout.read()) == 3_000_000
        assert stderr.read() == b"no\n"
        assert stdout.channel.recv_exit_status() == 0


def test_sftp_round_trip(served: Machine, tmp_path: Path) -> None:
    """Files go and come over SFTP; relative names are in the pod's home."""
    data = os.urandom(1_500_000)
    (tmp_path / "out").write_bytes(data)
    served.start()
    with served.connect() as client, client.open_sftp() as sftp:
        sftp.put(str(tmp_path / "out"), "there")
        sftp.posix_rename("there", "moved")
        sftp.get(served.path("/root/moved"), str(tmp_path / "back"))
        names = sftp.listdir(".")

    assert (tmp_path / "back").read_bytes() == data
    assert "moved" in names


def test_shell_has_a_terminal(served: Machine) -> None:
    """A login without a command is a shell on a terminal of the asked size, with the variables."""
    served.start()
    served.says("Start script(s) finished, Pod is ready to use.")
    with served.connect() as client:
        channel = client.invoke_shell(width=91, height=33)
        channel.settimeout(DEADLINE)
        channel.sendall(b"stty size; tty; echo pod=$RUNPOD_POD_ID; exit 4\n")
        text = b""
        while data := channel.recv(65536):
            text += data

        assert channel.recv_exit_status() == 4
    assert b"33 91" in text
    assert b"/dev/pts/" in text
    assert f"pod={served.spec.pod_id}".encode() in text


def test_no_key_no_entry(served: Machine) -> None:
    """A key that is not in PUBLIC_KEY does not log in."""
    served.start()
    eventually(served.listens, "sshd listens")
    served.key = paramiko.ECDSAKey.generate()

    with pytest.raises(paramiko.AuthenticationException):
        served.connect()


def test_no_public_key_no_sshd(plain: Machine) -> None:
    """Without PUBLIC_KEY the start script brings no sshd up."""
    env = {name: value for name, value in plain.spec.env.items() if name != "PUBLIC_KEY"}
    plain.spec = dataclasses.replace(plain.spec, env=env)
    plain.start()
    plain.says("Start script(s) finished, Pod is ready to use.")

    assert not plain.listens()


@pytest.mark.parametrize("path", ["workspace", "/", "/../etc", "/a/../../b"])
def test_mount_paths_stay_in_the_pod(plain: Machine, path: str) -> None:
    """A mount path that leads out of the pod is refused before anything is written."""
    plain.spec = dataclasses.replace(plain.spec, mount_path=path)

    with pytest.raises(ContainerError):
        plain.start()
    assert not plain.spec.root.exists()


def test_sshd_listens_soon(plain: Machine) -> None:
    """From start to a listening sshd takes about a second at most, on a busy machine too."""
    took = []
    for _ in range(3):
        start = time.monotonic()
        life = plain.start()
        eventually(plain.listens, "sshd listens")
        took.append(time.monotonic() - start)
        life.kill()

    assert min(took) < 2.0


def test_host_keys_without_ssh_keygen(tmp_path: Path) -> None:
    """Where there is no ssh-keygen, its stand-in makes keys that load, and tells the same line."""
    for kind in ("ed25519", "ecdsa"):
        keygen.make(kind, str(tmp_path / kind), "root@pod")
        public = (tmp_path / f"{kind}.pub").read_text()
        loaded = paramiko.PKey.from_path(tmp_path / kind)

        assert loaded.get_base64() == public.split()[1]
        assert keygen.fingerprint(public) == f"256 {loaded.fingerprint} root@pod ({kind.upper()})"


def test_log_is_bounded(tmp_path: Path) -> None:
    """Long lines are cut, a long log starts anew, and every line has its time."""
    log = ContainerLog(tmp_path / "log")
    before = time.time_ns()
    log.write(b"x" * 40_000 + b"\nlast")
    log.close()
    lines = (tmp_path / "log").read_bytes().splitlines()
    sizes = [len(line.split(b" ", 1)[1]) for line in lines]
    log = ContainerLog(tmp_path / "log")
    for _ in range(40):
        log.write(b"y" * 1_000_000 + b"\n")
    log.close()

    assert sizes == [16384, 16384, 7232, 4]
    assert all(before <= int(line.split(b" ", 1)[0]) <= time.time_ns() for line in lines)
    assert (tmp_path / "log").stat().st_size < 18_000_000
    assert (tmp_path / "log.1").stat().st_size < 18_000_000
