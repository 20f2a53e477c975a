"""`podctl emulator start`, `stop` and `status`: the emulator as a process in the background."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.errors import NotFound, PodctlError

if TYPE_CHECKING:
    from controller.providers.emulator_keys import EmulatorFile

START_SECONDS = 60.0  # it takes one on an idle machine
STOP_SECONDS = 60.0  # its pods are stopped first
POLL_SECONDS = 0.05
REQUEST_SECONDS = 5.0
LOG = "emulator.log"


def start(folder: Path, arguments: list[str], cwd: Path, show: Path | None) -> EmulatorFile:
    """Start `podctl emulator` in a session of its own, and wait until it answers.

    `folder` is its state folder, `show` the file by which the project's commands find it.

    Raises: PodctlError when it ends at once or does not answer in time.
    """
    from controller.credentials.secret import for_children
    from controller.providers.emulator.server import import_path

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder / LOG
    with log.open("ab") as output:
        began = output.tell()
        process = subprocess.Popen(
            # -P: a project may have folders that are called as our packages are.
            [sys.executable, "-P", "-m", "controller", "emulator", "--state", str(folder),
             *arguments],
            cwd=cwd,
            env={**for_children(), "PYTHONPATH": import_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # it prints its key
            stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        return _await_answer(process, folder, began, show)
    except BaseException:  # Ctrl-C as well: it must not go on unseen
        process.kill()
        raise


def _await_answer(
    process: subprocess.Popen[bytes], folder: Path, began: int, show: Path | None
) -> EmulatorFile:
    """Its file, once it answers; `began` is where its lines in the log begin."""
    from controller.providers import emulator_keys
    from controller.providers.emulator.server import running

    log = folder / LOG
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            text = log.read_bytes()[began:].decode(errors="replace").strip()
            raise PodctlError(
                "the emulator ended at once", where=str(log), cause=text, hint="podctl emulator"
            )
        file = emulator_keys.read(folder / emulator_keys.FILE)
        answers = file is not None and file.pid == process.pid and running(folder)
        if file is not None and answers and (show is None or show.exists()):
            return file
        time.sleep(POLL_SECONDS)
    raise PodctlError(f"the emulator did not answer within {START_SECONDS:.0f} s", where=str(log))


def stop(emulator: EmulatorFile) -> None:
    """End it with SIGTERM and wait until it is gone. Raises PodctlError when it does not end."""
    if emulator.pid is None or state_of(emulator) is None:
        raise NotFound(
            "the emulator does not answer", where=emulator.base_url, hint="podctl emulator start"
        )
    os.kill(emulator.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not _exists(emulator.pid):
            return
        time.sleep(POLL_SECONDS)
    raise PodctlError(
        f"the emulator did not end within {STOP_SECONDS:.0f} s",
        where=f"process {emulator.pid}",
        hint=f"kill -9 {emulator.pid}",
    )


def _exists(pid: int) -> bool:
    """Whether the process is there; a child of this process that has ended is not."""
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        ended = 0
    if ended:
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def state_of(emulator: EmulatorFile) -> dict[str, Any] | None:
    """Balance and running pods, as the emulator itself reports them; None without an answer."""
    try:
        reply = _get(emulator, "/_emulator/state")
        pods = [pod["id"] for pod in reply["pods"] if pod["status"] == "RUNNING"]
        return {"balance_usd": float(reply["balance"]), "running_pods": pods}
    except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
        return None


def _get(emulator: EmulatorFile, path: str) -> Any:
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    request = urllib.request.Request(emulator.base_url + path, headers=headers)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as reply:  # noqa: S310 - the same
        return json.loads(reply.read())
