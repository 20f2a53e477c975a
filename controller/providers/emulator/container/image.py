"""The emulated image: start script, file system, and programs of the host.

A pod's container disk is a plain folder. With namespaces it is the pod's root, with the host's
programs mounted read-only; without, the same folder is the root by a prefix of all paths.
"""

from __future__ import annotations

import os
import shlex
import shutil
import site
import sys
from dataclasses import dataclass
from pathlib import Path

from controller.providers.emulator.container.namespaces import Bind

_PROGRAMS = ("/usr", "/opt", "/nix")
_LINKED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC_FOLDERS = ("alternatives", "ssl/certs", "pki", "crypto-policies", "terminfo", "OpenCL")
_ETC_FILES = (
    *("ld.so.cache", "ld.so.conf", "nsswitch.conf", "resolv.conf", "hosts", "gai.conf"),
    *("localtime", "timezone", "protocols", "services", "mime.types", "inputrc"),
    *("ssl/openssl.cnf", "os-release", "debian_version", "host.conf", "ssh/moduli", "magic"),
)

# Written from the documented behaviour of the official images. `@root@` is the prefix of the pod's
# paths: empty unless the pod has no file system of its own.
_START_SH = r"""#!/bin/bash
# The image's start script: brings sshd up when PUBLIC_KEY is set, then idles.
root=@root@

start_ssh() {
    [ -n "${PUBLIC_KEY-}" ] || return 0
    mkdir -p ~/.ssh
    chmod 700 ~/.ssh
    printf '%s\n' "$PUBLIC_KEY" >> ~/.ssh/authorized_keys
    chmod 600 ~/.ssh/authorized_keys
    for kind in ed25519 ecdsa; do
        key=$root/etc/ssh/ssh_host_${kind}_key
        [ -f "$key" ] || ssh-keygen -q -t "$kind" -N '' -C "root@$pod" -f "$key" 2>/dev/null ||
            python3 "$root/etc/ssh/keygen.py" make "$kind" "$key" "root@$pod"
    done
    "$root/etc/init.d/ssh" start
    echo "SSH host keys:"
    for public in "$root"/etc/ssh/*.pub; do
        echo "Key: ${public#"$root"}"
        ssh-keygen -lf "$public" 2>/dev/null ||
            python3 "$root/etc/ssh/keygen.py" fingerprint "$public"
    done
}

# Only this process has the pod's variables; interactive shells read them from the file.
export_environment() {
    for name in $(compgen -e); do
        case $name in
            PUBLIC_KEY|PWD|OLDPWD|SHLVL|_) ;;
            *) printf 'export %s=%q\n' "$name" "${!name}" ;;
        esac
    done > "$root/etc/rp_environment"
    printf 'source %q\n' "$root/etc/rp_environment" >> ~/.bashrc
}

run_hook() {
    [ ! -f "$root/$1" ] || bash "$root/$1"
}

pod=${RUNPOD_POD_ID:-$(uname -n)}
run_hook pre_start.sh
echo "Pod Started"
start_ssh
export_environment
echo "Start script(s) finished, Pod is ready to use."
run_hook post_start.sh
sleep infinity
"""

_BASHRC = """# Commands over SSH end here: only a person's shell sees what follows.
[ -z "$PS1" ] && return
PS1='\\u@\\h:\\w\\$ '
"""


@dataclass(frozen=True)
class Account:
    """The pod's user in /etc/passwd."""

    uid: int
    gid: int


def search_path() -> str:
    """PATH in the pod: the emulator's Python comes first, as the image's own."""
    own_python = os.path.dirname(sys.executable)
    return f"{own_python}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def shell() -> str:
    return shutil.which("bash") or "/bin/sh"


