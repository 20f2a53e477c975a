"""The owner: one process drives, and whoever lost the project can write nothing more."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from state.atomic_files import write_atomically
from state.database import installation, open_database
from state.errors import Fenced, OwnedElsewhere, StateError
from state.journal import Journal
from state.project_lock import DATABASE, HOLDER, LOCK, acquire, holder

ROOT = Path(__file__).resolve().parents[2]

# Says "owner" or "refused", and holds on until it is told to end.
_CONTENDER = """
import sys
from pathlib import Path
from state.errors import OwnedElsewhere
from state.project_lock import acquire

sys.stdin.readline()
try:
    owner = acquire(Path(sys.argv[1]), "run stage1c")
except OwnedElsewhere as error:
    print("refused", error.holder.pid if error.holder else 0, flush=True)
else:
    print("owner", owner.holder.pid, flush=True)
    sys.stdin.readline()
    owner.close()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / ".podctl"


def contender(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _CONTENDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def answer(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def finish(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=10)


def test_second_owner_is_told_who_drives(folder: Path) -> None:
    """The refusal names process, machine and command."""
    with acquire(folder, "run stage1c") as owner, pytest.raises(OwnedElsewhere) as caught:
        acquire(folder, "sync")

    assert caught.value.holder == owner.holder
    assert str(os.getpid()) in str(caught.value)
    assert "run stage1c" in str(caught.value)


def test_ownership_ends_with_the_block(folder: Path) -> None:
    """After the block the project is free, with an epoch one higher, and nobody is named."""
    with acquire(folder, "run stage1c") as first:
        epoch = first.epoch
    assert holder(folder) is None

    with acquire(folder, "sync") as second:
        assert second.epoch == epoch + 1


def test_closing_twice_closes_once(folder: Path) -> None:
    """A second close cannot take the lock from the next owner."""
    first = acquire(folder, "run")
    first.close()

    with acquire(folder, "sync") as second:
        first.close()

        assert holder(folder) == second.holder
        with pytest.raises(OwnedElsewhere):
            acquire(folder, "third")


def test_earlier_owner_is_fenced(folder: Path) -> None:
    """Whoever was an owner before can write nothing once another one began."""
    first = acquire(folder, "run stage1c")
    late = open_database(folder / DATABASE)
    first.close()

    with acquire(folder, "sync") as second:
        with pytest.raises(Fenced):
            Journal(late, first.epoch).open_lease({})
        assert Journal(second.connection, second.epoch).open_lease({}) == "l0001"
        assert len(Journal(late).leases()) == 1


def test_reader_needs_no_ownership(folder: Path) -> None:
    """Status and cost read while another process drives."""
    with acquire(folder, "run stage1c") as owner:
        Journal(owner.connection, owner.epoch).open_lease({"nonce": "abc"})
        reader = open_database(folder / DATABASE, readonly=True)

        assert len(Journal(reader).open_leases()) == 1
        assert installation(reader) == installation(owner.connection)
        with pytest.raises(StateError):
            Journal(reader).open_lease({})


def test_of_four_processes_one_is_the_owner(folder: Path) -> None:
    """Four processes at once: one drives, three are told which."""
    processes = [contender(folder) for _ in range(4)]
    try:
        for process in processes:
            tell(process)
        answers = [answer(process) for process in processes]
    finally:
        for process in processes:
            finish(process)

    words = sorted(word for word, _ in answers)
    (winner,) = [pid for word, pid in answers if word == "owner"]
    assert words == ["owner", "refused", "refused", "refused"]
    assert {pid for word, pid in answers if word == "refused"} <= {winner, "0"}


def test_killed_owner_leaves_the_project_free(folder: Path) -> None:
    """kill -9 frees the lock at once: there is no stale lock to remove."""
    process = contender(folder)
    tell(process)
    assert answer(process)[0] == "owner"
    os.kill(process.pid, signal.SIGKILL)
    finish(process)

    with acquire(folder, "sync", wait_seconds=5) as owner:
        assert holder(folder) == owner.holder


def test_waiting_ends_when_the_owner_goes(folder: Path) -> None:
    """With a deadline to wait, the next owner takes over as soon as it may."""
    process = contender(folder)
    tell(process)
    assert answer(process)[0] == "owner"
    tell(process)  # ends it

    with acquire(folder, "sync", wait_seconds=30) as owner:
        assert owner.epoch >= 3
    finish(process)


def test_waiting_has_a_deadline(folder: Path) -> None:
    """An owner that stays is not waited for longer than asked."""
    with acquire(folder, "run stage1c"):
        start = time.monotonic()
        with pytest.raises(OwnedElsewhere):
            acquire(folder, "sync", wait_seconds=0.2)

        assert 0.2 <= time.monotonic() - start < 5


def test_child_process_does_not_inherit_the_lock(folder: Path) -> None:
    """A child that outlives us (an ssh, an editor) does not keep the project locked."""
    with acquire(folder, "run stage1c"):
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        acquire(folder, "sync").close()
    finally:
        child.kill()
        child.communicate(timeout=10)


def test_unreadable_holder_is_nobody(folder: Path) -> None:
    """Nonsense in the holder's file does not break the refusal."""
    with acquire(folder, "run stage1c"):
        (folder / "owner.json").write_text('{"pid": "me"}')

        with pytest.raises(OwnedElsewhere, match="another process"):
            acquire(folder, "sync")


def test_row_31_a_refused_controller_names_the_living_owner(folder: Path) -> None:
    """Even one that just took over and has yet to say so, where a killed one is still named."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with acquire(folder, "run first"):
        pass
    name = json.dumps({"pid": dead.pid, "host": socket.gethostname(), "since": 1.0, "what": "run"})
    (folder / HOLDER).write_text(name)
    descriptor = os.open(folder / LOCK, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    mine = name.replace(str(dead.pid), str(os.getpid()))
    threading.Timer(0.2, lambda: write_atomically(folder / HOLDER, mine.encode())).start()
    with pytest.raises(OwnedElsewhere) as refused:
        acquire(folder, "run second")
    os.close(descriptor)

    assert refused.value.holder is not None
    assert refused.value.holder.pid == os.getpid()
