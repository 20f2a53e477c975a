"""The error with which a stage program ends."""

from __future__ import annotations


class StageError(Exception):
    """What is wrong, where, and the remedy; the programs print it to stderr and exit with 1."""

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.what}\nremedy: {self.remedy}"
