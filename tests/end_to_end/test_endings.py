"""Signals, closed terminals and cut pipes: podctl goes in order and says what bills on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from controller.cli.signals import ENDING, Interrupted, signal_handlers
from controller.terminal.terminal import OutputClosed, Terminal
from tests.support.emulated_cloud import until
from tests.support.laptop import Laptop


@pytest.mark.parametrize("number", ENDING)
def test_row_38_an_ending_signal_unwinds_once(number: signal.Signals) -> None:
    """What a signal interrupts is put in order, undisturbed by a second one."""
    before = [signal.getsignal(one) for one in ENDING]
    order = []

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            order.append("in order")

    with pytest.raises(Interrupted) as ended, signal_handlers():
        work()

    assert order == ["in order"]
    assert ended.value.exit_code == 128 + number
    assert [signal.getsignal(one) for one in ENDING] == before


def test_row_38_nohup_is_respected() -> None:
    """A hang-up that was ignored when podctl began is ignored to its end."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signal_handlers():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_row_38_a_closed_terminal_is_nobody_to_tell() -> None:
    """Writing to a terminal that was closed ends like a cut pipe, and talk to it is dropped."""
    master, slave = pty.openpty()
    os.close(master)
    out, err = (os.fdopen(os.dup(slave), "w") for _ in range(2))
    terminal = Terminal(out=out, err=err)
    terminal.say("nobody hears this")
    with pytest.raises(OutputClosed):
        terminal.data("nobody reads this")
    for stream in (out, err):
        with contextlib.suppress(OSError):  # what it holds still has nowhere to go
            stream.close()
    os.close(slave)


def test_row_38_closing_the_terminal_leaves_the_pod_in_order(
    laptop: Laptop, tmp_path: Path
) -> None:
    """SIGHUP ends podctl with 129, says what bills, leaves no traceback and no second pod; the job
    goes on, and the next command brings it home."""
    laptop.write()
    master, slave = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    with laptop.held(), (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "controller", "run", "hello", "-y"],
            cwd=laptop.folder,
            env={**os.environ, "PODCTL_EMULATOR_URL": laptop.cloud.base_url},
            stdin=slave,
            stdout=slave,
            stderr=err,
            preexec_fn=take_terminal,
        )
        os.close(slave)
        until(laptop.works, 60)
        os.close(master)
        code = process.wait(60)
    told = (tmp_path / "err").read_text()
    laptop.podctl("sync")

    assert code == 128 + signal.SIGHUP
    assert "still billing: pod" in told
    assert "Traceback" not in told
    assert len(laptop.cloud.state()["pods"]) == 1
    assert laptop.living_pods() == []


def test_row_38_a_reader_that_leaves_gets_no_traceback(laptop: Laptop) -> None:
    """`podctl locks | head -1` and the like end quietly, with 141."""
    laptop.write()
    shown = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m controller plan hello | head -c 1; exit ${{PIPESTATUS[0]}}",
        ],
        cwd=laptop.folder,
        env={**os.environ, "PODCTL_EMULATOR_URL": laptop.cloud.base_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "Traceback" not in shown.stderr
    assert shown.returncode in (0, 141)  # 0: all was written before the reader left
