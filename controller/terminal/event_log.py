"""The log of events: `.podctl/podctl.log`, and the same lines on stderr with `--verbose`.

Modules write to standard loggers below `podctl` (`podctl.api`, `podctl.ssh`, `podctl.engine`,
`podctl.cli`). Without `recording` these are disabled and cost one comparison. A record is one line
(a traceback is several), redacted and without control characters. No failure to write it ever
reaches a command: a full or read-only disk loses lines and nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from controller.terminal.sanitize import clean, clean_line
from state.redaction import PROCESS_REDACTOR

if TYPE_CHECKING:
    from controller.terminal.terminal import Terminal

NAME = "podctl.log"
ROOT = "podctl"  # the logger above all of ours
LIMIT = 1_000_000  # bytes of one file
KEPT = 3  # older files: podctl.log.1 is the newest of them
LONGEST = 600  # characters of one line
PENDING = 200  # lines that wait for a folder or a reader

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class LineFormatter(logging.Formatter):
    """`2026-07-01T12:00:00.123Z 4711 api GET /v2/pods 200 35 ms`; a traceback is indented."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        kind = record.name.rpartition(".")[2]
        stamp = f"{at}.{int(record.msecs):03d}Z {record.process} {kind}"
        lines = [f"{stamp} {_one_line(record.getMessage())}"]
        if record.exc_info:
            trace = record.exc_text or self.formatException(record.exc_info)
            lines += [f"    {_cut(line)}" for line in PROCESS_REDACTOR(clean(trace)).splitlines()]
        return "\n".join(lines)


def _one_line(text: str) -> str:
    return _cut(PROCESS_REDACTOR(clean_line(text)))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


class BoundedFile(logging.Handler):
    """Appends to `folder/podctl.log` (mode 0600) and rotates it; several processes may share it.

    The folder is never created: until it exists, the newest lines are kept in memory. Links,
    devices and other users' folders are refused.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / NAME
        self._pending: deque[str] = deque(maxlen=PENDING)
        self._file: int | None = None

    @property
    def written(self) -> bool:
        """Whether every line so far is in the file."""
        return self._file is not None and not self._pending

    def emit(self, record: logging.LogRecord) -> None:
        self._pending.append(self.format(record) + "\n")
        with contextlib.suppress(OSError):
            self._flush_pending()

    def _flush_pending(self) -> None:
        if self._file is None:
            self._file = _open(self.path)
        elif os.fstat(self._file).st_size > LIMIT:
            self._rotate(self._file)
        while self._pending:
            os.write(self._file, self._pending[0].encode("utf-8", "backslashreplace"))
            self._pending.popleft()

    def _rotate(self, full: int) -> None:
        """Rename the full file unless another process did, and open the new one."""
        fcntl.flock(full, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.fstat(full), os.lstat(self.path)):
                for number in range(KEPT, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(_numbered(self.path, number - 1), _numbered(self.path, number))
        except FileNotFoundError:
            pass  # the log was deleted: begin another
        finally:
            os.close(full)  # releases the lock
            self._file = None
        self._file = _open(self.path)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._flush_pending()
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path


def _open(path: Path) -> int:
    """A descriptor of the log below a folder of ours. Raises OSError."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise PermissionError("the folder is another user's")
        file = os.open(path.name, _FLAGS, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(file)
        raise PermissionError("the log is no file of this user")
    if stat.S_IMODE(found.st_mode) != 0o600:
        os.fchmod(file, 0o600)
    return file


class VerboseLines(logging.Handler):
    """Shows the lines on stderr once `terminal.verbose` is set, with those from before it was."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal
        self._pending: deque[str] = deque(maxlen=PENDING)

    def emit(self, record: logging.LogRecord) -> None:
        self._pending.append(self.format(record))
        while self._terminal.verbose and self._pending:
            self._terminal.detail(self._pending.popleft())


@contextmanager
def recording(terminal: Terminal, folder: Path | None) -> Iterator[BoundedFile | None]:
    """Within, events are recorded: in `folder`, unless it is None, and on a verbose terminal."""
    logger = logging.getLogger(ROOT)
    before = logger.level, logger.propagate
    file = BoundedFile(folder) if folder is not None else None
    handlers: list[logging.Handler] = [VerboseLines(terminal), *([file] if file else [])]
    for handler in handlers:
        handler.setFormatter(LineFormatter())
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # no handler of a library shows these lines a second time
    try:
        yield file
    finally:
        logger.setLevel(before[0])
        logger.propagate = before[1]
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
