"""The environment that a job reports: versions, GPU, driver. Recorded as the job's claim.

Said in a file `environment.json` among the artifacts, or as the member `environment` of another
JSON artifact or of its `settings`, which is where podctl's own stages say it.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import Any

from controller.terminal.sanitize import clean_line
from jobs.format_check import InvalidFile, parse_json
from remote.contract import Manifest

NAME = "environment.json"
MEMBER = "environment"
MAX_FILE = 32 * 1024 * 1024  # bytes of a JSON artifact that is looked into
MAX_NAMES = 100  # at each of two levels
MAX_TEXT = 300  # characters


def read_environment(files: Path, manifest: Manifest) -> dict[str, Any]:
    """The first report: environment.json before other files, then from the top folder down."""
    small = (manifest.local(entry.path) for entry in manifest.files if entry.size <= MAX_FILE)
    for path in sorted(small, key=_rank):
        if not path.endswith(".json"):
            continue
        try:
            reported = _environment_of(parse_json((files / path).read_bytes()), path)
        except (OSError, InvalidFile):
            continue
        if reported and (values := _flat(reported)):
            return values
    return {}


def _rank(path: str) -> tuple[bool, int, str]:
    return PurePosixPath(path).name != NAME, path.count("/"), path


def _environment_of(document: Any, path: str) -> dict[str, Any] | None:
    if not isinstance(document, dict):
        return None
    if PurePosixPath(path).name == NAME:
        return document
    for place in (document, document.get("settings")):
        if isinstance(place, dict) and isinstance(place.get(MEMBER), dict):
            return dict(place[MEMBER])
    return None


def _flat(document: dict[str, Any], deeper: bool = True) -> dict[str, Any]:
    """Names with plain values, and one level of the same below: as a certificate can hold it."""
    values: dict[str, Any] = {}
    for name, value in list(document.items())[:MAX_NAMES]:
        if isinstance(value, str):
            values[_text(name)] = _text(value)
        elif value is None or _plain(value):
            values[_text(name)] = value
        elif deeper and isinstance(value, dict):
            values[_text(name)] = _flat(value, deeper=False)
    return values


def _plain(value: object) -> bool:
    """A truth value, or a number that JSON has a place for."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) < 2**63


def _text(text: str) -> str:
    return clean_line(text)[:MAX_TEXT]
