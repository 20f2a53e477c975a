"""The pod's SSH server: OpenSSH where it can run, else the embedded one.

Both listen on 127.0.0.1 at the port that represents the public mapping of 22, use the same host
keys and the same authorized_keys, and are started by the image's start script.
"""

from __future__ import annotations

import functools
import grp
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from controller.credentials.secret import for_children
from controller.providers.emulator.container import image
from controller.providers.emulator.container.spec import ContainerError

_EMBEDDED = Path(__file__).with_name("embedded_sshd.py")
_HOST_KEYS = ("ssh_host_ed25519_key", "ssh_host_ecdsa_key")


@dataclass(frozen=True)
class ServerPaths:
    """Paths and port of a pod's server. `prefix` precedes the pod's paths; "" with its own root."""

    disk: Path  # path on the host
    prefix: str
    home: str  # path in the pod, like the following
    user: str
    port: int
    session_env: dict[str, str]


def user(mode: str) -> str:
    """Who logs in: root as on the real image, unless the host's own accounts have to serve."""
    if mode != "process":
        return "root"
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "root"  # an account without a name gets the embedded server, which accepts it


def openssh() -> str | None:
    """The path of OpenSSH's server; None if this machine has none."""
    path = shutil.which("sshd") or "/usr/sbin/sshd"
    return path if os.access(path, os.X_OK) else None


def choose(mode: str, server: str) -> str:
    """ "openssh" or "embedded" for a container mode; `wanted` may be "auto"."""
    possible = openssh() is not None and (mode != "process" or _host_allows_openssh())
    if server == "openssh" and not possible:
        raise ContainerError(f"OpenSSH's server cannot run here in mode {mode!r}")
    return "openssh" if possible and server != "embedded" else "embedded"


def _host_allows_openssh() -> bool:
    """Whether OpenSSH can use the host's accounts and terminals for a pod without its own."""
    try:
        pwd.getpwuid(os.geteuid())
        if os.geteuid() == 0:
            return bool(pwd.getpwnam("sshd")) and os.path.isdir("/run/sshd")
    except KeyError:
        return False
    return _terminals_have_their_group()


def _terminals_have_their_group() -> bool:
    """Whether terminals belong to the group `tty`, which sshd cannot change without root."""
    master, slave = os.openpty()
    try:
        return os.fstat(slave).st_gid == grp.getgrnam("tty").gr_gid
    except KeyError:
        return True
    finally:
        os.close(master)
        os.close(slave)


def install(server: str, paths: ServerPaths) -> None:
    """Write the server's configuration and the service that the start script starts."""
    if server == "openssh":
        _install_openssh(paths)
    else:
        _install_embedded(paths)


def _install_openssh(paths: ServerPaths) -> None:
    config = f"{paths.prefix}/etc/ssh/sshd_config"
    (paths.disk / "etc/ssh/sshd_config").write_text(_openssh_config(paths))
    log = f"{paths.prefix}/var/log/sshd.log"
    command = shlex.join([openssh() or "sshd", "-f", config, "-E", log])
    if paths.prefix:  # not a daemon, so that it stays in the container's session and can be ended
        command += " -D </dev/null >/dev/null 2>&1 &"
    image.write_service(paths.disk, command)


def _openssh_config(paths: ServerPaths) -> str:
    variables = " ".join(f'"{name}={value}"' for name, value in paths.session_env.items())
    lines = [
        f"Port {paths.port}",
        "ListenAddress 127.0.0.1",
        *(f'HostKey "{paths.prefix}/etc/ssh/{name}"' for name in _HOST_KEYS),
        f'AuthorizedKeysFile "{paths.home}/.ssh/authorized_keys"',
        "AuthenticationMethods publickey",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "StrictModes no",  # the disk may lie below a world-writable folder such as /tmp
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "PidFile none",
        "MaxStartups 200",
        "MaxSessions 200",
        "X11Forwarding no",
        f'Subsystem sftp internal-sftp -d "{paths.home}"',
        f"SetEnv {variables}",
    ]
    if _openssh_version() >= (9, 8):
        lines.append("PerSourcePenalties no")  # every client comes from 127.0.0.1
    if paths.prefix:
        lines.append(f'ForceCommand /bin/sh "{paths.prefix}/etc/ssh/session"')
        (paths.disk / "etc/ssh/session").write_text(_session_script(paths))
    return "\n".join(lines) + "\n"


def _session_script(paths: ServerPaths) -> str:
    """A script that starts sessions in the pod's home if it has no file system of its own."""
    sftp = next((path for path in _sftp_servers() if os.access(path, os.X_OK)), "sftp-server")
    return f"""cd {shlex.quote(paths.home)}
command=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND
case "$command" in
internal-sftp*) exec {sftp} -d {shlex.quote(paths.home)} ;;
"") exec {image.shell()} -l ;;
*) exec {image.shell()} -c "$command" ;;
esac
"""


def _sftp_servers() -> tuple[str, ...]:
    folders = ("/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec")
    return tuple(f"{folder}/sftp-server" for folder in folders)


@functools.cache
def _openssh_version() -> tuple[int, int]:
    """The version by the client's -V, because older servers lack the option."""
    client = shutil.which("ssh")
    if client is None:
        return (0, 0)
    done = subprocess.run(
        [client, "-V"], env=for_children(), capture_output=True, text=True, timeout=10, check=False
    )
    match = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stderr)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install_embedded(paths: ServerPaths) -> None:
    folder = f"{paths.prefix}/etc/ssh"
    settings = {
        "port": paths.port,
        "user": paths.user,
        "home": paths.home,
        "shell": image.shell(),
        "env": paths.session_env,
        "host_keys": [f"{folder}/{name}" for name in _HOST_KEYS],
        "authorized_keys": f"{paths.home}/.ssh/authorized_keys",
    }
    (paths.disk / "etc/ssh/embedded.json").write_text(json.dumps(settings))
    # A copy: the pod sees the emulator's Python, not the emulator.
    shutil.copyfile(_EMBEDDED, paths.disk / "etc/ssh/embedded.py")
    command = [sys.executable, f"{folder}/embedded.py", f"{folder}/embedded.json"]
    log = shlex.quote(f"{paths.prefix}/var/log/sshd.log")
    image.write_service(paths.disk, f"{shlex.join(command)} </dev/null >>{log} 2>&1 &")
