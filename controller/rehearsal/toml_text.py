"""Plain values as TOML, for a podctl.toml that no person wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence


def document(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Two levels of tables, everything below them inline."""
    parts = []
    for name, table in tables.items():
        rows = [f"{text(key)} = {value(one)}" for key, one in table.items()]
        parts.append("\n".join([f"[{text(name)}]", *rows]))
    return "\n\n".join(parts) + "\n"


def value(one: object) -> str:
    """Strings, numbers, booleans, lists and tables; raises TypeError for anything else."""
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, str):
        return text(one)
    if isinstance(one, int | float):
        return repr(one)
    if isinstance(one, Mapping):
        return "{" + ", ".join(f"{text(str(k))} = {value(v)}" for k, v in one.items()) + "}"
    if isinstance(one, Sequence):
        return "[" + ", ".join(value(each) for each in one) + "]"
    raise TypeError(f"{type(one).__name__} has no TOML")


def text(one: str) -> str:
    """JSON's quoting is TOML's, but for one control character more."""
    return json.dumps(one, ensure_ascii=False).replace("\x7f", "\\u007f")
