"""The SSH connection to a lease's pod: reused while it works, replaced when the pod moved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from controller.agent.controller_claim import PodClaim
from controller.agent.ssh_failure import NoSshd, no_sshd
from controller.errors import ConnectionLost
from controller.project.project import Project
from controller.providers.base import Endpoint, Provider, ProviderError
from controller.ssh.host_keys import (
    HostKeyMismatch,
    PinnedKeys,
    SshEntry,
    ensure_key,
    log_fingerprints,
    write_ssh_config,
)
from controller.ssh.pod_identity import WrongPod, connect_verified
from controller.ssh.stream import Unreachable

if TYPE_CHECKING:
    from controller.ssh.session import Session

CONNECT_SECONDS = 12.0  # one try; the loop tries again
LOG_LAG = 60.0  # seconds that a container's log, as the provider shows it, may be behind its sshd
LOG_LINES = 1000  # of the container's log: the host keys stand among the first


class PodConnection:
    """Holds at most one control connection at a time."""

    def __init__(self, project: Project, provider: Provider, stage: str) -> None:
        self._project = project
        self._provider = provider
        self._stage = stage
        self.claim = PodClaim()
        self._session: Session | None = None
        self._nonces: dict[str, str | None] = {}
        self.no_sshd: NoSshd | None = None  # of the last attempt: why none may ever succeed
        self._odd_since: dict[str, float] = {}  # pod: first mismatch since the last connection
        self._reached: tuple[str, Endpoint] | None = None

    def connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        """Return a live connection to `endpoint`.

        Raises: ConnectionLost and its subclasses; HostKeyMismatch when the container log gives
        other keys than the ones that answered.
        """
        same = self._reached == (pod_id, endpoint)
        if same and self._session is not None and self._session.alive:
            return self._session
        self.drop()
        self._session = self._connect(pod_id, endpoint)
        self._reached = (pod_id, endpoint)
        self._write_config(pod_id, endpoint)
        return self._session

    @property
    def session(self) -> Session:
        """The present connection. Raises ConnectionLost when there is none."""
        if self._session is None or not self._session.alive:
            raise ConnectionLost("there is no connection to the pod", hint="podctl sync")
        return self._session

    def drop(self) -> None:
        """Close; the next `connect` connects again."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        key = ensure_key(self._project.state_dir)
        self.no_sshd = None
        pins, log = self._pins(pod_id)
        vouched = bool(pins.fingerprints or pins.pinned())
        nonce = self._nonce(pod_id, vouched)
        try:
            found = connect_verified(
                endpoint, key.path, pins, nonce, deadline_seconds=CONNECT_SECONDS
            )
        except HostKeyMismatch as error:
            raise self._mismatch(pod_id, log is not None, error) from error
        except Unreachable as error:
            self.no_sshd = no_sshd(error.symptom, log or ())
            raise
        self._odd_since.pop(pod_id, None)
        return found

    def _mismatch(self, pod_id: str, log_read: bool, error: HostKeyMismatch) -> ConnectionLost:
        """Of a container that starts again sshd is up before the log shows its new keys.

        So a key that is not the log's is refused for good only when the log had the time to show
        it; and where the provider does not show the log, nobody can tell.
        """
        began = self._odd_since.setdefault(pod_id, time.monotonic())
        if log_read and time.monotonic() - began >= LOG_LAG:
            return error
        return ConnectionLost(
            "the pod's host key is another one, and its log does not show it yet",
            where=error.where,
            cause=f"{error.what}; {error.cause}",
        )

    def _pins(self, pod_id: str) -> tuple[PinnedKeys, Sequence[str] | None]:
        """With what the pod's own start script printed, read over the provider's TLS: its log.

        While the provider does not answer (then None), the keys that were seen before are right.
        """
        store = self._project.known_hosts
        try:
            log = self._provider.container_log(pod_id, LOG_LINES)
        except ProviderError as error:
            if (pins := PinnedKeys(store, pod_id)).pinned():
                return pins, None
            raise ConnectionLost(
                "the pod's host keys cannot be read from its log", cause=error.what
            ) from error
        return PinnedKeys(store, pod_id, log_fingerprints(log)), log

    def _nonce(self, pod_id: str, vouched: bool) -> str | None:
        """The nonce that the pod was created with; None if the provider does not return it."""
        if pod_id not in self._nonces:
            try:
                pod = self._provider.get(pod_id)
            except ProviderError as error:
                if vouched:
                    return None
                raise ConnectionLost(
                    "the provider did not return the pod's environment", cause=error.what
                ) from error
            self._nonces[pod_id] = pod.nonce if pod else None
        return self._nonces[pod_id]

    def _write_config(self, pod_id: str, endpoint: Endpoint) -> None:
        """Write the ssh_config with which plain `ssh podctl-<stage>` works while the pod exists."""
        pins = PinnedKeys(self._project.known_hosts, pod_id)
        entry = SshEntry(
            name=f"podctl-{self._stage}",
            endpoint=endpoint,
            alias=pins.alias,
            key_path=self._project.private_key,
            known_hosts=self._project.known_hosts,
        )
        write_ssh_config(self._project.ssh_config, [entry])


def refused(error: ConnectionLost) -> bool:
    """Whether the machine that answered is not the known pod, or rejected podctl's key."""
    from controller.ssh.session import AuthRefused

    return isinstance(error, HostKeyMismatch | AuthRefused | WrongPod)
