"""Pins the host keys of pods, and manages podctl's own key pair.

The store is a plain OpenSSH known_hosts file whose names are aliases of pods, never addresses:
addresses are reused. A key is authenticated by fingerprints that the container printed to its log
(read over the provider's API); without them the first key seen is kept for that pod, and any
other key is an error from then on. Only fingerprints from the log may replace a kept key, which is
what happens when a container restarts with new ones.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hashlib
import os
import re
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.errors import ConnectionLost, UsageError
from state.file_sync import sync_file

FINGERPRINT = re.compile(r"\b\d+ (SHA256:[A-Za-z0-9+/]{43})(?: .*)? \((\w+)\)\s*$")
KEY_HEADING = "SSH host keys:"
# A host key of the first kind serves under each of these signature names.
ALGORITHMS = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class HostKeyMismatch(ConnectionLost):
    """The server at the pod's address has a host key that is not the pod's."""

    code = "host-key-mismatch"


@dataclass(frozen=True)
class HostKey:
    """A public host key: its type and its wire format."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and 43 characters, as ssh-keygen shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")


def log_fingerprints(lines: Iterable[str]) -> tuple[str, ...]:
    """The fingerprints of the newest boot in a container's log; empty if it printed none.

    A log can hold several boots; lines before the last heading belong to an older one.
    """
    fingerprints: list[str] = []
    inside = False
    for line in lines:
        if KEY_HEADING in line:
            fingerprints, inside = [], True
        elif inside and (match := FINGERPRINT.search(line)) and match[1] not in fingerprints:
            fingerprints.append(match[1])
    return tuple(fingerprints)


class PinnedKeys:
    """The host keys that one pod may show.

    `fingerprints` are those of the current boot, from the container log; empty if the log has
    none. A function is called once, when a key is to be checked. After a restart create a new
    instance from the new log.
    """

    def __init__(
        self,
        store: Path,
        pod_id: str,
        fingerprints: Sequence[str] | Callable[[], Sequence[str]] = (),
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", pod_id):
            raise UsageError("a pod id that cannot be a host alias", where=repr(pod_id))
        self.store = store
        self.pod_id = pod_id
        self.alias = f"podctl-{pod_id}"
        self._given = fingerprints
        self._lock = threading.Lock()

    @functools.cached_property
    def fingerprints(self) -> tuple[str, ...]:
        """Those of the log. Raises what reading it raises."""
        given = self._given
        return tuple(given() if callable(given) else given)

    def pinned(self) -> tuple[HostKey, ...]:
        """The keys that the store has for this pod."""
        return tuple(key for alias, key in _read(self.store) if alias == self.alias)

    def key_types(self) -> tuple[str, ...]:
        """Algorithm names to request, so that the server presents a key that can be compared."""
        kinds = [key.kind for key in self.pinned()]
        if not kinds or self.fingerprints:
            return ()  # any key of the log is accepted
        return tuple(name for kind in kinds for name in ALGORITHMS.get(kind, (kind,)))

    def check(self, key: HostKey) -> None:
        """Accept and pin `key`, or raise HostKeyMismatch."""
        with self._lock:
            pinned = self.pinned()
            if self.fingerprints:
                accepted = key.fingerprint in self.fingerprints
            else:
                accepted = not pinned or key in pinned
            if not accepted:
                raise self._mismatch(key, pinned)
            if key not in pinned:
                self._pin(key)

    def _mismatch(self, key: HostKey, pinned: tuple[HostKey, ...]) -> HostKeyMismatch:
        expected = self.fingerprints or tuple(key.fingerprint for key in pinned)
        source = "the container log" if self.fingerprints else "the first connection"
        return HostKeyMismatch(
            f"the host key {key.fingerprint} is not the pod's",
            where=self.alias,
            cause=f"{source} gave {', '.join(expected)}",
            hint="the address may serve another pod now, or the connection is intercepted",
        )

    def _pin(self, key: HostKey) -> None:
        others = [
            (alias, pinned_key) for alias, pinned_key in _read(self.store) if alias != self.alias
        ]
        _write(self.store, [*others, (self.alias, key)])

    def forget(self) -> None:
        """Remove the pins of a pod that was terminated."""
        _write(
            self.store, [(alias, key) for alias, key in _read(self.store) if alias != self.alias]
        )


def pinned_pods(store: Path) -> tuple[str, ...]:
    """Every pod whose host key is or was pinned: podctl connected to it from this project."""
    return tuple(dict.fromkeys(alias.removeprefix("podctl-") for alias, _ in _read(store)))


def _read(store: Path) -> list[tuple[str, HostKey]]:
    try:
        lines = store.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        fields = line.split()
        if len(fields) == 3:
            with contextlib.suppress(binascii.Error):  # not a line of podctl
                blob = base64.b64decode(fields[2], validate=True)
                entries.append((fields[0], HostKey(fields[1], blob)))
    return entries


def _write(store: Path, entries: Sequence[tuple[str, HostKey]]) -> None:
    lines = [
        f"{alias} {key.kind} {base64.b64encode(key.blob).decode()}\n" for alias, key in entries
    ]
    replace_file(store, "".join(lines).encode())


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to a new file of mode 0600 and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            sync_file(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@dataclass(frozen=True)
class KeyPair:
    """podctl's key: the private file, and the public line in authorized_keys format."""

    path: Path
    public: str


def ensure_key(folder: Path, comment: str = "podctl") -> KeyPair:
    """The project's ed25519 key in `folder`, generated on first use; the private file is 0600.

    Raises UsageError for a key that others could have read, for example one from a clone.
    """
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = folder / "id_ed25519"
    if os.path.lexists(path):
        _refuse_known(path)
        try:
            private = form.load_ssh_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:  # TypeError: it has a passphrase
            raise UsageError(
                "podctl's own SSH key cannot be read",
                where=str(path),
                cause=str(error),
                hint="move it away for a new one; running pods accept only the old key",
            ) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise UsageError("not an ed25519 key", where=str(path), hint="move it away")
    else:
        private = Ed25519PrivateKey.generate()
        secret = private.private_bytes(
            form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption()
        )
        replace_file(path, secret)
    raw = private.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
    public = f"{raw.decode()} {comment}"
    if (
        not (public_path := folder / "id_ed25519.pub").exists()
        or public_path.read_text() != public + "\n"
    ):
        replace_file(public_path, f"{public}\n".encode())
    return KeyPair(path, public)


def _refuse_known(path: Path) -> None:
    """Refuse a private key that others may have read: it gives access to every pod."""
    status = path.lstat()
    is_private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
    if is_private and status.st_uid == os.geteuid():
        return
    raise UsageError(
        "the project's SSH key may be known to others",
        where=str(path),
        cause=f"podctl makes it 0600 and yours; it is {stat.filemode(status.st_mode)}, "
        f"of user {status.st_uid}: it came with a clone or a copy",
        hint=f"rm {path}; if nobody but you ever had it: chmod 600 {path}",
    )


def key_words(line: str) -> tuple[str, ...]:
    """The type and blob of a public key, without its comment."""
    return tuple(line.split()[:2])
