"""Where in podctl.toml the value is that a validation error is about. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def written_path(location: Iterable[str | int], document: Any) -> list[str]:
    """The keys of `location` that are in the file: pydantic adds the kinds of free values."""
    path, place = [], document
    for part in location:
        inside = isinstance(place, Mapping) and part in place
        if inside or (isinstance(place, list) and type(part) is int and part < len(place)):
            place = place[part]
        elif part in ("dict", "list"):
            continue
        path.append(str(part))
    return path
