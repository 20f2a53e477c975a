"""What a stage's job may know: values by the names that the stage lists in `secrets`.

NAME         the value itself
NAME_FILE    else a file with it, private as a key file is; NAME_PATH likewise, which is what
             Hugging Face calls it: HF_TOKEN_PATH
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
    """The values that are here of what the stage may have.

    Raises: UsageError where one is not set here; Refused where its file is not private.
    """
    lacking = absent(stage)
    if lacking:
        raise UsageError(
            f"{stage.name} is to have {', '.join(lacking)}, which is not set here",
            hint=f"export {lacking[0]}=…, or {lacking[0]}_FILE=… with a private file",
        )
    return {name: found for name in stage.secrets if (found := _find(name, os.environ))}


def too_short(stage: str, secrets: Mapping[str, Secret]) -> Iterator[str]:
    """A line for each value that cannot be hidden: it would hide ordinary words too."""
    for name, secret in secrets.items():
        if len(secret.reveal()) < SHORTEST:
            yield (
                f"{stage}: {name} is shorter than {SHORTEST} characters and cannot be hidden: "
                "whatever prints it shows it, in logs and here"
            )


def absent(stage: Stage) -> tuple[str, ...]:
    """The names of `secrets` that nothing is set for. Raises Refused for a file that is open."""
    return tuple(name for name in stage.secrets if not _find(name, os.environ))


def hide(stages: Iterable[Stage]) -> None:
    """Whatever these stages' jobs may know is hidden from here on; what cannot be read is not."""
    for name in {name for stage in stages for name in stage.secrets}:
        try:
            _find(name, os.environ)
        except PodctlError:
            continue  # told when a run needs it


def _find(name: str, environ: Mapping[str, str]) -> Secret | None:
    if value := environ.get(name):
        return Secret(value)
    for place in (f"{name}_FILE", f"{name}_PATH"):
        if path := environ.get(place):
            return read_key(Path(os.path.expanduser(path)))
    return None
