"""The Python that vLLM is installed in: its own, since it pins another torch than the stages'."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ..common.failure import StageError

REQUIREMENTS = ("vllm==0.33.0", "bitsandbytes==0.50.2")
PYTHON = "PODCTL_VLLM_PYTHON"  # names a Python that has vLLM: nothing is installed then
_LONGEST = 1800.0  # seconds of one step of the installation
_LINES = 6  # of its output, in the error


def interpreter() -> str:
    """The Python with vLLM, made at its first use. Raises: StageError."""
    if named := os.environ.get(PYTHON):
        return named
    key = hashlib.sha256(repr((REQUIREMENTS, sys.version_info[:2])).encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = home / "podctl-vllm" / key
    if not place.is_dir():
        _make(place)
    return str(place / "bin" / "python")


def _make(place: Path) -> None:
    """Beside, and with its name only when it is complete."""
    half = place.with_name(f".{place.name}.{os.getpid()}.half")
    python = str(half / "bin" / "python")
    uv = _uv(place)
    if uv:
        steps = [
            [uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(half)],
            [uv, "pip", "install", "--quiet", "--python", python, *REQUIREMENTS],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(half)],
            [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS],
        ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        half.parent.mkdir(parents=True, exist_ok=True)
        for step in steps:
            done = subprocess.run(
                step, env=environment, capture_output=True, text=True, timeout=_LONGEST
            )
            if done.returncode:
                raise _failed("; ".join((done.stderr or done.stdout).splitlines()[-_LINES:]))
        if not place.is_dir():
            os.rename(half, place)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(str(error)) from error
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _uv(place: Path) -> str | None:
    """The pod's uv: on the path, or the one that podctl fetched onto the volume."""
    fetched = sorted(place.parents[2].glob("tools/uv-*/bin/uv"))
    return shutil.which("uv") or next((str(path) for path in fetched), None)


def _failed(why: str) -> StageError:
    return StageError(
        f"engine: vLLM cannot be installed: {why}",
        remedy='set engine = "auto", or name a Python that has vLLM in the stage\'s env as '
        f"{PYTHON}",
    )
