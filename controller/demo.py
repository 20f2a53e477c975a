"""`make demo`: the main job from an empty folder to a locked stage, on the embedded cloud.

Runs podctl's own commands as a user would type them, each printed first, and ends with a summary
of what is here, what it cost, and what the cloud says of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from controller.errors import PodctlError
from controller.terminal import Terminal

STAGE = "stage1c"
COMMAND_SECONDS = 3600.0  # deadline of any one command


def main() -> int:
    """Exit code 0 only when the stage is locked, no pod is left, and the books agree."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-project").absolute()
    terminal = Terminal()
    started = time.monotonic()
    from controller.providers.emulator.server import start_process

    if folder.exists() and any(folder.iterdir()):
        terminal.say(f"{folder} holds an earlier demo: remove it for a fresh one")
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    cloud = start_process(folder.parent / f".{folder.name}-cloud")
    try:
        terminal.say(f"the embedded cloud serves RunPod's API at {cloud.base_url}")
        Demo(folder, cloud.base_url, terminal).play()
    except PodctlError as error:
        terminal.error(error)
        return error.exit_code
    finally:
        cloud.stop()
    terminal.say(f"done in {time.monotonic() - started:.0f} s")
    return 0


class Demo:
    """One walk through the main job."""

    def __init__(self, folder: Path, base_url: str, terminal: Terminal) -> None:
        self._folder = folder
        self._terminal = terminal
        self._environment = os.environ | {"PODCTL_EMULATOR_URL": base_url}

    def play(self) -> None:
        self._podctl("init", "--demo")
        self._podctl("doctor", "--register")
        self._podctl("plan", STAGE)
        self._podctl("run", STAGE, "-y")
        again = self._podctl("run", STAGE, "-y", may_fail=True)
        if again != 4:
            raise PodctlError(f"a locked stage did not refuse to run: exit code {again}")
        self._podctl("verify", "--all")
        self._podctl("cost")
        self._summary()

    def _podctl(self, *words: str, may_fail: bool = False) -> int:
        self._terminal.say(f"\n$ podctl {' '.join(words)}")
        done = subprocess.run(
            [sys.executable, "-m", "controller", *words],
            cwd=self._folder,
            env=self._environment,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode and not may_fail:
            raise PodctlError(f"podctl {words[0]} ended with exit code {done.returncode}")
        return done.returncode

    def _read(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "controller", *words, "--json"],
            cwd=self._folder,
            env=self._environment,
            timeout=COMMAND_SECONDS,
            check=True,
            capture_output=True,
        )
        return json.loads(done.stdout)

    def _summary(self) -> None:
        """What a user would want to be sure of; each line is measured, none is assumed."""
        from controller import certificate

        lock = certificate.read_all(self._folder)[STAGE]
        pods = self._read("gc")["pods"]
        books = self._read("cost", "--reconcile")
        opened = _open_adapter(self._folder)
        say = self._terminal.say
        say("\nsummary")
        for criterion in lock.criteria:
            say(f"  PASS  {criterion.criterion}: {criterion.detail or criterion.measured}")
        say(f"  the adapter opens with peft: {opened}")
        say(f"  pods left at the provider: {len(pods)}")
        ours, theirs = (
            sum(row[key] for row in books["pods"]) for key in ("ledger_usd", "billed_usd")
        )
        say(f"  ledger ${ours:.4f}, the cloud's bill ${theirs:.4f}")
        if pods:
            raise PodctlError("a pod is left at the provider", hint="podctl gc")
        if not books["agrees"]:
            raise PodctlError("the ledger and the bill differ", hint="podctl cost --reconcile")


def _open_adapter(folder: Path) -> str:
    """Load base and adapter in a process of its own; the controller imports no torch."""
    done = subprocess.run(
        [sys.executable, "-m", "remote.stages.open_adapter", "checkpoints/stage1_sft"],
        cwd=folder,
        timeout=600,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PodctlError("the adapter does not open", cause=done.stderr[-2000:])
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
