"""Host keys: read from a container's log, pinned per pod, usable by plain OpenSSH."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from controller.errors import UsageError
from controller.providers.base import Endpoint
from controller.ssh.host_keys import (
    HostKey,
    HostKeyMismatch,
    PinnedKeys,
    ensure_key,
    log_fingerprints,
)
from controller.ssh.ssh_config import SshEntry, write_ssh_config
from tests.support.sshd_server import needs_sshd, new_host_key, sshd

A = "SHA256:" + "a" * 43
B = "SHA256:" + "B/+" * 14 + "9"

FIRST_BOOT = [
    "Pod Started",
    "Setting up SSH...",
    "SSH host keys:",
    "Key: /etc/ssh/ssh_host_ed25519_key.pub",
    f"256 {A} root@f00 (ED25519)",
    "Key: /etc/ssh/ssh_host_rsa_key.pub",
    f"3072 {B} root@f00 (RSA)",
    "Start script(s) finished, Pod is ready to use.",
]

ONE = HostKey("ssh-ed25519", b"one")
TWO = HostKey("ssh-ed25519", b"two")


def test_fingerprints_are_read_from_the_log() -> None:
    """Each key that the start script printed is found, in order."""
    assert log_fingerprints(FIRST_BOOT) == (A, B)


def test_only_the_newest_boot_counts() -> None:
    """After a restart the keys of the boot before are not the pod's any more."""
    newer = ["SSH host keys:", f"256 {B} no comment here (ED25519)"]

    assert log_fingerprints([*FIRST_BOOT, *newer]) == (B,)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["nothing of the kind"],
        [f"256 {A} root@f00 (ED25519)"],
        ["SSH host keys:", "256 SHA256:short root@f00 (ED25519)"],
        ["SSH host keys:", f"256 {A}AAAA root@f00 (ED25519)"],
        ["SSH host keys:", "256 MD5:aa:bb root@f00 (RSA)"],
    ],
)
def test_a_log_without_keys_has_none(lines: list[str]) -> None:
    """Lines that only resemble a fingerprint are none."""
    assert log_fingerprints(lines) == ()


def test_lines_with_a_time_before_them_are_read() -> None:
    """A log that puts a time before each line is read as well."""
    lines = [f"2026-11-22T10:00:00Z {line}" for line in FIRST_BOOT]

    assert log_fingerprints(lines) == (A, B)


def test_row_50_the_first_key_is_kept_and_another_refused(tmp_path: Path) -> None:
    """Without a log the first key seen is the pod's, on any later connection too."""
    PinnedKeys(tmp_path / "known_hosts", "pod1").check(ONE)
    later = PinnedKeys(tmp_path / "known_hosts", "pod1")
    later.check(ONE)

    with pytest.raises(HostKeyMismatch) as refused:
        later.check(TWO)

    assert ONE.fingerprint in refused.value.cause
    assert later.pinned() == (ONE,)


def test_pods_do_not_share_keys(tmp_path: Path) -> None:
    """A pin belongs to one pod; forgetting one leaves the others."""
    first, second = (PinnedKeys(tmp_path / "known_hosts", pod) for pod in ("pod1", "pod2"))
    first.check(ONE)
    second.check(TWO)
    first.forget()

    assert (first.pinned(), second.pinned()) == ((), (TWO,))


def test_row_50_the_log_decides_from_the_first_connection_on(tmp_path: Path) -> None:
    """With fingerprints from the log even the first key is not just believed."""
    pins = PinnedKeys(tmp_path / "known_hosts", "pod1", [TWO.fingerprint])

    with pytest.raises(HostKeyMismatch):
        pins.check(ONE)

    assert pins.pinned() == ()


def test_row_49_only_the_log_replaces_a_pin(tmp_path: Path) -> None:
    """A restarted container's new key is taken from its log, and the old one is out."""
    PinnedKeys(tmp_path / "known_hosts", "pod1").check(ONE)
    PinnedKeys(tmp_path / "known_hosts", "pod1", [TWO.fingerprint]).check(TWO)

    with pytest.raises(HostKeyMismatch):
        PinnedKeys(tmp_path / "known_hosts", "pod1").check(ONE)


def test_a_store_with_other_lines_is_read(tmp_path: Path) -> None:
    """Comments and damaged lines in the store neither count nor stop anything."""
    (tmp_path / "known_hosts").write_text("# hello\n\npodctl-pod1 ssh-ed25519 !!!\nx y\n")

    PinnedKeys(tmp_path / "known_hosts", "pod1").check(ONE)

    assert PinnedKeys(tmp_path / "known_hosts", "pod1").pinned() == (ONE,)


@pytest.mark.parametrize("pod", ["", "a b", "a\nb", "*", "../x"])
def test_a_pod_id_is_no_pattern(tmp_path: Path, pod: str) -> None:
    """A pod id that could match other hosts or break a line is refused."""
    with pytest.raises(UsageError):
        PinnedKeys(tmp_path / "known_hosts", pod)


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")
def test_our_key_is_made_once_and_private(tmp_path: Path) -> None:
    """The key pair is an ordinary one, made on first use, readable by us alone."""
    key_pair = ensure_key(tmp_path / "new")
    again = ensure_key(tmp_path / "new")

    shown = subprocess.run(
        ["ssh-keygen", "-yf", str(key_pair.path)], check=True, capture_output=True, text=True
    )
    assert key_pair == again
    assert key_pair.path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new/id_ed25519.pub").read_text() == key_pair.public + "\n"
    assert key_pair.public.startswith(shown.stdout.split()[0] + " " + shown.stdout.split()[1])


