"""The SSH connection to a lease's pod: reused while it works, replaced when the pod moved."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from controller.agent.controller_claim import PodClaim
from controller.agent.logged_keys import LoggedKeys
from controller.agent.ssh_failure import NoSshd, no_sshd
from controller.errors import ConnectionLost
from controller.project.project import Project
from controller.providers.background import BackgroundCall
from controller.providers.base import Endpoint, Provider, ProviderError
from controller.ssh.host_keys import HostKeyMismatch, PinnedKeys, ensure_key
from controller.ssh.pod_identity import UnknownIdentity, WrongPod, connect_verified
from controller.ssh.ssh_config import SshEntry, write_ssh_config
from controller.ssh.stream import Unreachable

if TYPE_CHECKING:
    from controller.ssh.session import Session

CONNECT_SECONDS = 12.0  # limit of one attempt; the loop retries
NONCE_SECONDS = 120.0  # for all tries of the request for the pod's environment
LOG_LAG = 60.0  # seconds that a container's log, as the provider shows it, may be behind its sshd


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
        self._ahead: tuple[tuple[str, Endpoint], BackgroundCall[Session]] | None = None

    def connect_ahead(self, pod_id: str, endpoint: Endpoint) -> None:
        """Begin to connect in the background; `connect` to the same address returns the result."""
        call = BackgroundCall(partial(self._connect, pod_id, endpoint), "connect")
        self._ahead = (pod_id, endpoint), call

    def connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        """Return a live connection to `endpoint`.

        Raises: ConnectionLost and its subclasses; HostKeyMismatch when the container log gives
        other keys than the ones that answered.
        """
        is_current = self._reached == (pod_id, endpoint)
        if is_current and self._session is not None and self._session.alive:
            return self._session
        begun = self._take_ahead((pod_id, endpoint))
        self.drop()
        self._session = begun or self._connect(pod_id, endpoint)
        self._reached = (pod_id, endpoint)
        self._write_config(pod_id, endpoint)
        return self._session

    def _take_ahead(self, place: tuple[str, Endpoint]) -> Session | None:
        """The connection that was begun ahead to `place`, if it was made and works."""
        if self._ahead is None or self._ahead[0] != place:
            return None
        (_, call), self._ahead = self._ahead, None
        try:
            session = call.result(CONNECT_SECONDS + NONCE_SECONDS)
        except ConnectionLost:  # tried again, and told then
            return None
        return session if session.alive else None

    @property
    def session(self) -> Session:
        """The current connection. Raises ConnectionLost if there is none."""
        if self._session is None or not self._session.alive:
            raise ConnectionLost("there is no connection to the pod", hint="podctl sync")
        return self._session

    def abandon(self) -> None:
        """Close the connection, without waiting for one that is being made."""
        BackgroundCall(self.drop, "abandon")

    def drop(self) -> None:
        """Close the connection; the next `connect` makes a new one."""
        if self._ahead is not None and (begun := self._take_ahead(self._ahead[0])) is not None:
            begun.close()
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        """Connect while the API is asked about the pod.

        A pinned key needs no other proof. Without one, or when another key is shown, the log
        decides.
        """
        self.no_sshd = None
        pins = PinnedKeys(self._project.known_hosts, pod_id)
        known = bool(pins.pinned())
        nonce = BackgroundCall(partial(self._nonce, pod_id, known), "nonce")
        session = self._by_pins(endpoint, pins, nonce) if known else None
        session = session or self._by_log(endpoint, pins, nonce)
        self._mismatch_since.pop(pod_id, None)
        return session

    def _by_pins(
        self, endpoint: Endpoint, pins: PinnedKeys, nonce: BackgroundCall[str | None]
    ) -> Session | None:
        """None when the log has to decide."""
        try:
            return self._verified(endpoint, pins, nonce)
        except (HostKeyMismatch, UnknownIdentity):
            return None
        except Unreachable as error:
            if error.symptom:
                log = LoggedKeys(self._provider, pins.pod_id, optional=True).log()
                self.no_sshd = no_sshd(error.symptom, log or ())
            raise

    def _by_log(
        self, endpoint: Endpoint, pins: PinnedKeys, nonce: BackgroundCall[str | None]
    ) -> Session:
        keys = LoggedKeys(self._provider, pins.pod_id, optional=bool(pins.pinned()))
        try:
            proven = PinnedKeys(pins.store, pins.pod_id, keys.fingerprints)
            return self._verified(endpoint, proven, nonce)
        except HostKeyMismatch as error:
            raise self._mismatch(pins.pod_id, keys.log() is not None, error) from error
        except Unreachable as error:
            self.no_sshd = no_sshd(error.symptom, keys.log() or ())
            raise

    def _verified(
        self, endpoint: Endpoint, pins: PinnedKeys, nonce: BackgroundCall[str | None]
    ) -> Session:
        key = ensure_key(self._project.state_dir)
        return connect_verified(
            endpoint,
            key.path,
            pins,
            partial(nonce.result, NONCE_SECONDS),
            deadline_seconds=CONNECT_SECONDS,
        )

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
