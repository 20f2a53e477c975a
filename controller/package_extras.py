"""The command that installs an optional part of podctl, as podctl itself was installed."""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_hint(extra: str) -> str:
    """`pip install 'podctl[EXTRA]'`; from a checkout, the command that installs it from there."""
    root = checkout()
    if root is None:
        return f"pip install 'podctl[{extra}]'"
    change = "" if root == Path.cwd() else f"cd {shlex.quote(str(root))} && "
    return f"{change}pip install '.[{extra}]'"


def checkout() -> Path | None:
    """The folder from which podctl runs or was installed; None if that was an index."""
    running = Path(__file__).resolve().parents[1]
    if (running / "pyproject.toml").is_file():
        return running
    try:
        origin = json.loads(distribution("podctl").read_text("direct_url.json") or "{}")
        parts = urlsplit(str(origin.get("url", "")))
    except (PackageNotFoundError, ValueError, AttributeError):
        return None
    root = Path(unquote(parts.path))
    return root if parts.scheme == "file" and (root / "pyproject.toml").is_file() else None
