"""The files that a stage's environment is made of: they are inputs, whether they are listed or not.

Of a lock file those that it includes, of a project that is installed what its pyproject.toml names
and its packages. Paths are relative to podctl's project.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from controller.errors import UsageError
from controller.project import installed_project
from jobs.stage import EnvironmentNeed
from remote import requirements
from remote.lock_file import PYPROJECT, UV_LOCK
from remote.requirements import Entry

# Locks of other tools, and what makes of each a file that is read.
FOREIGN = {
    "poetry.lock": "poetry export -f requirements.txt -o requirements.txt",
    "pdm.lock": "pdm export -f requirements -o requirements.txt",
    "Pipfile.lock": "pipenv requirements --hash > requirements.txt",
    "Pipfile": "pipenv requirements --hash > requirements.txt",
    "pylock.toml": "uv export --format requirements.txt -o requirements.txt",
    "environment.yml": "pip list --format=freeze > requirements.txt in that environment",
    "environment.yaml": "pip list --format=freeze > requirements.txt in that environment",
    "conda-lock.yml": "pip list --format=freeze > requirements.txt in that environment",
    "setup.py": "uv pip compile setup.py --generate-hashes -o requirements.txt",
    "setup.cfg": "uv pip compile setup.cfg --generate-hashes -o requirements.txt",
}
SETTINGS = "uv.toml"
MOST = 4 * 1024 * 1024  # bytes of a requirements file


def files_of(root: Path, need: EnvironmentNeed) -> tuple[str, ...]:
    """Every path that the environment needs, there or not, as far as what is there can be read."""
    found: list[str] = []
    if need.kind == "lock" and need.lock is not None:
        found += _of_lock(root, need.lock)
    if need.install is not None:
        found += installed_project.files_of(root, need.install)
        found += _settings(root, need.install)
    return tuple(dict.fromkeys(found))


def check(root: Path, need: EnvironmentNeed) -> None:
    """Refuse what cannot be installed on a pod. Raises UsageError."""
    if need.install is not None:
        installed_project.check(root, need.install)
    if need.kind != "lock" or need.lock is None:
        return
    name = posixpath.basename(need.lock)
    if name in FOREIGN:
        raise UsageError(
            f"{need.lock} is a file that podctl does not install from",
            where="environment.lock",
            cause=f"it takes requirements files, {PYPROJECT} and {UV_LOCK}",
            hint=FOREIGN[name],
        )
    if name == UV_LOCK:
        folder = posixpath.dirname(need.lock)
        installed_project.check_sources(root, folder, installed_project.read(root, folder))
    elif name == PYPROJECT:
        installed_project.read(root, posixpath.dirname(need.lock))
    else:
        for file, entry in _entries(root, need.lock):
            _check_entry(root, need, file, entry)


def text_of(root: Path, need: EnvironmentNeed) -> str:
    """Everything that stands in the requirements files that the environment is made of."""
    if need.kind != "lock" or need.lock is None:
        return ""
    if posixpath.basename(need.lock) in (UV_LOCK, PYPROJECT):
        return _text(root, posixpath.join(posixpath.dirname(need.lock), PYPROJECT))
    return "\n".join(entry.text for _, entry in _entries(root, need.lock))


def _of_lock(root: Path, lock: str) -> Iterator[str]:
    folder, name = posixpath.split(lock)
    yield lock
    if name == UV_LOCK:
        yield posixpath.join(folder, PYPROJECT)
    elif name == PYPROJECT:
        yield from installed_project.files_of_metadata(root, folder)
    else:
        for file, entry in _entries(root, lock):
            if path := _beside(file, entry):
                yield path
    yield from _settings(root, folder)


def _settings(root: Path, folder: str) -> Iterator[str]:
    """Settings of uv that hold there: its own file, or a table of the nearest pyproject.toml."""
    while True:
        for name in (SETTINGS, PYPROJECT):
            path = posixpath.join(folder, name)
            if (root / path).is_file() and (name == SETTINGS or "[tool.uv" in _text(root, path)):
                yield path
                return
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _entries(
    root: Path, file: str, seen: frozenset[str] = frozenset()
) -> Iterator[tuple[str, Entry]]:
    """Every entry of a requirements file and of those that it includes, with the file's path."""
    for entry in requirements.entries(_text(root, file)):
        yield file, entry
        if entry.kind in (requirements.FILE, requirements.CONSTRAINT):
            path = _beside(file, entry)
            if path and path not in seen | {file}:
                yield from _entries(root, path, seen | {file})


def _beside(file: str, entry: Entry) -> str:
    """The path in the project that an entry names; empty where it names none."""
    if not entry.local or (entry.kind == requirements.PATH and _is_folder(entry)):
        return ""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), entry.target))
    return "" if path.startswith(("/", "../")) or path in (".", "..") else path


def _is_folder(entry: Entry) -> bool:
    return not entry.target.endswith(requirements.ARCHIVE)


def _check_entry(root: Path, need: EnvironmentNeed, file: str, entry: Entry) -> None:
    if not entry.local:
        return
    here = posixpath.normpath(posixpath.join(posixpath.dirname(file), entry.target))
    if entry.kind == requirements.PATH and _is_folder(entry):
        if here == need.install and not entry.extras:
            return
        raise UsageError(
            f"{file} installs the folder {entry.target}{entry.extras}",
            where=str(root / file),
            cause="an environment is shared by runs, and a folder of the project is one run's",
            hint=f'environment.install = "{here}" installs it for the run'
            + ("; list what its extras need" if entry.extras else ""),
        )
    if not _beside(file, entry):
        raise UsageError(
            f"{file} names {entry.target}, which is not inside the project",
            where=str(root / file),
            hint="put it into the project and name it from there",
        )


def _text(root: Path, path: str) -> str:
    """Empty where it is not there, which is told as of a missing input, or cannot be read."""
    try:
        with (root / path).open("rb") as file:
            return requirements.decoded(file.read(MOST))
    except OSError:
        return ""
