"""The pod's SSH server: OpenSSH where it can run, else the embedded one.

Both listen on 127.0.0.1 at the port that stands for the public mapping of 22, take the same host
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
class Site:
    """Where a pod's server runs. `prefix` stands before the pod's paths; "" is its own root."""

    disk: Path  # as the host sees it
    prefix: str
    home: str  # as the pod sees it, like what follows
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
        return "root"  # an account without a name gets the embedded server, which does not mind


def openssh() -> str | None:
    """The path of OpenSSH's server, if this machine has one."""
    found = shutil.which("sshd") or "/usr/sbin/sshd"
    return found if os.access(found, os.X_OK) else None


def choose(mode: str, wanted: str) -> str:
    """ "openssh" or "embedded" for a container mode; `wanted` may be "auto"."""
    possible = openssh() is not None and (mode != "process" or _host_allows_openssh())
    if wanted == "openssh" and not possible:
        raise ContainerError(f"OpenSSH's server cannot run here in mode {mode!r}")
    return "openssh" if possible and wanted != "embedded" else "embedded"


def _host_allows_openssh() -> bool:
    """Whether the host's own accounts and terminals serve where the pod has none of its own."""
    try:
        pwd.getpwuid(os.geteuid())
        if os.geteuid() == 0:
            return bool(pwd.getpwnam("sshd")) and os.path.isdir("/run/sshd")
    except KeyError:
        return False
    return _terminals_have_their_group()


def _terminals_have_their_group() -> bool:
    """Without root, sshd cannot give a terminal to the group `tty`: it must have it already."""
    master, slave = os.openpty()
    try:
        return os.fstat(slave).st_gid == grp.getgrnam("tty").gr_gid
    except KeyError:
        return True
    finally:
        os.close(master)
        os.close(slave)


def install(server: str, site: Site) -> None:
    """Write the configuration and the service that the start script starts."""
    if server == "openssh":
        _install_openssh(site)
    else:
        _install_embedded(site)


def _install_openssh(site: Site) -> None:
    config = f"{site.prefix}/etc/ssh/sshd_config"
    (site.disk / "etc/ssh/sshd_config").write_text(_openssh_config(site))
    log = f"{site.prefix}/var/log/sshd.log"
    command = shlex.join([openssh() or "sshd", "-f", config, "-E", log])
    if site.prefix:  # not a daemon: in the container's session it can be found and ended
        command += " -D </dev/null >/dev/null 2>&1 &"
    image.write_service(site.disk, command)


def _openssh_config(site: Site) -> str:
    variables = " ".join(f'"{name}={value}"' for name, value in site.session_env.items())
    lines = [
        f"Port {site.port}",
        "ListenAddress 127.0.0.1",
        *(f'HostKey "{site.prefix}/etc/ssh/{name}"' for name in _HOST_KEYS),
        f'AuthorizedKeysFile "{site.home}/.ssh/authorized_keys"',
        "AuthenticationMethods publickey",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "UsePAM no",
        "StrictModes no",  # the disk may lie below a folder that others may write, such as /tmp
        "UseDNS no",
        "PrintMotd no",
        "PrintLastLog no",
        "PidFile none",
        "MaxStartups 200",
        "MaxSessions 200",
        "X11Forwarding no",
        f'Subsystem sftp internal-sftp -d "{site.home}"',
        f"SetEnv {variables}",
    ]
    if _openssh_version() >= (9, 8):
        lines.append("PerSourcePenalties no")  # every client comes from 127.0.0.1
    if site.prefix:
        lines.append(f'ForceCommand /bin/sh "{site.prefix}/etc/ssh/session"')
        (site.disk / "etc/ssh/session").write_text(_session_script(site))
    return "\n".join(lines) + "\n"


def _session_script(site: Site) -> str:
    """Sessions without a file system of their own begin in the pod's home, not the user's."""
    sftp = next((path for path in _sftp_servers() if os.access(path, os.X_OK)), "sftp-server")
    return f"""cd {shlex.quote(site.home)}
command=$SSH_ORIGINAL_COMMAND
unset SSH_ORIGINAL_COMMAND
case "$command" in
internal-sftp*) exec {sftp} -d {shlex.quote(site.home)} ;;
"") exec {image.shell()} -l ;;
*) exec {image.shell()} -c "$command" ;;
esac
"""


def _sftp_servers() -> tuple[str, ...]:
    folders = ("/usr/lib/openssh", "/usr/libexec/openssh", "/usr/lib/ssh", "/usr/libexec")
    return tuple(f"{folder}/sftp-server" for folder in folders)


@functools.cache
def _openssh_version() -> tuple[int, int]:
    """From the client's -V: the server of older releases has no such option."""
    client = shutil.which("ssh")
    if client is None:
        return (0, 0)
    done = subprocess.run(
        [client, "-V"], env=for_children(), capture_output=True, text=True, timeout=10, check=False
    )
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stderr)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install_embedded(site: Site) -> None:
    folder = f"{site.prefix}/etc/ssh"
    settings = {
        "port": site.port,
        "user": site.user,
        "home": site.home,
        "shell": image.shell(),
        "env": site.session_env,
        "host_keys": [f"{folder}/{name}" for name in _HOST_KEYS],
        "authorized_keys": f"{site.home}/.ssh/authorized_keys",
    }
    (site.disk / "etc/ssh/embedded.json").write_text(json.dumps(settings))
    # A copy: the pod sees the emulator's Python, not the emulator.
    shutil.copyfile(_EMBEDDED, site.disk / "etc/ssh/embedded.py")
    command = [sys.executable, f"{folder}/embedded.py", f"{folder}/embedded.json"]
    log = shlex.quote(f"{site.prefix}/var/log/sshd.log")
    image.write_service(site.disk, f"{shlex.join(command)} </dev/null >>{log} 2>&1 &")
