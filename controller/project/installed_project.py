"""A Python project that is installed on a pod: what its pyproject.toml names, and its packages."""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.errors import UsageError
from controller.transfer.declared_paths import is_there

PYPROJECT = "pyproject.toml"
# What build backends read by themselves where it is there.
METADATA = (PYPROJECT, "setup.py", "setup.cfg", "MANIFEST.in", "uv.lock", "uv.toml")
# Folders of modules at the top that are no part of what is installed.
_ASIDE = frozenset(
    [
        *("benchmark", "benchmarks", "build", "ci", "dist", "doc", "docs", "example", "examples"),
        *("notebooks", "scripts", "site", "task", "tasks", "test", "tests", "tools"),
    ]
)
_FOLDERS = (
    "packages",
    "package-dir",
    "where",
    "module-root",
    "from",
    "backend-path",
    "only-include",
)


def check(root: Path, folder: str) -> None:
    """Raises UsageError for what no build backend could install."""
    place = root / folder
    if not place.is_dir():
        raise UsageError(
            f"environment.install: there is no folder {folder}",
            where=str(place),
            hint='install = "." is the project itself',
        )
    if not any((place / name).is_file() for name in (PYPROJECT, "setup.py")):
        raise UsageError(
            f"environment.install: {folder} has neither {PYPROJECT} nor setup.py",
            where=str(place),
            hint=f"uv init --bare {folder}, or name the folder that has one",
        )
    table = _table(read(root, folder), "project")
    for path in _readme(table):
        if not (place / path).is_file():
            raise UsageError(
                f"{posixpath.join(folder, PYPROJECT)} names {path}, which is not there",
                where=str(place / path),
                hint="the project cannot be built without it: create it, or correct the key",
            )


def check_sources(root: Path, folder: str, document: Mapping[str, Any]) -> None:
    """Refuse a lock whose packages are folders of this machine. Raises UsageError."""
    sources = _table(_table(_table(document, "tool"), "uv"), "sources")
    for name, source in sources.items():
        for one in source if isinstance(source, list) else [source]:
            if isinstance(one, dict) and ({"path", "workspace"} & one.keys()):
                raise UsageError(
                    f"{posixpath.join(folder, PYPROJECT)} takes {name} from a folder",
                    where=str(root / folder / PYPROJECT),
                    cause="an environment is shared by runs, and a folder is one run's",
                    hint=f"environment.install = FOLDER installs one; uv export --no-emit-package "
                    f"{name} -o requirements.txt locks the rest",
                )


def read(root: Path, folder: str) -> Mapping[str, Any]:
    """pyproject.toml of `folder`; empty where there is none. Raises UsageError."""
    path = root / folder / PYPROJECT
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{posixpath.normpath(posixpath.join(folder, PYPROJECT))} cannot be read",
            where=str(path),
            cause=str(error),
            hint="correct it; uv lock or python -m build shows more",
        ) from error


def depends(root: Path, folder: str) -> bool:
    """Whether the project asks for other packages, as far as its pyproject.toml says."""
    project = _table(_read(root, folder), "project")
    return bool(project.get("dependencies")) or "dependencies" in project.get("dynamic", ())


def scripts(root: Path, folder: str | None) -> frozenset[str]:
    """The programs that come with the project, as far as its pyproject.toml says."""
    if folder is None:
        return frozenset()
    document = _read(root, folder)
    poetry = _table(_table(document, "tool"), "poetry")
    return frozenset((*_table(_table(document, "project"), "scripts"), *_table(poetry, "scripts")))


def files_of(root: Path, folder: str) -> tuple[str, ...]:
    """Files and folders that are needed to build and install the project in `folder`."""
    document = _read(root, folder)
    place = root / folder
    names = [name for name in METADATA if (place / name).is_file()]
    names += _named(document)
    names += [name for name in _sources(place, document) if (place / name).exists()]
    licenses = _texts(_table(document, "project").get("license-files"))
    names += [name for name in licenses if is_there(place, name)]
    plain = dict.fromkeys(_inside(folder, name) for name in names)
    return tuple(name for name in plain if name)


def files_of_metadata(root: Path, folder: str) -> tuple[str, ...]:
    """What is needed to know on what the project in `folder` depends: mostly nothing more."""
    project = _table(_read(root, folder), "project")
    dynamic = project.get("dynamic", ())
    return files_of(root, folder) if not project or "dependencies" in dynamic else ()


def _read(root: Path, folder: str) -> Mapping[str, Any]:
    try:
        return read(root, folder)
    except UsageError:  # `check` says so
        return {}


def _named(document: Mapping[str, Any]) -> Iterator[str]:
    """Files that pyproject.toml names: without them the project is not built."""
    project = _table(document, "project")
    yield from _readme(project)
    license_ = project.get("license")
    if isinstance(license_, dict):
        yield from _texts(license_.get("file"))
    yield from _texts(_table(_table(document, "tool"), "poetry").get("readme"))
    dynamic = _table(_table(_table(document, "tool"), "setuptools"), "dynamic")
    for one in dynamic.values():
        if isinstance(one, dict):
            yield from _texts(one.get("file"))


def _readme(project: Mapping[str, Any]) -> list[str]:
    readme = project.get("readme")
    return list(_texts(readme.get("file") if isinstance(readme, dict) else readme))


def _sources(place: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """The packages: `src`, folders with an __init__.py, modules, and what the tables name."""
    yield "src"
    names = _modules(document)
    try:
        children = sorted(one for one in place.iterdir() if not one.name.startswith("."))
    except OSError:
        children = []
    for child in children:
        if child.is_dir():
            package = (child / "__init__.py").is_file() and child.name not in _ASIDE
            if package or child.name in names:
                yield child.name
        elif child.suffix == ".py":
            yield child.name
    yield from _folders(_table(document, "tool"), deep=6)
    yield from _texts(_table(document, "build-system").get("backend-path"))


def _modules(document: Mapping[str, Any]) -> frozenset[str]:
    """Top-level modules by the project's name and by its entry points."""
    project = _table(document, "project")
    groups = [_table(project, "scripts"), _table(project, "gui-scripts")]
    groups += [one for one in _table(project, "entry-points").values() if isinstance(one, dict)]
    points = [point for group in groups for point in group.values() if isinstance(point, str)]
    name = project.get("name")
    names = [re.sub(r"[-.]", "_", name)] if isinstance(name, str) else []
    return frozenset(re.split(r"[.:\s]", one.strip())[0] for one in (*points, *names))


def _folders(table: Mapping[str, Any], deep: int) -> Iterator[str]:
    """What the backends' tables say under keys that name folders of packages."""
    for key, value in table.items():
        if isinstance(value, dict):
            if key in _FOLDERS:
                yield from (one for one in value.values() if isinstance(one, str))
            if deep:
                yield from _folders(value, deep - 1)
            continue
        if key in _FOLDERS:
            dotted = key == "packages"
            yield from (one.replace(".", "/") if dotted else one for one in _texts(value))
        for one in value if isinstance(value, list) else ():
            if isinstance(one, dict) and deep:  # poetry's packages: a list of tables
                yield from _folders(one, deep - 1)
                yield from _texts(one.get("include"))


def _inside(folder: str, name: str) -> str:
    """The path in podctl's project; empty for one that leads out of it, or is the folder itself."""
    path = posixpath.normpath(posixpath.join(folder, name))
    outside = path.startswith(("/", "../")) or path in (".", "..")
    return "" if outside or path == posixpath.normpath(folder) else path


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
