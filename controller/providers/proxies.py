"""Finds the proxy for a URL from environment variables. Pure.

HTTPS_PROXY, else ALL_PROXY, lower case first; NO_PROXY lists the hosts that need no proxy. A proxy
without a scheme is an HTTP proxy, as in curl.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from controller.errors import UsageError


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it. `url` may contain a password; `shown` does not."""

    variable: str
    url: str
    shown: str
    password: str = ""


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for `url`; None for a direct connection. Raises UsageError for an unusable
    proxy."""
    parts = urlsplit(url)
    names = (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((variable for variable in names if environ.get(variable, "").strip()), "")
    if not name or _is_excluded(parts.hostname or "", environ):
        return None
    return _checked(name, environ[name].strip(), parts.hostname or "")


def _is_excluded(host: str, environ: Mapping[str, str]) -> bool:
    """Whether NO_PROXY lists the host or its domain."""
    no_proxy = environ.get("no_proxy", "") or environ.get("NO_PROXY", "")
    names = (
        part.strip().rsplit("://", 1)[-1].lstrip("*").lstrip(".") for part in no_proxy.split(",")
    )
    if any(part.strip() == "*" for part in no_proxy.split(",")):
        return True
    hosts = [re.sub(r":\d+$", "", name).casefold() for name in names if name]
    return any(host == name or host.endswith(f".{name}") for name in hosts)


def _checked(name: str, value: str, host: str) -> Proxy:
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        port, server, password = parts.port, parts.hostname or "", unquote(parts.password or "")
    except ValueError as error:
        raise _unusable(name, f"is not an address: {_cause(error)}", host) from error
    if parts.scheme.lower().startswith("socks"):
        raise _unusable(name, "names a SOCKS proxy, which podctl does not support", host)
    if parts.scheme.lower() not in ("http", "https"):
        raise _unusable(name, f"has the scheme {parts.scheme!r}: http or https is meant", host)
    if not server or not re.fullmatch(r"[A-Za-z0-9._:-]+", server) or port == 0:
        raise _unusable(name, "names no host and port", host)
    host_part = f"[{server}]" if ":" in server else server
    shown = f"{parts.scheme.lower()}://{host_part}" + (f":{port}" if port is not None else "")
    return Proxy(name, url, shown, password)


def _cause(error: ValueError) -> str:
    """The reason without the address, which may contain a password."""
    return "its port is invalid" if "port" in str(error).casefold() else "it cannot be read"


def _unusable(name: str, reason: str, host: str) -> UsageError:
    return UsageError(
        f"the proxy in {name} {reason}",
        where=f"the variable {name}",
        hint=f"export {name}=http://HOST:PORT, or NO_PROXY={host} for a direct way",
    )
