"""Chooses the provider, its base URL and its key, and creates the adapter.

    runpod     key: RUNPOD_API_KEY, else the file of RUNPOD_API_KEY_FILE (0600, yours), else
               api_key under [default] in ~/.runpod/config.toml
               base: RUNPOD_API_BASE_URL, else api_base_url in ~/.config/podctl/config.toml, else
               podctl.toml's where that is one of RunPod's own, else https://api.runpod.io
    emulator   PODCTL_EMULATOR_URL, else .podctl/emulator.json {"base_url", "api_key"}
               key: PODCTL_EMULATOR_KEY, else the key that the emulator recorded for its user

The account's key never goes to the emulator, and never unencrypted to another machine.
"""

from __future__ import annotations

import ipaddress
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from controller import user_state
from controller.credentials.key_file import read_key
from controller.credentials.secret import Secret
from controller.errors import Refused, UsageError
from controller.providers import emulator_keys
from controller.providers.base import Provider
from controller.providers.emulator_keys import KNOWN_KEY, EmulatorFile
from controller.providers.proxies import proxy_for
from controller.providers.retry import Retrying

DEFAULT_BASE_URL = "https://api.runpod.io"
RUNPODS = ("api.runpod.io", "rest.runpod.io", "v2-rest.runpod.io")


@dataclass(frozen=True)
class Settings:
    """Sources of the settings. `state_dir` is the project's .podctl; None outside of a project."""

    state_dir: Path | None = None
    api_base_url: str | None = None  # of podctl.toml
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    home: Path = field(default_factory=lambda: Path(os.path.expanduser("~")))


@dataclass(frozen=True)
class Access:
    """The base URL of the API and the key for it."""

    base_url: str
    api_key: Secret


def open_provider(name: str, settings: Settings) -> Provider:
    """The provider called `name`, with retries. Sends no request.

    Raises UsageError for an unknown name or an invalid URL; Refused without a usable key.
    """
    credentials = access(name, settings)
    from controller.providers.runpod.provider import RunPod

    return Retrying(RunPod(credentials.api_key, credentials.base_url, name=name))


def access(name: str, settings: Settings) -> Access:
    """Base URL and key for the provider called `name`. Raises like `open_provider`."""
    if name == "runpod":
        return Access(_reachable(_base_url(settings), settings.environ), _account_key(settings))
    if name == "emulator":
        emulator = _emulator(settings)
        return Access(_loopback_only(_checked(emulator.base_url)), Secret(emulator.api_key))
    raise UsageError(
        f"no provider is called {name!r}", where="project.provider", hint="runpod or emulator"
    )


def _base_url(settings: Settings) -> str:
    """The base URL that receives the account's key; podctl.toml may only name RunPod's own."""
    if url := settings.environ.get("RUNPOD_API_BASE_URL"):
        return _checked(url)
    path = user_state.config_file({"HOME": str(settings.home), **settings.environ})
    if url := _users_base_url(path):
        return _checked(url)
    if settings.api_base_url is None:
        return DEFAULT_BASE_URL
    url = _checked(settings.api_base_url)
    if is_runpods(url):
        return url
    raise UsageError(
        f"podctl.toml names another API than RunPod's: {url}",
        where="podctl.toml: project.api_base_url",
        cause="your account's key would go there, and a project's file may come from anybody",
        hint="remove it; if it is intended: export RUNPOD_API_BASE_URL=…, "
        f"or api_base_url = … in {path}",
    )


def is_runpods(url: str) -> bool:
    """Whether `url` is an address of RunPod's API itself."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "https" and parts.hostname in RUNPODS and port in (None, 443)


def _users_base_url(path: Path) -> str | None:
    """`api_base_url` of the user's own file. Raises Refused for one that others may change."""
    try:
        info = path.stat()
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Refused("your settings cannot be read", where=str(path), cause=str(error)) from error
    if info.st_uid != os.geteuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(
            "other users can change your settings",
            where=str(path),
            cause=f"mode {stat.S_IMODE(info.st_mode):04o}, owner {info.st_uid}",
            hint=f"chmod 600 {path}",
        )
    url = document.get("api_base_url")
    if url is not None and not isinstance(url, str):
        raise UsageError("api_base_url is not text", where=str(path))
    return url


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
    for table in (profile if isinstance(profile, dict) else {}, document):  # runpodctl: no profile
        for name in ("api_key", "apikey", "apiKey"):
            if isinstance(key := table.get(name), str) and key.strip():
                return key.strip()
    return ""


def _emulator(settings: Settings) -> EmulatorFile:
    if url := settings.environ.get("PODCTL_EMULATOR_URL"):
        key = settings.environ.get("PODCTL_EMULATOR_KEY", "")
        if key in ("", KNOWN_KEY):  # unset, or the documented default: use the emulator's own
            key = emulator_keys.key_for(url, settings.environ) or KNOWN_KEY
        return EmulatorFile(base_url=url, api_key=key)
    folder = settings.state_dir or Path(".podctl")
    # The second file is in the emulator's usual state folder, whose owner is certain.
    path, own = folder / emulator_keys.FILE, folder / "emulator" / emulator_keys.FILE
    emulator = emulator_keys.read(path)
    if emulator is None or not emulator.alive:
        other = emulator_keys.read(own)
        emulator = other if other is not None and other.alive else emulator
    if emulator is None:
        others = [other.base_url for other in emulator_keys.registered(settings.environ)]
        raise Refused(
            "no emulator is running for this project",
            where=str(path),
            hint="podctl emulator start; or, for one that runs already: "
            f"export PODCTL_EMULATOR_URL={others[0] if others else 'URL'}",
        )
    return emulator


def _reachable(url: str, environ: Mapping[str, str]) -> str:
    """`url`, after checking that the proxy for it is usable. Raises UsageError."""
    proxy = proxy_for(url, environ) if url.startswith("https:") else None
    if proxy is not None and proxy.password:
        Secret(proxy.password)  # redacted from now on
    return url


def _checked(url: str) -> str:
    """`url` without its trailing slash; it must be https, or http on a loopback address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:  # an incomplete IPv6 address, or an invalid port
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
        raise UsageError(f"{url!r} is not a base URL", hint=f"for example {DEFAULT_BASE_URL}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UsageError(
            "the key would be sent unencrypted", where=url, hint="use https, or a loopback address"
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
