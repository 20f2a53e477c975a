"""A string that is never shown, and the names of secrets in an environment."""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from typing import NoReturn

from state.redaction import PROCESS_REDACTOR

HIDDEN = "***"
MIN_HIDDEN = 12  # characters: a shorter value of such a variable may be an ordinary word
_SECRET_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|(?<!PUBLIC)_KEY$", re.I
)
_PATH_SUFFIXES = ("_PATH", "_FILE", "_DIR")  # such a variable names the place of a secret


class Secret:
    """Holds a key or token. Every way of turning it into text gives `***`, except `reveal()`.

    Once a value is a Secret, podctl redacts it in everything that this process prints or stores.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        PROCESS_REDACTOR.add(value)

    def reveal(self) -> str:
        """The value, for the request that needs it and for redacting it."""
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(HIDDEN, spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")


def secret_names(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the variables whose names suggest a key, a token or a password."""
    return frozenset(
        name
        for name in environ
        if _SECRET_NAME.search(name) and not name.upper().endswith(_PATH_SUFFIXES)
    )


def hide_environment(environ: Mapping[str, str]) -> None:
    """Redact every key in the environment from all later output."""
    for name in secret_names(environ):
        if len(environ[name]) >= MIN_HIDDEN:
            Secret(environ[name])


def for_children(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without secrets, for a program that podctl starts."""
    names = environ.keys() - secret_names(environ)
    return {name: environ[name] for name in sorted(names)}
