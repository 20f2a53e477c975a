"""Writes an ssh_config with which plain OpenSSH connects to pods."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from controller.errors import UsageError
from controller.providers.base import Endpoint
from controller.ssh.host_keys import replace_file


@dataclass(frozen=True)
class SshEntry:
    """One host of the ssh_config: `name` is what the user types, e.g. podctl-stage1c."""

    name: str
    endpoint: Endpoint
    alias: str  # of the pod, as in the known_hosts file: `PinnedKeys.alias`
    key_path: Path
    known_hosts: Path


# Every option is listed, because ssh takes the first value that it reads: nothing in the file that
# includes this one may redirect the connection, run a local program or forward anything.
FIXED = {
    "GlobalKnownHostsFile": "/dev/null",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "VerifyHostKeyDNS": "no",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "PreferredAuthentications": "publickey",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "ProxyCommand": "none",
    "ControlMaster": "no",
    "ControlPath": "none",
    "CanonicalizeHostname": "no",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
}


def write_ssh_config(path: Path, entries: Iterable[SshEntry]) -> None:
    """An ssh_config for plain OpenSSH: `ssh -F <path> <name>`."""
    replace_file(path, "\n".join(map(_config_entry, entries)).encode())


def _config_entry(entry: SshEntry) -> str:
    host, user = entry.endpoint.host, entry.endpoint.user
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", entry.name):
        raise UsageError("not a name for an ssh_config", where=repr(entry.name))
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.:_-]*", host) or not re.fullmatch(r"\w+", user):
        raise UsageError("not an address for an ssh_config", where=f"{user}@{host}")
    settings = {
        "HostName": host,
        "Port": str(entry.endpoint.port),
        "User": user,
        "HostKeyAlias": entry.alias,
        "UserKnownHostsFile": _quoted(entry.known_hosts),
        "IdentityFile": _quoted(entry.key_path),
        **FIXED,
    }
    return f"Host {entry.name}\n" + "".join(
        f"    {option} {value}\n" for option, value in settings.items()
    )


def _quoted(path: Path) -> str:
    text = str(path.absolute())
    if '"' in text or "\n" in text:
        raise UsageError("a path that an ssh_config cannot hold", where=repr(text))
    return '"' + text.replace("%", "%%") + '"'
