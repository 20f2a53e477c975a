"""Work by hand on a parked pod: it is started after a question, and parked again."""

from __future__ import annotations

import os
import signal
import sys

from tests.end_to_end.test_parked_pods import parking
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop
from tests.support.screen import on_terminal


def states(laptop: Laptop) -> list[str]:
    return [str(entry["status"]) for entry in laptop.living_pods()]


def test_a_command_on_a_parked_pod_starts_it_and_parks_it_again(laptop: Laptop) -> None:
    """Without a terminal -y is asked for and nothing is started; with it the command runs, its
    status is podctl's, the last line tells what bills; a shell does the same after a question."""
    parking(laptop)
    laptop.podctl("run", "hello", "-y", expect=1)
    refused = laptop.podctl("exec", "hello", "--", "true", expect=2)
    forward = laptop.podctl("forward", "hello", "8000", expect=2)
    before = states(laptop)
    ran = laptop.podctl("exec", "-y", "hello", "--", "sh", "-c", "pwd; exit 4", expect=4)
    status, screen = on_terminal(
        [sys.executable, "-m", "controller", "ssh", "hello"],
        b"[y/N] ",
        b"y\recho is-$((40 + 2)); exit 3\r",
        laptop.folder,
        {"PODCTL_EMULATOR_URL": laptop.cloud.base_url},
    )

    assert "repeat the command with -y" in refused.err
    assert "Worst case $" in refused.err
    assert "repeat the command with -y" in forward.err
    assert before == states(laptop) == ["EXITED"]
    assert ran.out.strip().endswith("/hello-0001/work")
    assert "is parked: $" in ran.err.splitlines()[-1]
    assert (status, "is-42" in screen, "is parked: $" in screen) == (3, True, True)
    laptop.podctl("stop", "hello", "--terminate")
    assert laptop.living_pods() == []
    laptop.assert_books_agree()


def test_the_pod_of_a_killed_visitor_is_parked_by_the_next_podctl(laptop: Laptop) -> None:
    """Two commands share the started pod, and the first to end leaves it to the other; that one is
    killed, `status` shows that its pod runs, and `sync` parks it."""
    parking(laptop)
    laptop.podctl("run", "hello", "-y", expect=1)
    other = laptop.start("exec", "-y", "hello", "--", "sh", "-c", "echo up; sleep 600")
    assert other.stdout is not None
    assert other.stdout.readline() == "up\n"
    second = laptop.podctl("exec", "hello", "--", "true")  # no question: it runs
    synced = laptop.podctl("sync")
    shared = states(laptop)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    left = laptop.podctl("status")
    ended = laptop.podctl("sync")

    assert "another podctl still works on the pod" in second.err
    assert "is started to work on it by hand" in synced.err
    assert shared == ["RUNNING"]
    assert "RUNNING" in left.out
    assert "nobody does any more" in ended.err
    assert until(lambda: states(laptop) == ["EXITED"])
    laptop.podctl("stop", "hello", "--terminate")
    assert laptop.living_pods() == []
    laptop.assert_books_agree()
