"""The metrics that a job reports while it runs, as JSON lines; standard library only."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ...contract import ENV_METRICS, ENV_RUN_DIR


class MetricsLog:
    """Appends records to the pod's metrics file, and those with a step to the stage's own log."""

    def __init__(self, own: Path) -> None:
        self.own = own
        shared = os.environ.get(ENV_METRICS)
        self._shared = Path(shared) if shared else None

    def message(self, text: str) -> None:
        """Reports the phase of the job in words, for phases without steps."""
        print(text, flush=True)
        self._append(self._shared, {"text": text, "time": time.time()})

    def add(self, record: dict[str, Any]) -> None:
        """Appends a record with `step` to both files."""
        self._append(self._shared, record)
        self._append(self.own, record)

    def truncate_after(self, step: int) -> None:
        """Removes records after `step`, and torn lines, from the stage's own log."""
        if not self.own.is_file():
            return
        lines = [line for line in self.own.read_bytes().splitlines() if _until(line, step)]
        beside = self.own.with_name(f".{self.own.name}.new")
        with beside.open("wb") as stream:
            stream.writelines(line + b"\n" for line in lines)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.own)

    @staticmethod
    def _append(path: Path | None, record: dict[str, Any]) -> None:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record, allow_nan=False) + "\n")


def _until(line: bytes, step: int) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return (
        isinstance(record, dict)
        and isinstance(record.get("step"), int)
        and (record["step"] <= step)
    )


def announce(checkpoint: Path) -> None:
    """Announces to the agent that `checkpoint` is complete and may be downloaded."""
    if folder := os.environ.get(ENV_RUN_DIR):
        with Path(folder, "announced").open("a", encoding="utf-8") as stream:
            stream.write(f"{checkpoint.as_posix()}\n")
