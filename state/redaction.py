"""Redaction of registered secrets and of text that looks like a secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from state import secret_kinds
from state.errors import StateError
from state.secret_encodings import SHORTEST, WithTail, forms, raw, tailed

REDACTED = "[redacted]"
MASK = b"*"  # in the place of each byte, where offsets must stay


class Redactor:
    """Hides what looks like a key, and every exact value that was registered."""

    def __init__(self, *values: str) -> None:
        self._forms: list[str] = []
        self._tailed: list[WithTail] = []
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Register one secret, in every form that ordinary programs write it in."""
        if len(value) < SHORTEST or value in self._forms:
            return
        self._forms = sorted({*self._forms, *forms(value)}, key=lambda form: (-len(form), form))
        self._tailed = sorted(
            {*self._tailed, *tailed(value)}, key=lambda tail: (-tail.length, tail)
        )

    @property
    def longest(self) -> int:
        """Bytes of the longest form that is hidden: so much may stand on both sides of a cut."""
        plain = max((len(raw(form)) for form in self._forms), default=0)
        return max((tail.length for tail in self._tailed), default=plain)

    def __call__(self, text: str) -> str:
        for tail in self._tailed:
            if tail.core in text:
                text = tail.text.sub(REDACTED, text)
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return secret_kinds.hide(text, REDACTED)

    def redact(self, data: bytes) -> bytes:
        """`data` with as many asterisks in the place of each secret: offsets stay."""
        for tail in self._tailed:
            if tail.core.encode() in data:
                data = tail.raw.sub(lambda match: MASK * len(match[0]), data)
        for form in self._forms:
            shown = raw(form)
            data = data.replace(shown, MASK * len(shown))
        return secret_kinds.redact(data, MASK)


# Whoever makes a `Secret` registers it here, and whatever leaves the process goes through here:
# the terminal, logs and tracebacks, the journal, the copies of a job's log.
PROCESS_REDACTOR = Redactor()


def encoded(data: Mapping[str, object]) -> str:
    """`data` as JSON. Raises StateError when it has a secret in it or is not JSON."""
    text = _json(data)
    if masked(data) != text:
        raise StateError(
            "a secret was about to be written into the state",
            hint="pass it by the name of an environment variable: `secrets` of the stage",
        )
    return text


def masked(data: Mapping[str, object]) -> str:
    """`data` as JSON with every secret in its texts masked; numbers stay what they are."""
    return _json(hidden(json.loads(_json(data)), PROCESS_REDACTOR))


def hidden(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with `redact` applied to every text and every key in it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): hidden(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [hidden(item, redact) for item in value]
    return value


def _json(data: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(data), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StateError(f"not JSON: {error}") from error
