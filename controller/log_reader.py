"""A job's log as bytes with stable offsets: the copy here, and the pod's beyond it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.attach import Target, agent_of, connect, find_target, open_journal, pod_of
from controller.errors import ConnectionLost, NotFound, PodctlError

if TYPE_CHECKING:
    from controller.agent_client import AgentClient
    from controller.project import Project
    from controller.providers import Provider

MAX_LOCAL = 256 * 1024 * 1024  # bytes of a local copy that are shown
POLL_SECONDS = 1.0
LONGEST_WAIT = 20.0  # between two tries to connect again
CONNECT_SECONDS = 15.0
GIVE_UP_SECONDS = 900.0  # without any answer


@dataclass(frozen=True)
class Log:
    """What is known of a job's log. `at`: when it was so, Unix seconds."""

    data: bytes
    source: str  # pod | local copy
    at: float | None
    why: str = ""  # the pod was not read
    silent: bool = False  # it should have answered: there may be more


def local_log(path: Path) -> Log:
    """The copy here, and when something was last added to it."""
    try:
        at = path.lstat().st_mtime
    except OSError:
        at = None
    return Log(read_local(path), "local copy", at)


def read_local(path: Path, offset: int = 0) -> bytes:
    """The copy here from `offset`; nothing where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(MAX_LOCAL)


def last_lines(data: bytes, count: int | None) -> bytes:
    """The last `count` lines; all for None."""
    if count is None:
        return data
    lines = data.splitlines(keepends=True)
    return b"".join(lines[len(lines) - min(count, len(lines)) :])


class Follower:
    """Reads on where the local copy ends; connects again as often as it must."""

    def __init__(
        self,
        project: Project,
        target: Target,
        provider: Callable[[], Provider],
        tell: Callable[[str], None],
    ) -> None:
        self._project = project
        self._target = target
        self._provider = provider
        self._tell = tell

    def whole(self, local: Log) -> Log:
        """The pod's log where it can be reached, else the local copy and why."""
        try:
            with self._agent() as agent:
                parts = _rest(agent, self._target.run, len(local.data))
                whole = local.data + b"".join(part for _, part in parts)
                return Log(whole, "pod", time.time())
        except NotFound as error:
            return replace(local, why=error.what)
        except PodctlError as error:
            return replace(local, why=error.what, silent=True)

    def follow(self, offset: int) -> Iterator[bytes]:
        """Bytes from `offset` until the job has ended or its pod is gone.

        Raises: ConnectionLost when nothing answers for a long time.
        """
        pause, deadline = POLL_SECONDS, time.monotonic() + GIVE_UP_SECONDS
        while True:
            try:
                with self._agent() as agent:
                    pause, deadline = POLL_SECONDS, time.monotonic() + GIVE_UP_SECONDS
                    for after, part in self._live(agent, offset):
                        offset = after
                        yield part
                return
            except PodctlError as error:
                if self._over():
                    yield read_local(self._project.job_log(self._target.run), offset)
                    return
                if not isinstance(error, ConnectionLost | NotFound) and error.code != "provider":
                    raise
                if time.monotonic() > deadline:
                    raise
                self._tell(f"{error.what}; trying again")
            time.sleep(pause)
            pause = min(LONGEST_WAIT, pause * 1.5)

    def _live(self, agent: AgentClient, offset: int) -> Iterator[tuple[int, bytes]]:
        """What the job writes, until it has ended and all of it was read."""
        run = self._target.run
        while True:
            ended = agent.status(run).state not in ("starting", "running", "absent")
            for after, part in _rest(agent, run, offset):
                offset = after
                yield after, part
            if ended:
                return
            time.sleep(POLL_SECONDS)

    @contextlib.contextmanager
    def _agent(self) -> Iterator[AgentClient]:
        self._look()
        provider = self._provider()
        pod = pod_of(provider, self._target)
        with connect(self._project, provider, pod, CONNECT_SECONDS) as session:
            yield agent_of(session, self._target)

    def _look(self) -> None:
        """The run may have another pod than when we began."""
        journal = open_journal(self._project)
        try:
            self._target = find_target(journal, self._target.run)
        finally:
            journal.connection.close()

    def _over(self) -> bool:
        self._look()
        return not self._target.open


def _rest(agent: AgentClient, run: str, offset: int) -> Iterator[tuple[int, bytes]]:
    """Everything from `offset` to the log's present end, each piece with the offset after it."""
    while True:
        start, data = agent.log(run, offset)
        if start > offset:
            yield start, f"\n[{start - offset} bytes of the log were dropped]\n".encode()
        if not data:
            return
        offset = start + len(data)
        yield offset, data
