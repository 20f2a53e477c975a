"""Checks the libraries of the emulator, which are an optional extra."""

from __future__ import annotations

from importlib.util import find_spec

from controller.errors import UsageError
from controller.package_extras import install_hint

LIBRARIES = ("asyncssh", "graphql", "psutil", "starlette", "uvicorn")


def check_installed() -> None:
    """Raises UsageError with the command that installs missing libraries."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            "the emulator is not installed",
            cause=f"missing: {', '.join(missing)}",
            hint=install_hint("emulator"),
        )
