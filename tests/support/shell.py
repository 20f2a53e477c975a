"""podctl without a process of its own: as fast as a function, and as the command line sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from controller.cli.main import run
from controller.project.project import Project


class Shell:
    """podctl in this process, in one project folder, without a terminal."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.project = Project(folder)
        self._capsys = capsys
        self.err = ""

    def __call__(self, *words: str, expect: int = 0) -> str:
        """What the command says on stdout."""
        self._capsys.readouterr()
        code = run(words)
        shown = self._capsys.readouterr()
        self.err = shown.err
        assert code == expect, f"{code}\n{shown.out}\n{shown.err}"
        return shown.out

    def json(self, *words: str, expect: int = 0) -> Any:
        return json.loads(self(*words, "--json", expect=expect))
