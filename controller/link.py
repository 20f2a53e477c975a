"""The SSH link to the pod of a lease: kept while it works, made anew when the pod moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.errors import ConnectionLost
from controller.hostkeys import (
    HostKeyMismatch,
    PinnedKeys,
    SshEntry,
    ensure_key,
    log_fingerprints,
    write_ssh_config,
)
from controller.identity import WrongPod, enter
from controller.project import Project
from controller.providers import Endpoint, Provider, ProviderError

if TYPE_CHECKING:
    from controller.ssh import Session

CONNECT_SECONDS = 12.0  # one try; the loop tries again
LOG_LINES = 1000  # of the container's log: the host keys stand among the first


class Link:
    """At most one control connection at a time."""

    def __init__(self, project: Project, provider: Provider, stage: str) -> None:
        self._project = project
        self._provider = provider
        self._stage = stage
        self._session: Session | None = None
        self._nonces: dict[str, str | None] = {}
        self._reached: tuple[str, Endpoint] | None = None

    def reach(self, pod_id: str, endpoint: Endpoint) -> Session:
        """A live connection to `endpoint`.

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
        """The connection as it is. Raises ConnectionLost when there is none."""
        if self._session is None or not self._session.alive:
            raise ConnectionLost("there is no connection to the pod", hint="podctl sync")
        return self._session

    def drop(self) -> None:
        """Close; the next `reach` connects again."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connect(self, pod_id: str, endpoint: Endpoint) -> Session:
        key = ensure_key(self._project.state_dir)
        pins = self._pins(pod_id)
        known = bool(pins.pinned())
        nonce = self._nonce(pod_id, known or bool(pins.fingerprints))
        try:
            return enter(endpoint, key.path, pins, nonce, deadline_seconds=CONNECT_SECONDS)
        except HostKeyMismatch as error:
            if pins.fingerprints or not known:
                raise
            # It may be the pod after a restart: without its log nobody can tell.
            raise ConnectionLost(
                "the pod's host key is another one, and its log says nothing of it",
                where=error.where,
                cause=error.what,
            ) from error

    def _pins(self, pod_id: str) -> PinnedKeys:
        """With what the pod's own start script printed, read over the provider's TLS.

        While the provider does not answer, the keys that were seen before are what is right.
        """
        store = self._project.known_hosts
        try:
            log = self._provider.container_log(pod_id, LOG_LINES)
        except ProviderError as error:
            if (pins := PinnedKeys(store, pod_id)).pinned():
                return pins
            raise ConnectionLost(
                "the pod's host keys cannot be read from its log", cause=error.what
            ) from error
        return PinnedKeys(store, pod_id, log_fingerprints(log))

    def _nonce(self, pod_id: str, vouched: bool) -> str | None:
        """What the pod was created with; None where the provider does not say and need not."""
        if pod_id not in self._nonces:
            try:
                pod = self._provider.get(pod_id)
            except ProviderError as error:
                if vouched:
                    return None
                raise ConnectionLost(
                    "the provider does not say what the pod is to know", cause=error.what
                ) from error
            self._nonces[pod_id] = pod.nonce if pod else None
        return self._nonces[pod_id]

    def _write_config(self, pod_id: str, endpoint: Endpoint) -> None:
        """So that plain `ssh podctl-<stage>` works while the pod lives."""
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
    """Whether something answered that is not the pod we know, or does not let us in."""
    from controller.ssh import AuthRefused

    return isinstance(error, HostKeyMismatch | AuthRefused | WrongPod)
