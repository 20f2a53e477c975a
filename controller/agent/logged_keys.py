"""The host keys that a pod's container log shows, read in the background over the API's TLS."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from controller.errors import ConnectionLost
from controller.providers.background import BackgroundCall
from controller.providers.base import Provider, ProviderError
from controller.ssh.host_keys import log_fingerprints

LOG_SECONDS = 120.0  # for all tries of a request
LOG_LINES = 1000  # of the container's log: the host keys are among the first


class LoggedKeys:
    """Begins to read the log at once; with `optional` a log that cannot be read counts as empty."""

    def __init__(self, provider: Provider, pod_id: str, *, optional: bool) -> None:
        self._read = partial(provider.container_log, pod_id, LOG_LINES)
        self._optional = optional
        self._call = BackgroundCall(self._read, "host-keys")

    def log(self) -> Sequence[str] | None:
        """The log; None if the provider does not respond."""
        try:
            return self._call.result(LOG_SECONDS)
        except ProviderError:
            return None

    def fingerprints(self) -> tuple[str, ...]:
        """Those of the newest boot, for a key that was shown. Raises ConnectionLost.

        sshd may have started after the log was read: a log without keys is read once more.
        """
        try:
            if found := log_fingerprints(self._call.result(LOG_SECONDS)):
                return found
            self._call = BackgroundCall(self._read, "host-keys")
            return log_fingerprints(self._call.result(LOG_SECONDS))
        except ProviderError as error:
            if self._optional:
                return ()
            raise ConnectionLost(
                "the pod's host keys cannot be read from its log", cause=error.what
            ) from error
