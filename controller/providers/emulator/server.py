"""Runs the emulator, in the foreground or as a separate process."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from controller.credentials.secret import for_children
from controller.errors import PodctlError, UsageError
from controller.providers.emulator.settings import KEY_FILE, EmulatorSettings, new_key
from state.atomic_files import write_atomically

PORT = 8642  # where it listens unless another port is chosen
START_SECONDS = 120.0  # one second on an idle machine
STOP_SECONDS = 30.0


def serve(
    state_dir: Path,
    host: str = "127.0.0.1",
    port: int | None = 0,
    *,
    api_key: str | None = None,
    settings: EmulatorSettings | None = None,
    ready: Callable[[str, str], None] = lambda _url, _key: None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `ready` gets base URL and key once it answers.

    Port 0 is any free one, None the usual one, or any free one where that is taken.
    Without `api_key` one is generated. Both are in the state folder's `emulator.json` meanwhile.
    Pods are stopped at the end, their volumes kept, unless `settings.leave_pods`.
    """
    from controller.providers.emulator.api.uvicorn_server import listen
    from controller.providers.emulator.app import Collector, make_app, make_service
    from controller.providers.emulator.cloud import Cloud
    from controller.providers.emulator.container.container import default_mode

    settings, key = settings or EmulatorSettings(), api_key or new_key()
    with _only_one(state_dir):
        listener = _listener(host, port)
        base_url = f"http://{host}:{listener.getsockname()[1]}"
        cloud = Cloud(state_dir, settings, key)
        service = make_service(cloud)
        # Found by trying, which takes a moment: done before the first pod waits for it.
        threading.Thread(target=default_mode, daemon=True).start()
        service.pods.pod_host.resume()
        collector = Collector(service)

        def announce() -> None:
            write_atomically(state_dir / KEY_FILE, key_document(base_url, key))
            ready(base_url, key)

        collector.start()
        try:
            listen(make_app(service), listener, announce)
        finally:
            (state_dir / KEY_FILE).unlink(missing_ok=True)
            collector.close()
            service.pods.close(leave=settings.leave_pods)
            listener.close()


def key_document(base_url: str, api_key: str) -> bytes:
    """The content of `emulator.json`: base URL, key and pid."""
    document = {"base_url": base_url, "api_key": api_key, "pid": os.getpid()}
    return json.dumps(document).encode() + b"\n"


def _listener(host: str, port: int | None) -> socket.socket:
    if port is None:  # another project's emulator may have it
        try:
            return _listener(host, PORT)
        except UsageError:
            return _listener(host, 0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UsageError(
            f"the emulator cannot listen on {host}:{port}",
            cause=str(error),
            hint=f"podctl emulator env --port {port} if it is yours; "
            "without --port a free one is chosen",
        ) from error
    return listener


@contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Allow one emulator per state folder: two would bill and kill each other's pods."""
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        folder = shlex.quote(str(state_dir))
        os.close(descriptor)
        raise UsageError(
            "another emulator serves this state folder",
            where=str(state_dir),
            hint=f"podctl emulator status --state {folder} shows it; podctl emulator stop "
            f"--state {folder} ends it; --state takes another folder",
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


class EmulatorError(PodctlError):
    """The emulator's process did not start or did not stop."""


@dataclass(frozen=True)
class EmulatorProcess:
    """An emulator in a separate process."""

    base_url: str
    api_key: str = field(repr=False)
    pid: int
    state_dir: Path
    popen: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Send SIGTERM and wait; its settings decide what happens to its pods."""
        self.popen.terminate()
        try:
            self.popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.popen.kill()
            self.popen.wait(5.0)
            raise EmulatorError("the emulator did not end in time and was killed") from error

    def kill(self) -> None:
        """Send SIGKILL; the pods keep running."""
        self.popen.kill()
        self.popen.wait(5.0)


def start_process(
    state_dir: Path,
    *,
    port: int = 0,
    api_key: str | None = None,
    settings: EmulatorSettings | None = None,
    detached: bool = False,
) -> EmulatorProcess:
    """Start `python -m controller.providers.emulator` and wait until it responds.

    `detached` starts it in its own session, so that it outlives the terminal.
    """
    state_dir = state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if running(state_dir) is None:  # what a killed one left; one that runs is still found
        (state_dir / KEY_FILE).unlink(missing_ok=True)
    key = api_key or new_key()
    options = {"port": port, "settings": asdict(settings or EmulatorSettings())}
    log = state_dir / "emulator.log"
    with log.open("ab") as output:
        popen = subprocess.Popen(
            # -P: a project may have folders with the names of podctl's packages.
            [sys.executable, "-P", "-m", "controller.providers.emulator",
             str(state_dir), json.dumps(options)],
            env={**for_children(), "PODCTL_EMULATOR_KEY": key, "PYTHONPATH": import_path()},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=detached,
        )  # fmt: skip
    try:
        base_url = _await_ready(popen, state_dir, time.monotonic() + START_SECONDS)
    except EmulatorError:
        popen.kill()
        popen.wait(5.0)
        raise
    return EmulatorProcess(base_url, key, popen.pid, state_dir, popen)


def import_path() -> str:
    """PYTHONPATH with the folder of `controller` first."""
    root = str(Path(__file__).resolve().parents[3])
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


def _await_ready(popen: subprocess.Popen[bytes], state_dir: Path, deadline: float) -> str:
    while time.monotonic() < deadline:
        if popen.poll() is not None:
            tail = (state_dir / "emulator.log").read_text(errors="replace")[-2000:]
            raise EmulatorError(
                f"the emulator ended at once with status {popen.returncode}",
                where=str(state_dir / "emulator.log"),
                cause=tail.strip(),
            )
        base_url = running(state_dir)
        if base_url is not None:
            return base_url
        time.sleep(0.02)
    raise EmulatorError(
        f"the emulator was not ready within {START_SECONDS:.0f} s",
        where=str(state_dir / "emulator.log"),
    )


def running(state_dir: Path) -> str | None:
    """The base URL of the emulator that serves `state_dir` now; None if none responds."""
    try:
        document = json.loads((state_dir / KEY_FILE).read_text())
        base_url = str(document["base_url"])
        headers = {"Authorization": f"Bearer {document['api_key']}"}
        request = urllib.request.Request(f"{base_url}/_emulator/health", headers=headers)  # noqa: S310 - own file, loopback
        with urllib.request.urlopen(request, timeout=2.0) as reply:  # noqa: S310 - the same
            return base_url if reply.status == 200 else None
    except (OSError, ValueError, KeyError, urllib.error.URLError):
        return None
