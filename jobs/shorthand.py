"""Keys of a stage that stand for a key of one of its tables: `gpu_count = 2`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# key → the table and the keys in it that are set; None: to the value of the key.
KEYS: dict[str, tuple[str, dict[str, str | None]]] = {
    "gpu_count": ("hardware", {"gpu_count": None}),
    "requirements": ("environment", {"kind": "lock", "lock": None}),
}


def path(key: str) -> str:
    """What the value of a short key is the value of: `hardware.gpu_count`."""
    name, meant = KEYS[key]
    return f"{name}.{next(inner for inner, value in meant.items() if value is None)}"


class TwiceSaid(ValueError):
    """`key` and the key that it stands for are both there."""

    def __init__(self, key: str, long: str) -> None:
        super().__init__(f"is said twice: {long} is the same")
        self.key = key


def expanded(table: Mapping[str, Any]) -> dict[str, Any]:
    """`table` without such keys, with what they stand for. Raises: TwiceSaid."""
    whole = {key: value for key, value in table.items() if key not in KEYS}
    for key in KEYS.keys() & table.keys():
        name, meant = KEYS[key]
        below = whole.get(name, {})
        if not isinstance(below, Mapping):
            continue  # the validation says what is wrong with it
        for inner in meant:
            if inner in below:
                raise TwiceSaid(key, f"{name}.{inner}")
        values = {inner: table[key] if value is None else value for inner, value in meant.items()}
        whole[name] = {**below, **values}
    return whole
