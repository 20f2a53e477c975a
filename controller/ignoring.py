"""What .gitignore and .podctlignore keep at home."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pathspec import GitIgnoreSpec

ALWAYS = (
    ".git/",
    ".hg/",
    ".svn/",
    ".podctl/",
    "__pycache__/",
    "*.pyc",
    ".venv/",
    "venv/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".pytest_cache/",
    ".ipynb_checkpoints/",
    ".DS_Store",
)


class Ignores:
    """The ignore files of a project, read folder by folder as the walk meets them."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._always = GitIgnoreSpec.from_lines(ALWAYS)
        self._specs: dict[tuple[str, str], GitIgnoreSpec | None] = {}

    def ignored(self, path: str, *, folder: bool, git: bool) -> bool:
        """Whether `path` (relative, with `/`) stays at home; .gitignore counts only if `git`."""
        shown = f"{path}/" if folder else path
        names = (".gitignore", ".podctlignore") if git else (".podctlignore",)
        if self._always.match_file(shown):
            return True
        return any(self._says(name, path, shown) for name in names)

    def _says(self, name: str, path: str, shown: str) -> bool:
        """The deepest ignore file that has an opinion decides, as git has it."""
        parts = path.split("/")
        for depth in range(len(parts) - 1, -1, -1):
            base = "/".join(parts[:depth])
            if (spec := self._spec(name, base)) is None:
                continue
            verdict = spec.check_file(shown[len(base) + 1 :] if base else shown).include
            if verdict is not None:
                return verdict
        return False

    def _spec(self, name: str, base: str) -> GitIgnoreSpec | None:
        if (name, base) not in self._specs:
            self._specs[name, base] = self._read(self._project / base / name)
        return self._specs[name, base]

    def _read(self, path: Path) -> GitIgnoreSpec | None:
        try:
            lines: Iterable[str] = path.read_text("utf-8", "replace").splitlines()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return GitIgnoreSpec.from_lines(lines)

    def anywhere_ignored(self, path: str, *, folder: bool) -> bool:
        """Whether .gitignore hides `path` or a folder above it."""
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return any(self._says(".gitignore", one, f"{one}/") for one in above) or self._says(
            ".gitignore", path, f"{path}/" if folder else path
        )
