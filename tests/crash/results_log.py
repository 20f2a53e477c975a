"""What a sweep has played, one JSON line a history: a sweep that was broken off goes on from it.

The first line is the code that was swept. Figures of two versions are never added up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash.case import Case
from tests.crash.scenario import Result

ROOT = Path(__file__).resolve().parents[2]
SWEPT = ("controller", "remote", "jobs", "state")


class OtherCode(ValueError):
    """The diary is of another version of podctl."""


@dataclass(frozen=True)
class Diary:
    """One file; `code` is the sha256 of what is swept."""

    path: Path
    code: str

    @classmethod
    def open(cls, path: Path, code: str) -> Diary:
        """A new one, or one of the same code. Raises OtherCode."""
        diary = cls(path, code)
        if not path.exists():
            diary._write({"code": code})
        text = path.read_text()
        path.write_text(text[: text.rfind("\n") + 1])  # a line that was cut off is not written
        if (diary._lines() or [{}])[0] != {"code": code}:
            raise OtherCode(f"{path} is of other code: name another file, or begin without it")
        return diary

    def played(self) -> list[Result]:
        """Every whole entry, oldest first."""
        return [Result(Case.parse(one.pop("case")), **one) for one in self._lines()[1:]]

    def add(self, result: Result) -> None:
        entry = {name: value for name, value in vars(result).items() if name != "case"}
        self._write({"case": str(result.case), **entry})

    def _write(self, entry: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def code() -> str:
    """The sha256 over every Python file that podctl is made of."""
    digest = hashlib.sha256()
    for folder in SWEPT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
