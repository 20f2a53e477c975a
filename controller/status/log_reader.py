"""A job's log as bytes with stable offsets: the copy here, and the pod's beyond it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.agent.log_position import Chunk, LogPosition
from controller.errors import ConnectionLost, NotFound, PodctlError
from controller.project.journal import open_journal
from controller.status.target import Target, agent_of, connect, find_target, pod_of
from controller.terminal.sanitize import CleanStream

if TYPE_CHECKING:
    from controller.agent.client import AgentClient
    from controller.project.project import Project
    from controller.providers.base import Provider

MAX_LOCAL = 256 * 1024 * 1024  # bytes of a local copy that are shown
MOST = MAX_LOCAL  # bytes of what the pod has beyond it that are shown: the newest
MOST_LOOKS = 128  # for so many, twice as many as it takes
NEW_LOG = b"\n[the disk with this log is gone; a new log starts here]\n"
POLL_SECONDS = 1.0
LONGEST_WAIT = 20.0  # between two tries to connect again
CONNECT_SECONDS = 15.0
GIVE_UP_SECONDS = 900.0  # without any answer
LOOKED_AT = 256 * 1024  # bytes of a log's end in which its last line is looked for
RULER = "=-_*#~+|. "  # a line of nothing else is drawn below a message
LONGEST = 300  # characters shown of a last line


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


def read_local(path: Path, offset: int = 0, length: int = MAX_LOCAL) -> bytes:
    """At most `length` bytes of the copy here from `offset`; nothing where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(offset)
        return file.read(length)


def last_lines(data: bytes, count: int | None) -> bytes:
    """The last `count` lines; all for None. A line that was drawn again and again is one."""
    if count is None:
        return data
    place = len(data) - data.endswith(b"\n")
    for _ in range(count):
        place = data.rfind(b"\n", 0, place)
        if place < 0:
            return data
    return data[place + 1 :] if count else b""


def last_words(data: bytes) -> str:
    """The last line that says something, cleaned and shortened; empty where there is none."""
    for line in reversed(_cleaned(data[-LOOKED_AT:]).splitlines()):
        text = " ".join(line.split())
        if text.strip(RULER) and not text.startswith("podctl: "):
            return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return ""


def _cleaned(data: bytes) -> str:
    stream = CleanStream()
    return stream.feed(data) + stream.finish()


def tail_of(path: Path) -> bytes:
    """The end of the copy here, as much as `last_words` looks at."""
    try:
        size = path.lstat().st_size
    except OSError:
        return b""
    return read_local(path, max(0, size - LOOKED_AT))


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

    def complete(self, local: Log) -> Log:
        """The pod's log where it can be reached, else the local copy and why."""
        try:
            with self._agent() as agent:
                mark = _still(agent, self._target.run, LogPosition.after(local.data))
                beyond = b"".join(part for _, part in rest(agent, self._target.run, mark))
                return Log(local.data[: mark.offset] + beyond, "pod", time.time())
        except NotFound as error:
            return replace(local, why=error.what)
        except PodctlError as error:
            return replace(local, why=error.what, silent=True)

    def follow(self, shown: bytes) -> Iterator[bytes]:
        """What comes after `shown` until the job has ended or its pod is gone.

        Raises: ConnectionLost when nothing answers for a long time.
        """
        mark, pause, deadline = (
            LogPosition.after(shown),
            POLL_SECONDS,
            time.monotonic() + GIVE_UP_SECONDS,
        )
        while True:
            try:
                with self._agent() as agent:
                    pause, deadline = POLL_SECONDS, time.monotonic() + GIVE_UP_SECONDS
                    for after, part in self._live(agent, mark):
                        mark = after
                        yield part
                return
            except PodctlError as error:
                if self._over():
                    yield _kept(self._project.job_log(self._target.run), mark)
                    return
                if not isinstance(error, ConnectionLost | NotFound) and error.code != "provider":
                    raise
                if time.monotonic() > deadline:
                    raise
                self._tell(f"{error.what}; trying again")
            time.sleep(pause)
            pause = min(LONGEST_WAIT, pause * 1.5)

    def _live(self, agent: AgentClient, mark: LogPosition) -> Iterator[tuple[LogPosition, bytes]]:
        """What the job writes, until it has ended and all of it was read."""
        run = self._target.run
        while True:
            ended = agent.status(run).state not in ("starting", "running", "absent")
            for after, part in _beyond(agent, run, mark):
                mark = after
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


def _kept(path: Path, mark: LogPosition) -> bytes:
    """What the copy here has beyond `mark`; all of it where it is of another log."""
    # The copy may end before what the pod showed: its bytes tell, not its size.
    piece = Chunk(mark.begin, read_local(path, mark.begin), mark.offset)
    return mark.past(piece)[1] if mark.is_in(piece) else NEW_LOG + read_local(path)


def _still(agent: AgentClient, run: str, mark: LogPosition) -> LogPosition:
    """`mark` where it is of this log; else where this log begins."""
    if not mark.offset or mark.is_in(agent.log(run, mark.begin, len(mark.tail))):
        return mark
    return LogPosition()


def _beyond(agent: AgentClient, run: str, mark: LogPosition) -> Iterator[tuple[LogPosition, bytes]]:
    """`rest`; the complete log after a notice, if another log has replaced this one."""
    found = _still(agent, run, mark)
    if found != mark:
        yield found, NEW_LOG
    yield from rest(agent, run, found)


def rest(agent: AgentClient, run: str, mark: LogPosition) -> Iterator[tuple[LogPosition, bytes]]:
    """What is there beyond `mark`, each piece with the mark after it.

    Ends at the size that the first answer tells; of more than `MOST` the newest is read.
    """
    piece = agent.log(run, mark.offset)
    size = piece.size
    if size - mark.offset > MOST:
        piece = agent.log(run, size - MOST)
    for _ in range(MOST_LOOKS):
        if piece.end <= mark.offset:
            return
        if piece.start > mark.offset:
            yield mark, b"\n[%d bytes of the log were dropped]\n" % (piece.start - mark.offset)
        mark, new = mark.past(piece)
        yield mark, new
        if mark.offset >= size:
            return
        piece = agent.log(run, mark.offset)