def write_disk(
    disk: Path, account: Account | None, prefix: str, hostname: str, *, starts_ssh: bool = True
) -> None:
    """Create a new container disk. `account` is None without a file system of its own."""
    for name in ("root", "var/log", "run/sshd", "etc/ssh", "etc/init.d"):
        (disk / name).mkdir(parents=True)
    (disk / "root").chmod(0o700)
    (disk / "run/sshd").chmod(0o755)
    for name in ("tmp", "var/tmp"):
        (disk / name).mkdir(parents=True)
        (disk / name).chmod(0o1777)
    path = f"export PATH={shlex.quote(search_path())}\n"
    (disk / "root/.bashrc").write_text(_BASHRC)
    (disk / "root/.profile").write_text(f'{path}[ -z "$BASH_VERSION" ] || . ~/.bashrc\n')
    # A copy: the pod sees the emulator's Python, not the emulator.
    shutil.copyfile(Path(__file__).with_name("ssh_keygen.py"), disk / "etc/ssh/keygen.py")
    script = _START_SH if starts_ssh else _START_SH.replace("\nstart_ssh\n", "\n")
    _write_program(disk / "start.sh", script.replace("@root@", shlex.quote(prefix)))
    if account is not None:
        _write_etc(disk / "etc", account)
        _write_names(disk / "etc", hostname)
        (disk / "etc/profile").write_text(path)
        _link_programs(disk)


def write_service(disk: Path, command: str) -> None:
    """/etc/init.d/ssh: what `service ssh start` runs."""
    script = f'#!/bin/sh\ncase "${{1-start}}" in\nstart|restart) {command} ;;\nesac\n'
    _write_program(disk / "etc/init.d/ssh", script)


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _write_etc(etc: Path, account: Account) -> None:
    """Write the pod's accounts, and copies of the host's configuration files."""
    passwd = [
        f"root:x:{account.uid}:{account.gid}:root:/root:{shell()}",
        "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin",
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    ]
    # An unprivileged pod has no second group, so its terminals must not use one.
    tty = ["tty:x:5:"] if account.uid == 0 else []
    groups = [f"root:x:{account.gid}:", *tty, "nogroup:x:65534:"]
    (etc / "passwd").write_text("\n".join(passwd) + "\n")
    (etc / "group").write_text("\n".join(groups) + "\n")
    (etc / "shadow").write_text("root:*:19000:0:99999:7:::\n")
    (etc / "shadow").chmod(0o600)
    for name in _ETC_FILES:
        source = Path("/etc") / name
        if source.is_file():
            (etc / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, etc / name)


def _write_names(etc: Path, hostname: str) -> None:
    """Write hostname and /etc/hosts as Docker does, so that the pod's own name resolves."""
    hosts = etc / "hosts"
    hosts_text = hosts.read_text(errors="replace") if hosts.exists() else "127.0.0.1\tlocalhost\n"
    hosts.write_text(hosts_text.rstrip("\n") + f"\n127.0.0.1\t{hostname}\n")
    (etc / "hostname").write_text(f"{hostname}\n")


def _link_programs(disk: Path) -> None:
    """Create /bin, /lib … as links into /usr as on the host."""
    for name in _LINKED:
        source = Path("/") / name
        if source.is_symlink():
            (disk / name).symlink_to(os.readlink(source))


def host_binds() -> tuple[Bind, ...]:
    """Read-only mounts of the host's programs, libraries and device descriptions."""
    folders = [*_PROGRAMS, *(f"/{name}" for name in _LINKED if not os.path.islink(f"/{name}"))]
    folders += ["/sys", *(f"/etc/{name}" for name in _ETC_FOLDERS)]
    return tuple(Bind(path, path) for path in folders if os.path.isdir(path))


def python_binds() -> tuple[Bind, ...]:
    """Mounts of the emulator's interpreter and its packages, at the same paths.

    They may lie below folders of the pod itself (/root, /tmp): bind them last.
    """
    paths = [sys.prefix, sys.base_prefix, os.path.realpath(sys.base_prefix)]
    paths += [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    paths += site.getsitepackages()
    binds: dict[str, Bind] = {}
    for path in sorted({os.path.abspath(path) for path in paths if os.path.isdir(path)}):
        covered = (*_PROGRAMS, *binds)
        if not any(path == folder or path.startswith(folder + "/") for folder in covered):
            binds[path] = Bind(os.path.realpath(path), path)
    return tuple(binds.values())
