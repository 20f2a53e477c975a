"""A real OpenSSH server on a free loopback port, with keys of its own, for one test."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.providers.base import Endpoint
from controller.ssh.host_keys import KeyPair, PinnedKeys, ensure_key
from controller.ssh.session import Session, Timing

SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="no OpenSSH server on this machine")
QUICK = Timing(attempt_seconds=5, alive_seconds=15, first_wait=0.05, longest_wait=0.5)


@dataclass
class Server:
    """Where it listens and how to come in. `root` is the emulated pod's file system."""

    folder: Path
    endpoint: Endpoint
    key: KeyPair
    root: Path

    def fingerprint(self) -> str:
        shown = subprocess.run(
            ["ssh-keygen", "-lf", str(self.folder / "host_ed25519.pub")],
            check=True,
            capture_output=True,
            text=True,
        )
        return shown.stdout

    def pins(self) -> PinnedKeys:
        return PinnedKeys(self.folder / "client" / "known_hosts", "pod1")

    def connect(self, port: int | None = None, timing: Timing = QUICK) -> Session:
        endpoint = Endpoint(self.endpoint.host, port or self.endpoint.port, self.endpoint.user)
        return Session.connect(
            endpoint, self.key.path, self.pins(), deadline_seconds=15, timing=timing
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_host_key(folder: Path) -> Path:
    path = folder / "host_ed25519"
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "root@pod", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


@contextmanager
def sshd(folder: Path, port: int | None = None, more: str = "") -> Iterator[Server]:
    """Serve until the block ends; the host key of `folder` is kept if there is one.

    `more` is added to sshd's configuration.
    """
    assert SSHD is not None
    folder.mkdir(parents=True, exist_ok=True)
    host_key = folder / "host_ed25519"
    if not host_key.exists():
        new_host_key(folder)
    (folder / "client").mkdir(mode=0o700, exist_ok=True)
    key = ensure_key(folder / "client")
    (folder / "authorized_keys").write_text(key.public + "\n")
    (root := folder / "pod").mkdir(exist_ok=True)
    port = port or free_port()
    (folder / "sshd_config").write_text(_config(folder, host_key, port, root) + more)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = (folder / "sshd.log").open("ab")
    command = [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")]
    process = subprocess.Popen(command, stderr=log)
    try:
        _await_banner(port, process)
        yield Server(folder, Endpoint("127.0.0.1", port, getpass.getuser()), key, root)
    finally:
        process.terminate()
        process.wait(10)
        log.close()


def _config(folder: Path, host_key: Path, port: int, root: Path) -> str:
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f'HostKey "{host_key}"',
        f'AuthorizedKeysFile "{folder}/authorized_keys"',
        "StrictModes no",
        "UsePAM no" if os.geteuid() == 0 else "",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        f'PidFile "{folder}/sshd.pid"',
        "MaxStartups 100",
        "Subsystem sftp internal-sftp",
        f'SetEnv "PODCTL_EMULATED_ROOT={root}"',
    ]
    return "\n".join(lines) + "\n"


def _await_banner(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
                if probe.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"sshd did not come up (status {process.poll()})")
