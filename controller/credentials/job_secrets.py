"""The secrets of a stage's job: values by the names that the stage lists in `secrets`.

NAME         the value itself
NAME_FILE    else the path of a private file with the value; NAME_PATH likewise, as in
             HF_TOKEN_PATH of Hugging Face
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from controller.credentials.key_file import read_key
from controller.credentials.secret import Secret
from controller.errors import PodctlError, UsageError
from jobs.stage import Stage
from state.secret_encodings import SHORTEST


def secrets_of(stage: Stage) -> dict[str, Secret]:
    """Return the secrets of the stage that are set on this machine.

    Raises UsageError if one is not set; Refused if its file is not private.
    """
    missing = absent(stage)
    if missing:
        raise UsageError(
            f"{stage.name} needs {', '.join(missing)}, which is not set here",
            hint=f"export {missing[0]}=…, or {missing[0]}_FILE=… with a private file",
        )
    return {name: secret for name in stage.secrets if (secret := _find(name, os.environ))}


def too_short(stage: str, secrets: Mapping[str, Secret]) -> Iterator[str]:
    """Return a warning for each value that is too short to redact without hiding other text."""
    for name, secret in secrets.items():
        if len(secret.reveal()) < SHORTEST:
            yield (
                f"{stage}: {name} is shorter than {SHORTEST} characters and cannot be redacted: "
                "a program that prints it reveals it in logs and output"
            )


def absent(stage: Stage) -> tuple[str, ...]:
    """Return the names in `secrets` that are not set. Raises Refused for a readable key file."""
    return tuple(name for name in stage.secrets if not _find(name, os.environ))


def hide(stages: Iterable[Stage]) -> None:
    """Redact the secrets of these stages from all later output; unreadable ones are skipped."""
    for name in {name for stage in stages for name in stage.secrets}:
        try:
            _find(name, os.environ)
        except PodctlError:
            continue  # reported when a run needs it


def _find(name: str, environ: Mapping[str, str]) -> Secret | None:
    if value := environ.get(name):
        return Secret(value)
    for variable in (f"{name}_FILE", f"{name}_PATH"):
        if path := environ.get(variable):
            return read_key(Path(os.path.expanduser(path)))
    return None
