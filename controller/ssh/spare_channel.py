"""Keeps one channel of a connection open for the next command, which saves it a round trip."""

from __future__ import annotations

import contextlib
import threading

import paramiko

from controller.ssh.connect import FAILURES

OPEN_SECONDS = 60.0  # limit for sshd to open a channel ahead of its command


class SpareChannel:
    """At most one channel that no command uses yet. Threads may share it.

    `wanted` is false for a connection that carries one command. An sshd that allows too few
    sessions is not asked for a spare one again.
    """

    def __init__(self, transport: paramiko.Transport, *, wanted: bool) -> None:
        self._transport = transport
        self._lock = threading.Lock()
        self._channel: paramiko.Channel | None = None
        self._opening: threading.Thread | None = None
        self._unwanted = not wanted

    def take(self, seconds: float) -> paramiko.Channel:
        """The spare channel; a new one if there is none. Raises what paramiko raises."""
        with self._lock:
            opening = self._opening
        if opening is not None:
            opening.join(seconds)
        with self._lock:
            channel, self._channel = self._channel, None
        if channel is not None and not channel.closed and not channel.eof_received:
            return channel
        return self._transport.open_session(timeout=seconds)

    def prepare(self) -> None:
        """Open a channel in the background, unless one is there or being opened."""
        with self._lock:
            if self._unwanted or self._channel is not None or self._opening is not None:
                return
            self._opening = threading.Thread(
                target=self._open, name="podctl-spare-channel", daemon=True
            )
            try:
                self._opening.start()
            except RuntimeError:  # no thread left: the command opens its own channel
                self._opening = None

    def _open(self) -> None:
        channel, refused = None, False
        with contextlib.suppress(*FAILURES):  # the next command reports a lost connection
            try:
                channel = self._transport.open_session(timeout=OPEN_SECONDS)
            except paramiko.ChannelException:
                refused = True
        with self._lock:
            self._channel, self._opening, self._unwanted = channel, None, refused
