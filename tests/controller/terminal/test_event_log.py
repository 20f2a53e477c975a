"""`.podctl/podctl.log`: bounded, private, without secrets, and never the reason for a failure."""

from __future__ import annotations

import io
import logging
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.terminal import event_log
from controller.terminal.event_log import BoundedFile, recording
from controller.terminal.terminal import Terminal
from state.redaction import PROCESS_REDACTOR, REDACTED

LOG = logging.getLogger("podctl.test")
SECRET = "correct-horse-battery-staple"  # pragma: allowlist secret


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's `.podctl`."""
    path = tmp_path / ".podctl"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def terminal() -> Terminal:
    return Terminal(out=io.StringIO(), err=io.StringIO())


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few lines."""
    monkeypatch.setattr(event_log, "LIMIT", 2000)


@pytest.fixture
def no_file_may_grow() -> Iterator[None]:
    """The kernel refuses each write to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def lines(folder: Path) -> list[str]:
    return (folder / "podctl.log").read_text().splitlines()


def shown(terminal: Terminal) -> str:
    assert isinstance(terminal.err, io.StringIO)
    return terminal.err.getvalue()


def test_each_event_is_one_line_with_time_process_and_kind(
    folder: Path, terminal: Terminal
) -> None:
    """The stamp is UTC with milliseconds; the kind is the last part of the logger's name."""
    with recording(terminal, folder):
        LOG.info("GET %s %d", "/v2/pods", 200)
    (line,) = lines(folder)
    stamp, process, kind, text = line.split(" ", 3)

    assert (process, kind, text) == (str(os.getpid()), "test", "GET /v2/pods 200")
    assert stamp.endswith("Z")
    assert stamp[10] == "T"
    assert shown(terminal) == ""


def test_the_log_is_private_also_when_it_was_not(folder: Path, terminal: Terminal) -> None:
    """The file has mode 0600, whatever it had before."""
    (folder / "podctl.log").touch(mode=0o644)
    with recording(terminal, folder):
        LOG.info("x")

    assert (folder / "podctl.log").stat().st_mode & 0o777 == 0o600


def test_control_characters_and_secrets_are_not_written(folder: Path, terminal: Terminal) -> None:
    """A line holds no escape sequence, no second line and no known secret."""
    PROCESS_REDACTOR.add(SECRET)
    with recording(terminal, folder):
        LOG.info("a\x1b[31m\nb %s", SECRET)
        try:
            raise ValueError(f"with {SECRET}\x07")
        except ValueError as error:
            LOG.error("crash", exc_info=error)
    text = (folder / "podctl.log").read_text()

    assert f"a b {REDACTED}" in text
    assert f"ValueError: with {REDACTED}" in text
    assert SECRET not in text
    assert text.isprintable() is False  # for its line ends alone
    assert text.replace("\n", "").isprintable()


@pytest.mark.usefixtures("small")
def test_the_log_is_bounded(folder: Path, terminal: Terminal) -> None:
    """A full file is renamed; only so many older ones are kept; the newest line is in the log."""
    with recording(terminal, folder):
        for number in range(400):
            LOG.info("event %d", number)
    files = sorted(path.name for path in folder.iterdir())

    assert files == ["podctl.log", *(f"podctl.log.{n}" for n in range(1, event_log.KEPT + 1))]
    assert all(path.stat().st_size < 2200 for path in folder.iterdir())
    assert lines(folder)[-1].endswith("event 399")


@pytest.mark.usefixtures("small")
def test_processes_that_share_the_log_rotate_it_once(folder: Path) -> None:
    """Who finds that another one renamed the full file only opens the new one."""
    first, second = BoundedFile(folder), BoundedFile(folder)
    for file in (first, second):
        file.setFormatter(event_log.LineFormatter())
    for number in range(60):
        for file in (first, second):
            file.emit(logging.makeLogRecord({"name": "podctl.t", "msg": f"event {number}"}))
    first.close()
    second.close()
    every = "".join(path.read_text() for path in folder.iterdir())

    assert [every.count(f" event {number}\n") for number in range(60)] == [2] * 60


def test_lines_wait_for_the_folder(tmp_path: Path, terminal: Terminal) -> None:
    """The log never creates .podctl; what came before the command made it is written then."""
    folder = tmp_path / ".podctl"
    with recording(terminal, folder):
        LOG.info("before")
        assert not folder.exists()
        folder.mkdir(mode=0o700)
        LOG.info("after")

    assert [line.rpartition(" ")[2] for line in lines(folder)] == ["before", "after"]


@pytest.mark.parametrize("kind", ["link to a file", "link to a folder", "fifo", "folder"])
def test_only_a_file_of_ours_is_written(tmp_path: Path, terminal: Terminal, kind: str) -> None:
    """A link, a pipe or a folder that a clone brought is left alone, and nothing fails."""
    folder, victim = tmp_path / ".podctl", tmp_path / "victim"
    victim.mkdir() if kind == "link to a folder" else victim.write_text("mine")
    if kind == "link to a folder":
        folder.symlink_to(victim)
    else:
        folder.mkdir()
        log = folder / "podctl.log"
        if kind == "fifo":
            os.mkfifo(log)
        elif kind == "folder":
            log.mkdir()
        else:
            log.symlink_to(victim)
    with recording(terminal, folder) as file:
        LOG.info("x")
        assert file is not None
        assert not file.written

    assert list(victim.iterdir()) == [] if victim.is_dir() else victim.read_text() == "mine"


@pytest.mark.usefixtures("no_file_may_grow")
def test_a_full_disk_loses_lines_and_nothing_else(folder: Path, terminal: Terminal) -> None:
    """A write that the disk refuses is no error of the command."""
    with recording(terminal, folder) as file:
        LOG.info("x")
        assert file is not None
        assert not file.written

    assert lines(folder) == []


def test_a_verbose_terminal_shows_the_same_lines(folder: Path, terminal: Terminal) -> None:
    """Also those from before the option was read; other threads' lines too."""
    with recording(terminal, folder):
        LOG.info("before")
        terminal.verbose = True
        thread = threading.Thread(target=LOG.info, args=("from a thread",))
        thread.start()
        thread.join()

    assert shown(terminal).splitlines() == lines(folder)
    assert len(lines(folder)) == 2


def test_nothing_is_recorded_outside(folder: Path, terminal: Terminal) -> None:
    """Without `recording` the loggers are as they were: no handler, and not enabled."""
    with recording(terminal, folder):
        assert LOG.isEnabledFor(logging.INFO)
    LOG.info("later")

    assert not LOG.isEnabledFor(logging.INFO)
    assert lines(folder) == [] if (folder / "podctl.log").exists() else True
    assert logging.getLogger("podctl").handlers == []
