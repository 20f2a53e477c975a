"""How a run's environment is installed: the laptop's indexes, proxies and certificates.

They may hold a login: kept off the volume like a job's secrets, for the installation alone, and
gone when that is done. A container that was started again has none of them; what is installed by
then needs none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from ..contract import ContractError
from . import atomic_files
from .paths import PodPaths, json_object, record, write_record

NAME = re.compile(r"(?!RUNPOD_|PODCTL_|PATH$|HOME$|LD_|PYTHON)[A-Za-z_][A-Za-z0-9_]{0,127}")
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
# On the volume: whether the run was handed any, and whether it is installed.
HANDED, READY = "settings.json", "environment.json"


def keep(paths: PodPaths, run: str, data: bytes) -> None:
    """Take {"variables": {name: text}, "certificates": text}. Raises ContractError."""
    value = json_object(data) or {}
    variables, certificates = value.get("variables"), value.get("certificates")
    if not isinstance(variables, dict) or not isinstance(certificates, str):
        raise ContractError("settings must be variables and certificates")
    if not all(isinstance(value, str) for value in variables.values()):
        raise ContractError("a setting must be a string")
    if not all(NAME.fullmatch(name) for name in variables):
        raise ContractError("a setting's name must be that of a variable, and not the pod's own")
    forget(paths, run)
    folder = paths.settings(run)
    folder.mkdir(mode=0o700)
    atomic_files.write(folder / "certificates.pem", certificates.encode(), sync=False)
    atomic_files.write(folder / "variables.json", json.dumps(variables).encode(), sync=False)
    paths.run(run).mkdir(parents=True, exist_ok=True)
    write_record(paths.run(run) / HANDED, {"handed": True})


def forget(paths: PodPaths, run: str) -> None:
    shutil.rmtree(paths.settings(run), ignore_errors=True)


def missing(paths: PodPaths, run: str) -> bool:
    """Whether the run needs settings that were not handed over since this container started."""
    folder = paths.run(run)
    asked = record(folder / HANDED) is not None and record(folder / READY) is None
    return asked and not (paths.settings(run) / "variables.json").is_file()


def installed(paths: PodPaths, run: str, python: Path) -> None:
    """Record that the environment is installed, and remove the settings."""
    write_record(paths.run(run) / READY, {"python": str(python)})
    forget(paths, run)


def variables(paths: PodPaths, run: str, env: Mapping[str, str]) -> dict[str, str]:
    """For what installs alone. The pod's own file of authorities is trusted besides."""
    folder = paths.settings(run)
    document = json_object(atomic_files.read(folder / "variables.json") or b"{}") or {}
    handed = {str(name): str(value) for name, value in document.items()}
    bundle = folder / "certificates.pem"
    if not bundle.is_file() or not bundle.stat().st_size:
        return handed
    own = atomic_files.read(Path(env.get("SSL_CERT_FILE", os.devnull))) or b""
    both = folder / "authorities.pem"
    atomic_files.write(both, bundle.read_bytes() + b"\n" + own, sync=False)
    return handed | dict.fromkeys(CERTIFICATES, str(both))
