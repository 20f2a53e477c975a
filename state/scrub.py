"""Keeps keys out of the state: what we are about to do is refused, what others said is masked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from state.errors import StateError

# RunPod account keys, Hugging Face tokens, bearer headers.
SECRET = re.compile(r"\brpa_[A-Za-z0-9]{8,}|\bhf_[A-Za-z0-9]{20,}|(?i:\bbearer\s+)[\w.~+/-]{12,}")
MASK = "[secret]"


def encoded(data: Mapping[str, object]) -> str:
    """`data` as JSON. Raises StateError when it has a secret in it or is not JSON."""
    text = _json(data)
    if SECRET.search(text):
        raise StateError(
            "a secret was about to be written into the state",
            hint="pass it by the name of an environment variable: `secrets` of the stage",
        )
    return text


def masked(data: Mapping[str, object]) -> str:
    """`data` as JSON with every secret masked."""
    return SECRET.sub(MASK, _json(data))


def _json(data: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(data), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StateError(f"not JSON: {error}") from error
