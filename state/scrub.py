"""What is never shown and never kept: the secrets this process knows, and what looks like one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from state.errors import StateError

SHORTEST = 8  # characters: shorter values would hide ordinary words
REDACTED = "[redacted]"
BLOT = b"*"  # in the place of each byte, where offsets must stay

# RunPod keys, Hugging Face tokens, other services' by their published prefixes, bearer headers.
_LOOKS = (
    r"\b(rpa_|rps_)[A-Za-z0-9]{8,}"
    r"|\b(hf_)[A-Za-z0-9]{20,}"  # hf_hub_download is no token
    r"|\b(sk-|gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{20,}"
    r"|(?i:\b(bearer)\s+)[A-Za-z0-9._~+/=-]{6,}"
)
_TEXT, _BYTES = re.compile(_LOOKS), re.compile(_LOOKS.encode())


class Redactor:
    """Hides what looks like a key, and every exact value that was registered."""

    def __init__(self, *values: str) -> None:
        self._forms: list[str] = []
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Register one secret, in every form that ordinary programs write it in."""
        if len(value) < SHORTEST or value in self._forms:
            return
        self._forms = sorted({*self._forms, *_forms(value)}, key=lambda one: (-len(one), one))

    @property
    def longest(self) -> int:
        """Bytes of the longest form that is hidden: so much may stand on both sides of a cut."""
        return max((len(_raw(form)) for form in self._forms), default=0)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, REDACTED)
        return _TEXT.sub(_redacted, text)

    def blot(self, data: bytes) -> bytes:
        """`data` with as many asterisks in the place of each secret: offsets stay."""
        for form in self._forms:
            raw = _raw(form)
            data = data.replace(raw, BLOT * len(raw))
        return _BYTES.sub(lambda found: BLOT * len(found[0]), data)


# Whoever makes a `Secret` registers it here, and whatever leaves the process goes through here:
# the terminal, logs and tracebacks, the journal, the copies of a job's log.
PROCESS = Redactor()


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
    return _json(hidden(json.loads(_json(data)), PROCESS))


def hidden(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with `redact` applied to every text and every key in it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): hidden(one, redact) for key, one in value.items()}
    if isinstance(value, list):
        return [hidden(one, redact) for one in value]
    return value


def _json(data: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(data), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StateError(f"not JSON: {error}") from error


def _raw(form: str) -> bytes:
    return form.encode("utf-8", "surrogatepass")


def _redacted(found: re.Match[str]) -> str:
    """What kind of a key it was stays to be seen."""
    if found[4]:
        return f"{found[4]} {REDACTED}"
    return f"{found[1] or found[2] or found[3]}{REDACTED}"


def _forms(value: str) -> Iterator[str]:
    """`value` plain, in JSON, in a repr, in a URL and in base64; of several lines, each."""
    import urllib.parse

    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield urllib.parse.quote(value, safe="", errors="replace")
    yield from _base64(value.encode("utf-8", "surrogatepass"))
    if "\n" in value:
        yield from (line for line in value.splitlines() if len(line) >= SHORTEST + 4)


def _base64(raw: bytes) -> Iterator[str]:
    """What stays the same of its base64, however many bytes (a user's name) stand before it."""
    import base64

    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode()
        whole = (before + len(raw)) // 3 * 4  # the last, unfinished group depends on what follows
        core = text[(0, 2, 3)[before] : whole]
        if len(core) >= SHORTEST + 4:
            yield core
