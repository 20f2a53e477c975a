"""Plain values as TOML, for a podctl.toml that no person wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def document(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Two levels of tables, everything below them inline."""
    parts = []
    for name, table in tables.items():
        rows = [f"{text(key)} = {value(item)}" for key, item in table.items()]
        parts.append("\n".join([f"[{text(name)}]", *rows]))
    return "\n\n".join(parts) + "\n"


def value(item: object) -> str:
    """Strings, numbers, booleans, lists and tables; raises TypeError for anything else."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return text(item)
    if isinstance(item, int | float):
        return repr(item)
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{text(str(k))} = {value(v)}" for k, v in item.items()) + "}"
    if isinstance(item, Sequence):
        return "[" + ", ".join(value(each) for each in item) + "]"
    raise TypeError(f"{type(item).__name__} has no TOML")


def text(content: str) -> str:
    """JSON's quoting is TOML's, but for one control character more."""
    return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")
