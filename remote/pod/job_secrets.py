"""The secrets of a run's job: handed over by the controller, never on the volume, removed later.

Each secret is a private file, in memory where the container has a place for that, which
`<NAME>_PATH` names; and a variable of the job's, but for a token of the Hugging Face Hub: its
programs read the file, so that it is in no environment.
"""

from __future__ import annotations

import json
import shutil

from ..contract import SECRET_NAME, ContractError, JobSpec
from . import atomic_files
from .paths import PodPaths

HF_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


def keep(paths: PodPaths, run: str, data: bytes) -> None:
    """Take a JSON object of strings. Raises ContractError."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ContractError(str(error)) from None
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ContractError("secrets must be a JSON object of strings")
    if not all(SECRET_NAME.fullmatch(name) for name in value):
        raise ContractError("a secret's name must be that of a variable, and not the pod's own")
    forget(paths, run)
    folder = paths.secrets(run)
    folder.mkdir(mode=0o700)
    for name, text in value.items():
        atomic_files.write(folder / name, text.encode(), sync=False)


def forget(paths: PodPaths, run: str) -> None:
    """Remove the run's secrets after its job."""
    shutil.rmtree(paths.secrets(run), ignore_errors=True)


def missing(paths: PodPaths, spec: JobSpec) -> list[str]:
    """Names of secrets that were not handed over since this container started."""
    return [name for name in spec.secrets if not (paths.secrets(spec.run) / name).is_file()]


def variables(paths: PodPaths, run: str) -> dict[str, str]:
    """The job's variables for its secrets; preflight and installation do not get them."""
    folder = paths.secrets(run)
    # Also without a token: a login of the job's own must not leave one on the volume.
    variables = {f"{HF_TOKEN}_PATH": str(folder / HF_TOKEN)}
    for path in sorted(file for file in folder.glob("*") if SECRET_NAME.fullmatch(file.name)):
        variables[f"{path.name}_PATH"] = str(path)
        if path.name != HF_TOKEN:
            variables[path.name] = path.read_text()
    return variables