def test_a_foreign_key_file_is_not_replaced(tmp_path: Path) -> None:
    """What stands where our key should be is never overwritten."""
    (tmp_path / "id_ed25519").write_text("something else")
    (tmp_path / "id_ed25519").chmod(0o600)

    with pytest.raises(UsageError):
        ensure_key(tmp_path)

    assert (tmp_path / "id_ed25519").read_text() == "something else"


@pytest.mark.parametrize("way", ["clone", "link", "dangling"])
def test_a_key_that_came_with_a_clone_is_refused(tmp_path: Path, way: str) -> None:
    """git gives files 0644: whoever made the project could enter its user's pods."""
    key = ensure_key(tmp_path / "theirs").path
    path = tmp_path / "mine" / "id_ed25519"
    path.parent.mkdir()
    if way == "clone":
        path.write_bytes(key.read_bytes())
        path.chmod(0o644)
    else:
        path.symlink_to(key if way == "link" else tmp_path / "nowhere")

    with pytest.raises(UsageError, match="known to others") as caught:
        ensure_key(path.parent)
    assert str(path) in caught.value.hint
    if way == "clone":
        path.chmod(0o600)
        assert ensure_key(path.parent).path == path


@pytest.mark.parametrize(
    ("name", "host", "user"),
    [
        ("a b", "1.2.3.4", "root"),
        ("*", "1.2.3.4", "root"),
        ("x", "-oProxyCommand=id", "root"),
        ("x", "1.2.3.4\nProxyCommand id", "root"),
        ("x", "1.2.3.4", "root\nProxyCommand id"),
    ],
)
def test_a_config_cannot_be_injected(tmp_path: Path, name: str, host: str, user: str) -> None:
    """Names and addresses that would be more than that are refused."""
    entry = SshEntry(name, Endpoint(host, 22, user), "podctl-p", tmp_path / "k", tmp_path / "h")

    with pytest.raises(UsageError):
        write_ssh_config(tmp_path / "config", [entry])


@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh on this machine")
def test_a_users_own_ssh_config_changes_nothing(tmp_path: Path) -> None:
    """Included on top of a user's file, ours decides alone: no proxy, agent, forwarding, program or
    looser check of that file reaches a pod."""
    pins = PinnedKeys(tmp_path / "known_hosts", "pod1")
    endpoint = Endpoint("192.0.2.1", 22022, "root")
    entry = SshEntry("podctl-x", endpoint, pins.alias, tmp_path / "id", pins.store)
    write_ssh_config(tmp_path / "ours", [entry])
    theirs = {
        "HostName": "evil.example", "User": "mallory", "Port": "1", "HostKeyAlias": "other",
        "ProxyCommand": "nc evil 1", "ProxyJump": "evil", "IdentityAgent": "/tmp/agent",
        "IdentitiesOnly": "no", "ForwardAgent": "yes", "ForwardX11": "yes",
        "PermitLocalCommand": "yes", "LocalCommand": "touch /tmp/x", "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null", "GlobalKnownHostsFile": "/etc/other",
        "UpdateHostKeys": "yes", "VerifyHostKeyDNS": "yes", "PreferredAuthentications": "password",
        "ControlMaster": "auto", "ControlPath": "/tmp/%C", "CanonicalizeHostname": "always",
        "ServerAliveInterval": "0",
    }  # fmt: skip
    own = "".join(f"    {key} {value}\n" for key, value in theirs.items())
    (tmp_path / "users").write_text(f"Include {tmp_path}/ours\nHost *\n{own}")

    def meant(config: str) -> dict[str, str]:
        shown = subprocess.run(
            ["ssh", "-G", "-F", str(tmp_path / config), "podctl-x"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return dict(line.partition(" ")[::2] for line in shown.stdout.splitlines())

    mixed, alone = meant("users"), meant("ours")
    decided = {key.lower() for key in theirs} - {"localcommand"}  # it is not permitted

    assert {key: mixed.get(key) for key in decided} == {key: alone.get(key) for key in decided}
    assert mixed["permitlocalcommand"] == mixed["forwardagent"] == mixed["forwardx11"] == "no"
    assert mixed["identityagent"] == "none"
    assert "proxycommand" not in mixed
    assert "proxyjump" not in mixed
    assert (mixed["hostname"], mixed["stricthostkeychecking"]) in [
        ("192.0.2.1", "yes"),
        ("192.0.2.1", "true"),
    ]


@needs_sshd
@pytest.mark.skipif(not shutil.which("ssh"), reason="no ssh on this machine")
def test_plain_openssh_comes_in_with_our_files(tmp_path: Path) -> None:
    """`ssh -F <config> <name>` works with our pins, and refuses another host key."""
    home = tmp_path / "with space"
    config = home / "ssh_config"
    command = ["ssh", "-F", str(config), "-o", "BatchMode=yes", "podctl-stage1c", "echo hello"]
    with sshd(home) as server:
        server.connect().close()
        pins = server.pins()
        entry = SshEntry("podctl-stage1c", server.endpoint, pins.alias, server.key.path, pins.store)
        write_ssh_config(config, [entry])
        good = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    new_host_key(home)
    with sshd(home, server.endpoint.port):
        bad = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert (good.stdout, good.returncode) == ("hello\n", 0), good.stderr
    assert bad.returncode == 255
    assert "Host key verification failed" in bad.stderr
