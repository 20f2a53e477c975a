"""How a stage says that it cannot go on."""

from __future__ import annotations


class StageError(Exception):
    """What is wrong, where, and the remedy; printed to stderr as the job's last words."""

    def __init__(self, what: str, *, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"error: {self.what}\nremedy: {self.remedy}"
