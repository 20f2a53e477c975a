"""A real terminal of a fixed size: commands typed into a shell in tmux, and what it shows."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PROMPT = "% "
_MASKS = (
    (re.compile(r"\b(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{14}\b"), "POD"),
    (re.compile(r"/\S+/project\b"), "PROJECT"),
    (re.compile(r"\b[0-9a-f]{12,64}\b"), "HASH"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "0"),
    (re.compile(r"\b0 (?:s|min|h)\b"), "0 s"),
    (re.compile(r" {2,}"), "  "),
    (re.compile(r"[━╸╺]+"), "━"),
    (re.compile(r"[▁▂▃▄▅▆▇█]+"), "▁"),
)


@dataclass
class Tmux:
    """One session."""

    socket: str
    folder: Path

    def tmux(self, *words: str) -> str:
        argv = ["tmux", "-L", self.socket, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout

    def type(self, line: str) -> None:
        self.tmux("send-keys", "-t", "main", line, "Enter")

    def keys(self, *keys: str) -> None:
        """Press keys by tmux's names, such as "C-c"."""
        self.tmux("send-keys", "-t", "main", *keys)

    def resize(self, columns: int, rows: int) -> None:
        self.tmux("resize-window", "-t", "main", "-x", str(columns), "-y", str(rows))

    def screen(self, *, joined: bool = False) -> str:
        """What is shown; `joined`: lines that the terminal itself wrapped are one."""
        words = ["-J"] if joined else []
        text = self.tmux("capture-pane", "-p", "-t", "main", *words)
        return "\n".join(line.rstrip() for line in text.rstrip("\n").split("\n"))

    def until(self, shows: Callable[[str], bool], seconds: float = 90.0) -> str:
        """The first screen that satisfies `shows`."""
        deadline = time.monotonic() + seconds
        while not shows(text := self.screen()):
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        return text

    def run(self, command: str) -> str:
        """Clear the screen, run a command to its end; returns what it shows."""
        self.tmux("clear-history", "-t", "main")
        mark = uuid.uuid4().hex[:8]
        self.type(f"clear; {command}; echo end-{mark[:4]}''{mark[4:]}")
        text = self.until(lambda screen: f"end-{mark}" in screen)
        return text.partition(f"end-{mark}")[0].rstrip("\n")


@contextmanager
def tmux(
    folder: Path, environment: Mapping[str, str], columns: int = 80, rows: int = 24
) -> Iterator[Tmux]:
    """A shell in `folder` on a terminal of that size."""
    session = Tmux(f"podctl-{uuid.uuid4().hex[:8]}", folder)
    size = ("-x", str(columns), "-y", str(rows))
    session.tmux("-f", "/dev/null", "new-session", "-d", "-s", "main", *size, "bash --norc")
    try:
        exports = " ".join(f"{name}={shlex.quote(text)}" for name, text in environment.items())
        session.type(f"cd {shlex.quote(str(folder))}; export PS1='{PROMPT}' {exports}; clear")
        session.until(lambda screen: screen.strip() == PROMPT.strip())
        yield session
    finally:
        session.tmux("kill-server")


def masked(screen: str) -> str:
    """A screen without what differs from run to run: numbers, pods, hashes, places."""
    for pattern, text in _MASKS:
        screen = pattern.sub(text, screen)
    return screen.strip() + "\n"
