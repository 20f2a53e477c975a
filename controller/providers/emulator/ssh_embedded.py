"""An SSH server for pods on machines without OpenSSH's: exec, shell with a terminal, SFTP.

Run as `python -m controller.providers.emulator.ssh_embedded SETTINGS.json`, or as a copy of this
file inside a pod: it imports nothing of ours. Like OpenSSH it leaves a session's processes alone
when the client goes; only a terminal hangs up.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

_CHUNK = 256 * 1024
_SFTP_SUFFIX = "/sftp-server"


@dataclass(frozen=True)
class Settings:
    """Read from the JSON file; paths are as this process sees them."""

    port: int
    user: str
    home: str
    shell: str
    env: dict[str, str]  # of every session
    host_keys: list[str]
    authorized_keys: str  # read at every login


class _Server(asyncssh.SSHServer):
    """Who may log in: the pod's user, with a key of authorized_keys as it is now."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn = conn

    def begin_auth(self, username: str) -> bool:
        keys = self._settings.authorized_keys
        if username in ("root", self._settings.user) and os.path.exists(keys):
            self._conn.set_authorized_keys(keys)
        return True

    def connection_requested(self, *_: Any) -> bool:
        return True  # forwarding, as OpenSSH's default has it


class _Session:
    """One exec or shell on one channel."""

    def __init__(self, settings: Settings, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self._settings = settings
        self._process = process

    async def run(self) -> None:
        try:
            if self._process.term_type is None:
                await self._run_piped()
            else:
                await self._run_in_terminal()
        except OSError as error:
            self._process.stderr.write(f"{self._settings.shell}: {error.strerror}\n".encode())
            self._process.exit(127)

    def _argv(self) -> list[str]:
        command = self._process.command
        return [self._settings.shell, *(["-l"] if command is None else ["-c", command])]

    def _environment(self) -> dict[str, str]:
        settings, process = self._settings, self._process
        here, there = process.get_extra_info("sockname"), process.get_extra_info("peername")
        session = {
            "HOME": settings.home,
            "USER": settings.user,
            "LOGNAME": settings.user,
            "SHELL": settings.shell,
            "SSH_CONNECTION": f"{there[0]} {there[1]} {here[0]} {here[1]}",
            "SSH_CLIENT": f"{there[0]} {there[1]} {here[1]}",
        }
        term = {"TERM": process.term_type} if process.term_type else {}
        return {**session, **term, **settings.env}

    def _spawn(self, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv(),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=self._environment(),
            cwd=self._settings.home,
            start_new_session=True,
        )

    async def _run_piped(self) -> None:
        popen = self._spawn(subprocess.PIPE, subprocess.PIPE, subprocess.PIPE)
        await self._process.redirect(popen.stdin, popen.stdout, popen.stderr)
        self._report(await _ended(popen))

    async def _run_in_terminal(self) -> None:
        master, slave = pty.openpty()
        try:
            self._resize(master)
            popen = subprocess.Popen(
                [sys.executable, "-S", "-c", _TAKE_TERMINAL, *self._argv()],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env=self._environment(),
                cwd=self._settings.home,
                start_new_session=True,
            )
        finally:
            os.close(slave)
        keyboard = asyncio.create_task(self._feed(master))
        shown = asyncio.create_task(self._show(master))
        code = await _ended(popen)
        await asyncio.wait([shown], timeout=1.0)  # what it printed last
        keyboard.cancel()
        shown.cancel()
        os.close(master)
        self._report(code)

    async def _feed(self, master: int) -> None:
        """Keys and window sizes to the terminal; a client that is gone hangs it up."""
        while True:
            try:
                data = await self._process.stdin.read(_CHUNK)
            except asyncssh.TerminalSizeChanged:
                self._resize(master)
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                data = b"\x03"
            if not data:
                data = b"\x04"
            with contextlib.suppress(OSError):
                os.write(master, data)
            if data == b"\x04":
                return

    async def _show(self, master: int) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                data = await loop.run_in_executor(None, os.read, master, _CHUNK)
            except OSError:  # EIO: the last process closed the terminal
                return
            if not data:
                return
            self._process.stdout.write(data)
            await self._process.stdout.drain()

    def _resize(self, master: int) -> None:
        width, height, pixel_width, pixel_height = self._process.term_size
        size = struct.pack("HHHH", height or 24, width or 80, pixel_width, pixel_height)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)

    def _report(self, code: int) -> None:
        if code < 0:
            self._process.exit_with_signal(signal.Signals(-code).name.removeprefix("SIG"))
        else:
            self._process.exit(code)


# Makes the terminal on stdin the session's own, then becomes the shell.
_TAKE_TERMINAL = (
    "import fcntl,os,sys,termios;"
    "fcntl.ioctl(0,termios.TIOCSCTTY,0);"
    "os.execv(sys.argv[1],sys.argv[1:])"
)


async def _ended(popen: subprocess.Popen[bytes]) -> int:
    """The exit status, without a thread a session."""
    pause = 0.002
    while (code := popen.poll()) is None:
        await asyncio.sleep(pause)
        pause = min(pause * 1.3, 0.05)
    return code


async def serve(settings: Settings) -> None:
    """Listen on 127.0.0.1 until the process is killed."""

    async def on_process(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await _Session(settings, process).run()

    os.chdir(settings.home)
    await asyncssh.create_server(
        lambda: _Server(settings),
        "127.0.0.1",
        settings.port,
        server_host_keys=settings.host_keys,
        process_factory=on_process,
        sftp_factory=True,
        allow_scp=True,
        encoding=None,
        line_editor=False,
        reuse_address=True,
    )
    await asyncio.Event().wait()


def main(arguments: list[str]) -> int:
    settings = Settings(**json.loads(Path(arguments[0]).read_text()))
    asyncio.run(serve(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
