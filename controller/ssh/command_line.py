"""Quotes commands for the remote shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence


def command_line(
    argv: Sequence[str], cwd: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Quote `argv` for the remote shell; nothing else quotes. `env` must not hold secrets."""
    words = (
        ["env", *(f"{name}={value}" for name, value in env.items()), *argv] if env else list(argv)
    )
    line = f"exec {shlex.join(words)}"
    return line if cwd is None else f"cd {shlex.quote(cwd)} && {line}"
