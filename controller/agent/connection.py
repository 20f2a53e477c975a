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
from controller.ssh.host_keys import HostKeyMismatch, PinnedKeys, ensure_key, log_fingerprints
from controller.ssh.pod_identity import WrongPod, connect_verified
from controller.ssh.ssh_config import SshEntry, write_ssh_config
from controller.ssh.stream import Unreachable

if TYPE_CHECKING:
    from controller.ssh.session import Session

CONNECT_SECONDS = 12.0  # limit of one attempt; the loop retries
LOG_LAG = 60.0  # seconds that a container's log, as the provider shows it, may be behind its sshd
LOG_LINES = 1000  # of the container's log: the host keys are among the first


class PodConnection:
    """Holds at most one control connection at a time."""

    def __init__(self, project: Project, provider: Provider, stage: str) -> None:
        self._project = project
        self._provider = provider
        self._stage = stage
        self.claim = PodClaim()
        self._session: Session | None = None
        self._nonces: dict[str, str | None] = {}
        self.no_sshd: NoSshd | None = None  # why sshd did not start, by the last attempt
        self._mismatch_since: dict[
            str, float
        ] = {}  # pod id to the first mismatch since the last connection
        self._reached: tuple[str, Endpoint] | None = None

    def connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        """Return a live connection to `endpoint`.

        Raises: ConnectionLost and its subclasses; HostKeyMismatch when the container log gives
        other keys than the ones that answered.
        """
        is_current = self._reached == (pod_id, endpoint)
        if is_current and self._session is not None and self._session.alive:
            return self._session
        self.drop()
        self._session = self._connect(pod_id, endpoint)
        self._reached = (pod_id, endpoint)
        self._write_config(pod_id, endpoint)
        return self._session

    @property
    def session(self) -> Session:
        """The current connection. Raises ConnectionLost if there is none."""
        if self._session is None or not self._session.alive:
            raise ConnectionLost("there is no connection to the pod", hint="podctl sync")
        return self._session

    def drop(self) -> None:
        """Close the connection; the next `connect` makes a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        key = ensure_key(self._project.state_dir)
        self.no_sshd = None
        pins, log = self._pins(pod_id)
        has_known_key = bool(pins.fingerprints or pins.pinned())
        nonce = self._nonce(pod_id, has_known_key)
        try:
            session = connect_verified(
                endpoint, key.path, pins, nonce, deadline_seconds=CONNECT_SECONDS
            )
        except HostKeyMismatch as error:
            raise self._mismatch(pod_id, log is not None, error) from error
        except Unreachable as error:
            self.no_sshd = no_sshd(error.symptom, log or ())
            raise
        self._mismatch_since.pop(pod_id, None)
        return session

    def _mismatch(self, pod_id: str, log_read: bool, error: HostKeyMismatch) -> ConnectionLost:
        """After a restart of a container, sshd is up before the log shows its new keys.

        A key that is not in the log is therefore refused permanently only after LOG_LAG; without
        the log it is never refused permanently.
        """
        first_seen = self._mismatch_since.setdefault(pod_id, time.monotonic())
        if log_read and time.monotonic() - first_seen >= LOG_LAG:
            return error
        return ConnectionLost(
            "the pod's host key has changed, and its log does not show the new one yet",
            where=error.where,
            cause=f"{error.what}; {error.cause}",
        )

    def _pins(self, pod_id: str) -> tuple[PinnedKeys, Sequence[str] | None]:
        """The pins with the fingerprints of the container log, and the log (read over the API's
        TLS).

        If the provider does not respond, the keys that were pinned before count; the log is None.
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

    def _nonce(self, pod_id: str, has_known_key: bool) -> str | None:
        """The nonce that the pod was created with; None if the provider does not return it."""
        if pod_id not in self._nonces:
            try:
                pod = self._provider.get(pod_id)
            except ProviderError as error:
                if has_known_key:
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
