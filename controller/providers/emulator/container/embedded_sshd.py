"""An SSH server for pods on machines without OpenSSH: exec, shell with a terminal, SFTP.

Run as `python -m controller.providers.emulator.container.embedded_sshd SETTINGS.json`, or as a
copy of this file inside a pod: it imports nothing of podctl. Like OpenSSH it keeps a session's
processes running when the client disconnects; only a terminal hangs up.
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
from typing import IO, Any

import asyncssh

_CHUNK = 256 * 1024
_END_OF_INPUT, _INTERRUPT = b"\x04", b"\x03"  # as sent by a terminal's keys


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
    """Accepts the pod's user, with a key of the current authorized_keys."""

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
        return True  # forwarding, as OpenSSH's default


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
        local, peer = process.get_extra_info("sockname"), process.get_extra_info("peername")
        session = {
            "HOME": settings.home,
            "USER": settings.user,
            "LOGNAME": settings.user,
            "SHELL": settings.shell,
            "SSH_CONNECTION": f"{peer[0]} {peer[1]} {local[0]} {local[1]}",
            "SSH_CLIENT": f"{peer[0]} {peer[1]} {local[1]}",
        }
        term = {"TERM": process.term_type} if process.term_type else {}
        return {**session, **term, **settings.env}

    def _spawn(self, argv: list[str], stdio: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            stdin=stdio,
            stdout=stdio,
            stderr=stdio,
            env=self._environment(),
            cwd=self._settings.home,
            start_new_session=True,
            bufsize=0,
        )

    async def _run_piped(self) -> None:
        popen = self._spawn(self._argv(), subprocess.PIPE)
        assert popen.stdin is not None
        assert popen.stdout is not None
        assert popen.stderr is not None
        feed = asyncio.create_task(self._feed_pipe(popen.stdin))
        output = asyncio.gather(
            _copy_pipe(popen.stdout, self._process.stdout),
            _copy_pipe(popen.stderr, self._process.stderr),
        )
        code = await _ended(popen)
        await output  # until the pipes are read to their ends
        feed.cancel()
        self._report(code)

    async def _feed_pipe(self, pipe: IO[bytes]) -> None:
        """Forward the client's input until its end, then close the command's input."""
        with contextlib.suppress(OSError), pipe:
            os.set_blocking(pipe.fileno(), False)
            while data := await self._read():
                while data:
                    await _writable(pipe.fileno())
                    data = data[os.write(pipe.fileno(), data) :]

    async def _read(self) -> bytes:
        try:
            return await self._process.stdin.read(_CHUNK)
        except asyncssh.SignalReceived:
            return b""

    async def _run_in_terminal(self) -> None:
        master, slave = pty.openpty()
        self._resize(master)
        argv = [sys.executable, "-S", "-c", _TAKE_TERMINAL, *self._argv()]
        try:
            popen = self._spawn(argv, slave)
        finally:
            os.close(slave)
        keys = asyncio.create_task(self._feed_terminal(master))
        output = asyncio.create_task(_copy(master, self._process.stdout))
        code = await self._ended_or_hung_up(popen)
        await asyncio.wait([output], timeout=1.0)  # flush the last output
        for task in (keys, output):
            task.cancel()
        await asyncio.wait([keys, output])
        os.close(master)
        self._report(code)

    async def _ended_or_hung_up(self, popen: subprocess.Popen[bytes]) -> int:
        ended = asyncio.create_task(_ended(popen))
        closed = asyncio.create_task(self._process.wait_closed())
        await asyncio.wait([ended, closed], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGHUP)
        closed.cancel()
        return await ended

    async def _feed_terminal(self, master: int) -> None:
        """Forward keys and window sizes to the terminal."""
        data = b""
        while data != _END_OF_INPUT:
            try:
                data = await self._process.stdin.read(_CHUNK) or _END_OF_INPUT
            except asyncssh.TerminalSizeChanged:
                self._resize(master)
                continue
            except (asyncssh.BreakReceived, asyncssh.SignalReceived):
                data = _INTERRUPT
            with contextlib.suppress(OSError):
                os.write(master, data)

    def _resize(self, master: int) -> None:
        width, height, pixel_width, pixel_height = self._process.term_size
        size = struct.pack("HHHH", height or 24, width or 80, pixel_width, pixel_height)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)

    def _report(self, code: int) -> None:
        if self._process.is_closing():
            return
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


async def _copy_pipe(pipe: IO[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
    with pipe:  # closed early when the client is closed: the command gets SIGPIPE
        await _copy(pipe.fileno(), writer)


async def _copy(descriptor: int, writer: asyncssh.SSHWriter[bytes]) -> None:
    """Send the output of a pipe or terminal until it or the client ends."""
    os.set_blocking(descriptor, False)
    with contextlib.suppress(OSError):  # EIO: the last process closed the terminal
        while True:
            await _readable(descriptor)
            data = os.read(descriptor, _CHUNK)
            if not data:
                return
            writer.write(data)
            await writer.drain()


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)


async def _ended(popen: subprocess.Popen[bytes]) -> int:
    """The exit status, without one thread per session."""
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
