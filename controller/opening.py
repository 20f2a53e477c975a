"""Does a pulled artifact open here? The same checks as the criteria use, on every file."""

from __future__ import annotations

from pathlib import Path

from jobs.opening import opens as _opens

STRUCTURED = {".json", ".jsonl", ".safetensors"}


def opens(path: Path) -> str | None:
    """None when `path` opens, else why not. Nothing is unpickled.

    An empty file is in order where nothing says what must be in it.
    """
    try:
        if path.suffix.lower() not in STRUCTURED and path.stat().st_size == 0:
            return None
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return _opens(path)
