"""Runs uv with the settings that were handed over, and extracts the reason of a failure."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..light_dataclasses import dataclass
from ..pod import atomic_files
from ..pod.command import Command, Result, wait_all
from . import uv_pin

QUICK_SECONDS = 60.0  # asking an interpreter what it has
WARNING = re.compile(r"(?:warning|notice|deprecation)\b|\[notice\]", re.IGNORECASE)
ERROR = re.compile(
    r"error\b|[\u00d7\u2717x] |could not|no matching|no solution|[a-z_.]*error:", re.IGNORECASE
)
TOLD = 12  # lines of a failure that are told
SAID = 64 * 1024  # bytes of a program's output that are looked at


class EnvironmentFailed(Exception):
    """The environment could not be installed; the text is for the user."""


@dataclass(frozen=True)
class BuildContext:
    """What building needs: `run(argv, seconds)` logs to the job's log and may be interrupted."""

    root: Path  # <mount>/podctl
    env: Mapping[str, str]
    log: Path
    scratch: Path  # container-local
    tick: Callable[[], None]
    boot: str = "boot"  # one life of a container: whose half-built folders are whose

    def ask(self, argv: list[str]) -> str | None:
        """The output of a short program; None when it fails."""
        output = self.scratch / "answer"
        output.write_bytes(b"")
        result = self._run(argv, output, QUICK_SECONDS)
        return result.output if result.rc == 0 else None

    def run(self, argv: list[str], seconds: float) -> None:
        """Do one step of building. Raises `EnvironmentFailed`."""
        self.say(" ".join(argv))
        result = self._run(argv, self.log, seconds)
        if result.rc is None:
            raise EnvironmentFailed(f"not ready within {seconds:.0f} s: {' '.join(argv[:4])} …")
        if result.rc != 0:
            raise EnvironmentFailed(reason(result.output) or f"{argv[0]} failed")

    def say(self, text: str) -> None:
        with self.log.open("ab") as log:
            log.write(f"podctl: {text}\n".encode())

    def _run(self, argv: list[str], output: Path, seconds: float) -> Result:
        start = output.stat().st_size if output.exists() else 0
        try:
            command = Command(argv, env=self.env, cwd=self.root, output=output, seconds=seconds)
        except OSError as error:
            return Result(127, f"{argv[0]}: {error.strerror}")
        (result,) = wait_all([command], self.tick)
        return Result(result.rc, _since(output, start)) if result.rc else result


def _since(output: Path, start: int) -> str:
    """The output from `start` on; of a long one the beginning and the end."""
    with output.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
        head = file.read(min(end - start, SAID))
        file.seek(max(start + len(head), end - SAID))
        return (head + file.read(SAID)).decode(errors="replace").strip()


def reason(output: str) -> str:
    """From the line that says why an installation failed, without warnings; pip's or uv's.

    What a build backend wrote stands at the end: of a long failure both are told.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    messages = [line for line in lines if not WARNING.match(line)]
    first = next(
        (n for n, line in enumerate(messages) if ERROR.match(line)), max(0, len(messages) - TOLD)
    )
    shown = messages[first:]
    if len(shown) > TOLD:
        shown = [*shown[: TOLD // 2], "…", *shown[-TOLD // 2 :]]
    return "; ".join(shown)


def find_uv(base: Path, context: BuildContext) -> list[str]:
    """argv of uv: the pod's, else the pinned one, fetched into the volume.

    It is fetched beside and renamed: pods may share the volume. Raises `EnvironmentFailed`.
    """
    tools = context.root / "tools" / f"uv-{uv_pin.VERSION}"
    for path in (shutil.which("uv", path=context.env["PATH"]), str(tools / "bin" / "uv")):
        if path and context.ask([path, "--version"]):
            return [path]
    if context.ask([str(base), "-m", "uv", "--version"]):
        return [str(base), "-m", "uv"]
    with beside(tools, context.boot) as half:
        pin = context.scratch / "uv.txt"
        pin.write_text(uv_pin.requirement())
        fetch = [str(base), "-m", "pip", "install", "--quiet", "--target", str(half)]
        context.run([*fetch, "--no-deps", "--require-hashes", "-r", str(pin)], QUICK_SECONDS * 5)
    return [str(tools / "bin" / "uv")]


@contextmanager
def beside(folder: Path, boot: str) -> Iterator[Path]:
    """A temporary folder that is renamed to `folder` when it is complete.

    If another pod on this volume made the same meanwhile, that one is kept.
    """
    half = folder.with_name(f".{folder.name[:16]}.{boot[:16]}.half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        yield half
        atomic_files.sync_disk(
            half
        )  # a rename before the content is synced could leave an incomplete folder
        try:
            os.rename(half, folder)
        except OSError:
            if not folder.is_dir():
                raise
        atomic_files.sync_folder(folder.parent)
    finally:
        shutil.rmtree(half, ignore_errors=True)
