"""The results of a sweep, one JSON line per history, from which an interrupted sweep continues.

The first line identifies the tested code, because results of two versions must not be added up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.case import Case
from tests.crash.result import Result

ROOT = Path(__file__).resolve().parents[2]
SWEPT = ("controller", "remote", "jobs", "state")


class OtherCode(ValueError):
    """The log belongs to another version of podctl."""


@dataclass(frozen=True)
class ResultsLog:
    """One file; `code` is the sha256 of what is swept."""

    path: Path
    code: str

    @classmethod
    def open(cls, path: Path, code: str) -> ResultsLog:
        """Open or create a log. Raises OtherCode for a log of another version."""
        log = cls(path, code)
        if not path.exists():
            log._write({"code": code})
        text = path.read_text()
        path.write_text(text[: text.rfind("\n") + 1])  # drop an incomplete last line
        if (log._lines() or [{}])[0] != {"code": code}:
            raise OtherCode(f"{path} is of other code: name another file, or start without it")
        return log

    def played(self) -> list[Result]:
        """Every complete entry, oldest first."""
        return [Result(Case.parse(line.pop("case")), **line) for line in self._lines()[1:]]

    def add(self, result: Result) -> None:
        entry = {name: value for name, value in vars(result).items() if name != "case"}
        self._write({"case": str(result.case), **entry})

    def _write(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def code() -> str:
    """The sha256 over every Python file of podctl."""
    digest = hashlib.sha256()
    for folder in SWEPT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
