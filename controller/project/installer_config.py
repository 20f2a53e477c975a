"""What pip and uv are told on this machine, by variables and by their own files."""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT, EXTRA, LINKS, TRUSTED, PROXY, CERTIFICATE = (
    "index", "extra index", "find-links", "trusted host", "proxy", "certificates",
)  # fmt: skip
_UV = {
    "UV_DEFAULT_INDEX": DEFAULT,
    "UV_INDEX_URL": DEFAULT,
    "UV_INDEX": EXTRA,
    "UV_EXTRA_INDEX_URL": EXTRA,
    "UV_FIND_LINKS": LINKS,
    "UV_INSECURE_HOST": TRUSTED,
}
_PIP = {
    "index-url": DEFAULT,
    "extra-index-url": EXTRA,
    "find-links": LINKS,
    "trusted-host": TRUSTED,
    "proxy": PROXY,
    "cert": CERTIFICATE,
}
_MOST = 1024 * 1024  # bytes of a file of theirs


@dataclass(frozen=True)
class Told:
    """One value. `by` is a variable's name, or a file's with its key."""

    kind: str
    by: str
    value: str


def of_uv(environ: Mapping[str, str]) -> list[Told]:
    """Variables before files, one value each."""
    found = [
        Told(kind, name, one)
        for name, kind in _UV.items()
        for one in environ.get(name, "").replace(",", " ").split()
    ]
    if environ.get("UV_NO_CONFIG", "") in ("", "0", "false"):
        for path in _uv_files(environ):
            found += _of_uv_file(path)
    return found


def of_pip(environ: Mapping[str, str]) -> list[Told]:
    """Variables before files; of several files the last one that has a key decides."""
    found = [
        Told(kind, variable, one)
        for key, kind in _PIP.items()
        if (variable := f"PIP_{key.upper().replace('-', '_')}") in environ
        for one in environ[variable].split()
    ]
    told = {one.kind for one in found}
    lines: dict[str, list[Told]] = {}
    for path in _pip_files(environ):
        for key, value in _pip_values(path):
            by = f"{path.name} {key}"
            lines[_PIP[key]] = [Told(_PIP[key], by, one) for one in value.split()]
    return found + [one for kind, some in lines.items() if kind not in told for one in some]


def _uv_files(environ: Mapping[str, str]) -> list[Path]:
    if named := environ.get("UV_CONFIG_FILE"):
        return [Path(named)]
    folders = [_home(environ), *environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"), "/etc"]
    return [Path(folder, "uv", "uv.toml") for folder in folders if folder]


def _pip_files(environ: Mapping[str, str]) -> list[Path]:
    """The later ones win."""
    named = environ.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(os.path.expanduser("~"))
    system = environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    found = [Path(folder, "pip", "pip.conf") for folder in reversed(system) if folder]
    found += [Path("/etc/pip.conf"), home / ".pip" / "pip.conf"]
    found.append(Path(_home(environ), "pip", "pip.conf"))
    if venv := environ.get("VIRTUAL_ENV"):
        found.append(Path(venv, "pip.conf"))
    return [*found, Path(named)] if named else found


def _home(environ: Mapping[str, str]) -> str:
    return environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")


def _pip_values(path: Path) -> Iterator[tuple[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(_text(path))
    except configparser.Error:  # pip says so itself
        return
    for section in ("global", "install"):
        if parser.has_section(section):
            for key, value in parser.items(section):
                if key.replace("_", "-") in _PIP:
                    yield key.replace("_", "-"), value or ""


def _of_uv_file(path: Path) -> list[Told]:
    try:
        document = tomllib.loads(_text(path))
    except (ValueError, RecursionError):  # uv says so itself
        return []
    below = document.get("pip")
    found = list(_of_uv_table(document))
    return found + list(_of_uv_table(below) if isinstance(below, dict) else ())


def _of_uv_table(table: Mapping[str, Any]) -> Iterator[Told]:
    indexes = table.get("index")
    for one in indexes if isinstance(indexes, list) else ():
        if isinstance(one, dict) and isinstance(one.get("url"), str) and not one.get("explicit"):
            name = f"{one['name']}=" if isinstance(one.get("name"), str) else ""
            kind = DEFAULT if one.get("default") is True else EXTRA
            yield Told(kind, "uv.toml index", name + one["url"])
    keys = {
        "index-url": DEFAULT,
        "extra-index-url": EXTRA,
        "find-links": LINKS,
        "allow-insecure-host": TRUSTED,
    }
    for key, kind in keys.items():
        value = table.get(key)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str):
                yield Told(kind, f"uv.toml {key}", one)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST).decode("utf-8-sig", "replace")
    except OSError:
        return ""
