"""Which cloud, with which key: found here, once, and handed to the adapter.

    runpod     key: RUNPOD_API_KEY, else the file of RUNPOD_API_KEY_FILE (0600, yours), else
               api_key under [default] in ~/.runpod/config.toml
               base: RUNPOD_API_BASE_URL, else podctl.toml, else https://api.runpod.io
    emulator   PODCTL_EMULATOR_URL, else .podctl/emulator.json {"base_url", "api_key"}

The account's key never goes to the emulator, and never unencrypted to another machine.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from controller.errors import Refused, UsageError
from controller.keyfile import read_key
from controller.providers import Provider
from controller.providers.retry import Retrying
from controller.proxies import proxy_for
from controller.secret import Secret

DEFAULT_BASE_URL = "https://api.runpod.io"
EMULATOR_KEY = "rpa_emulator"
EMULATOR_FILE = "emulator.json"  # in .podctl, written by `podctl emulator`


@dataclass(frozen=True)
class Settings:
    """Where to look. `state_dir` is the project's .podctl; None outside of a project."""

    state_dir: Path | None = None
    api_base_url: str | None = None  # of podctl.toml
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    home: Path = field(default_factory=lambda: Path(os.path.expanduser("~")))


@dataclass(frozen=True)
class Access:
    """What the adapter needs: one base URL and the key for it."""

    base_url: str
    api_key: Secret


class EmulatorFile(BaseModel):
    """What a running emulator leaves in the project."""

    base_url: str
    api_key: str = EMULATOR_KEY


def open_provider(name: str, settings: Settings) -> Provider:
    """The provider called `name`, retrying what may be retried. Sends nothing yet.

    Raises: UsageError for an unknown name or a crooked URL; Refused without a usable key.
    """
    found = access(name, settings)
    from controller.providers.runpod import RunPod

    return Retrying(RunPod(found.api_key, found.base_url, name=name))


def access(name: str, settings: Settings) -> Access:
    """Base URL and key for the provider called `name`. Raises as `open_provider`."""
    if name == "runpod":
        base = settings.environ.get("RUNPOD_API_BASE_URL") or settings.api_base_url
        address = _reachable(_checked(base or DEFAULT_BASE_URL), settings.environ)
        return Access(address, _account_key(settings))
    if name == "emulator":
        found = _emulator(settings)
        return Access(_loopback_only(_checked(found.base_url)), Secret(found.api_key))
    raise UsageError(
        f"no provider is called {name!r}", where="project.provider", hint="runpod or emulator"
    )


def _account_key(settings: Settings) -> Secret:
    if key := settings.environ.get("RUNPOD_API_KEY", "").strip():
        return Secret(key)
    if path := settings.environ.get("RUNPOD_API_KEY_FILE", ""):
        return read_key(Path(os.path.expanduser(path)))
    path_of_sdk = settings.home / ".runpod" / "config.toml"
    if key := _key_of_sdk(path_of_sdk):
        return Secret(key)
    raise Refused(
        "no RunPod API key",
        where=str(path_of_sdk),
        cause="RUNPOD_API_KEY and RUNPOD_API_KEY_FILE are not set, and no api_key is in this file",
        hint="export RUNPOD_API_KEY=…, or `runpod config`; keys are made under Settings > API Keys",
    )


def _key_of_sdk(path: Path) -> str:
    """`api_key` of the [default] profile in the file that the SDK and runpodctl write."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise Refused("the key file cannot be read", where=str(path), cause=str(error)) from error
    profile = document.get("default")
    for place in (profile if isinstance(profile, dict) else {}, document):  # runpodctl: no profile
        for name in ("api_key", "apikey", "apiKey"):
            if isinstance(key := place.get(name), str) and key.strip():
                return key.strip()
    return ""


def _emulator(settings: Settings) -> EmulatorFile:
    if url := settings.environ.get("PODCTL_EMULATOR_URL"):
        key = settings.environ.get("PODCTL_EMULATOR_KEY") or EMULATOR_KEY
        return EmulatorFile(base_url=url, api_key=key)
    path = (settings.state_dir or Path(".podctl")) / EMULATOR_FILE
    try:
        return EmulatorFile.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise Refused(
            "no emulator is running for this project",
            where=str(path),
            hint="podctl emulator (in another terminal), or set PODCTL_EMULATOR_URL",
        ) from error
    except (OSError, ValidationError) as error:
        raise Refused(
            "the emulator's file cannot be read",
            where=str(path),
            cause=str(error).splitlines()[0],
            hint="start it again: podctl emulator",
        ) from error


def _reachable(url: str, environ: Mapping[str, str]) -> str:
    """`url`, where a proxy on the way there is one that can be used. Raises UsageError."""
    proxy = proxy_for(url, environ) if url.startswith("https:") else None
    if proxy is not None and proxy.password:
        Secret(proxy.password)  # hidden from here on
    return url


def _checked(url: str) -> str:
    """`url` without its last slash; it must be https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # half an IPv6 address, or a port that is none
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
        raise UsageError(f"{url!r} is not a base URL", hint=f"for example {DEFAULT_BASE_URL}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            "the key would travel unencrypted", where=url, hint="use https, or a loopback address"
        )
    return url.rstrip("/")


def _loopback_only(url: str) -> str:
    if not _is_loopback(urlsplit(url).hostname or ""):
        raise UsageError("the emulator is not on this machine", where=url)
    return url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
