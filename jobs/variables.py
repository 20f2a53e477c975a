"""A stage's environment variables: which names and values a job can be given. Pure.

They stand in podctl.toml, which is in git, so none may be a secret: those are named in `secrets`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from remote.contract import SECRET_NAME

LONGEST = 128 * 1024  # bytes of them all; Linux takes no more for one
# Names whose values are keys, but for those of a file that holds one, as HF_TOKEN_PATH.
_SECRET = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?|(?:API|ACCESS|SECRET|PRIVATE)_?KEY"
    r"|ACCESS_KEY_ID)$",
    re.IGNORECASE,
)


def not_finite(value: object, path: str = "") -> str:
    """The path of the first number that JSON does not have; empty where there is none."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else path
    if isinstance(value, Mapping):
        inner = [(f"{path}.{key}" if path else str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(f"{path}.{place}", one) for place, one in enumerate(value)]
    else:
        return ""
    return next((found for name, one in inner if (found := not_finite(one, name))), "")


def wrong(variables: Mapping[str, str]) -> str:
    """Why a job cannot be given these; empty when it can."""
    for name, value in variables.items():
        if not SECRET_NAME.fullmatch(name):
            return f"{name!r} must be the name of a variable, and not the pod's or podctl's own"
        if value and _SECRET.search(name):
            return f"{name} is a secret by its name: name it in `secrets` instead"
        if "\0" in value:
            return f"{name} has a NUL in it"
    size = sum(len(f"{name}={value}".encode(errors="replace")) for name, value in variables.items())
    if size > LONGEST:
        return f"has {size:,} bytes in all, and may have {LONGEST:,}: put what is large into a file"
    return ""
