"""Which proxy stands between this machine and an address, by the variables that say so. Pure.

HTTPS_PROXY, else ALL_PROXY, in small letters first; NO_PROXY names the hosts that need none. A
proxy without a scheme is an HTTP proxy, as curl has it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from controller.errors import UsageError


@dataclass(frozen=True)
class Proxy:
    """`url` may hold a password; `shown` does not."""

    variable: str
    url: str
    shown: str
    password: str = ""


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy to `url`; None for a direct way. Raises UsageError for one that cannot be used."""
    parts = urlsplit(url)
    names = (f"{parts.scheme}_proxy", f"{parts.scheme.upper()}_PROXY", "all_proxy", "ALL_PROXY")
    name = next((variable for variable in names if environ.get(variable, "").strip()), "")
    if not name or _needs_none(parts.hostname or "", environ):
        return None
    return _checked(name, environ[name].strip(), parts.hostname or "")


def _needs_none(host: str, environ: Mapping[str, str]) -> bool:
    """Whether NO_PROXY names the host, or a domain that it is in."""
    without = environ.get("no_proxy", "") or environ.get("NO_PROXY", "")
    names = (
        part.strip().rsplit("://", 1)[-1].lstrip("*").lstrip(".") for part in without.split(",")
    )
    if any(part.strip() == "*" for part in without.split(",")):
        return True
    bare = [re.sub(r":\d+$", "", name).casefold() for name in names if name]
    return any(host == name or host.endswith(f".{name}") for name in bare)


def _checked(name: str, value: str, host: str) -> Proxy:
    whole = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(whole)
        port, server, password = parts.port, parts.hostname or "", unquote(parts.password or "")
    except ValueError as error:
        raise _unusable(name, f"is no address: {_why(error)}", host) from error
    if parts.scheme.lower().startswith("socks"):
        raise _unusable(name, "names a SOCKS proxy, which podctl does not support", host)
    if parts.scheme.lower() not in ("http", "https"):
        raise _unusable(name, f"has the scheme {parts.scheme!r}: http or https is meant", host)
    if not server or not re.fullmatch(r"[A-Za-z0-9._:-]+", server) or port == 0:
        raise _unusable(name, "names no host and port", host)
    named = f"[{server}]" if ":" in server else server
    shown = f"{parts.scheme.lower()}://{named}" + (f":{port}" if port is not None else "")
    return Proxy(name, whole, shown, password)


def _why(error: ValueError) -> str:
    """Without the address, which may hold a password."""
    return "its port is none" if "port" in str(error).casefold() else "it cannot be read"


def _unusable(name: str, why: str, host: str) -> UsageError:
    return UsageError(
        f"the proxy in {name} {why}",
        where=f"the variable {name}",
        hint=f"export {name}=http://HOST:PORT, or NO_PROXY={host} for a direct way",
    )
