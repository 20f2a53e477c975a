"""From a project to its provider: which account, which address, which key."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from controller.errors import Refused, UsageError
from controller.project import FILE, Project
from controller.secret import Secret

if TYPE_CHECKING:
    from controller.providers import Provider

BASE_URL = "https://api.runpod.io"
EMULATOR_PORT = 8642
EMULATOR_URL = f"http://127.0.0.1:{EMULATOR_PORT}"
EMULATOR_KEY = "rpa_emulator"
ENV_KEY = "RUNPOD_API_KEY"
ENV_BASE = "RUNPOD_API_BASE_URL"
HOME_CONFIG = ".runpod/config.toml"


def base_url(project: Project) -> str:
    """Where the API is: the environment, then podctl.toml, then the provider's own.

    Raises: UsageError when the provider is the emulator and the address is not of this machine:
    what is meant to cost nothing never reaches a real account.
    """
    chosen = project.config.project
    emulated = chosen.provider == "emulator"
    default = EMULATOR_URL if emulated else BASE_URL
    url = (os.environ.get(ENV_BASE) or chosen.api_base_url or default).rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("not an address of an API", where=ENV_BASE, cause=repr(url))
    local = _is_loopback(parts.hostname)
    if emulated and not local:
        raise UsageError(
            "the provider is the emulator and the address is another machine's",
            where=url,
            hint=f'unset {ENV_BASE}, or set provider = "runpod" in {FILE}',
        )
    if parts.scheme == "http" and not local:
        raise UsageError("the account key is not sent unencrypted", where=url, hint="use https")
    return url


def api_key(project: Project) -> Secret:
    """The account key. Raises Refused, naming the places where it was looked for."""
    emulated = project.config.project.provider == "emulator"
    found = os.environ.get(ENV_KEY, "").strip()
    if emulated and not os.environ.get(ENV_BASE):
        found = EMULATOR_KEY  # a real account's key is of no use there, and stays here
    found = found or _key_of_home() or (EMULATOR_KEY if emulated else "")
    if not found:
        raise Refused(
            "no account key",
            where=f"{ENV_KEY}, ~/{HOME_CONFIG}",
            cause="neither holds one",
            hint=f"export {ENV_KEY}=… (RunPod console: Settings, API Keys); then podctl doctor",
        )
    if not found.isascii() or not found.isprintable() or " " in found:
        raise Refused("the account key has characters that no key has", where=ENV_KEY)
    return Secret(found)


def open_provider(project: Project, patience_seconds: float = 90.0) -> Provider:
    """The project's cloud, with what may be retried retried. Raises UsageError, Refused."""
    url, key = base_url(project), api_key(project)
    from controller.providers.retry import Patience, Retrying
    from controller.providers.runpod import RunPod

    provider = RunPod(key, url, name=project.config.project.provider)
    return Retrying(provider, Patience(deadline=patience_seconds))


def _key_of_home() -> str:
    """The key that RunPod's own tools keep, or nothing."""
    import tomllib

    try:
        document = tomllib.loads((Path.home() / HOME_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return ""
    default = document.get("default")
    places = (default if isinstance(default, dict) else {}, document)
    for place in places:
        for name in ("api_key", "apikey", "apiKey"):
            if isinstance(value := place.get(name), str) and value.strip():
                return value.strip()
    return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
