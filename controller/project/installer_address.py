"""An address that pip or uv is told: what of it is shown, and whether a pod reaches it. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

HIDDEN = "***"
_NAMED = re.compile(r"([A-Za-z0-9._-]+)=(?=[a-z]+://|/|\.)")  # uv: name=address
_HERE_ONLY = (".local", ".localhost", ".lan", ".internal", ".intranet", ".corp", ".home.arpa")
_TOKEN = re.compile(r"(?=[^/]*\d)[A-Za-z0-9_-]{20,}")  # some indexes have their key in the path


@dataclass(frozen=True)
class Address:
    """`secrets` are the parts of it that nobody is shown."""

    text: str
    shown: str
    host: str
    name: str = ""  # by which uv knows it
    secrets: tuple[str, ...] = ()

    @property
    def bare(self) -> str:
        """Without uv's name for it."""
        return self.text[len(self.name) + 1 :] if self.name else self.text

    def stays(self, *, emulated: bool) -> str:
        """Why a pod has no use for it; empty: it goes."""
        if not self.host:
            return "a path of this machine"
        if emulated:
            return ""
        host = self.host.lower().rstrip(".")
        try:
            number = ipaddress.ip_address(host)
        except ValueError:
            if "." not in host or host.endswith(_HERE_ONLY):
                return "of this machine or its network, which a pod does not reach"
            return ""
        return "" if number.is_global else "of this machine or its network, which no pod reaches"


def parse(text: str) -> Address:
    """Of whatever stands there; a proxy may do without a scheme."""
    found = _NAMED.match(text)
    name = found[1] if found else ""
    whole = text[len(name) + 1 :] if name else text
    bare = re.fullmatch(r"(?:[^/@\s]+@)?[A-Za-z0-9.-]+:\d+/?", whole)
    try:
        parts = urlsplit(f"http://{whole}" if bare else whole)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Address(text, "(no address)", "", name, (text,))
    if not host or parts.scheme == "file":
        return Address(text, whole, "", name)
    login = parts.netloc.rpartition("@")[0]
    tokens = [one for one in parts.path.split("/") if _TOKEN.fullmatch(one)]
    path = "/".join(HIDDEN if one in tokens else one for one in parts.path.split("/"))
    secrets = [login.rpartition(":")[2], *tokens, parts.query] if login else [*tokens, parts.query]
    at = f"{HIDDEN}@" if login else ""
    named = f"[{host}]" if ":" in host else host
    where = named + (f":{port}" if port is not None else "")
    query = f"?{HIDDEN}" if parts.query else ""
    shown = f"{parts.scheme}://{at}{where}{path}{query}"
    return Address(text, shown, host, name, tuple(one for one in secrets if one))
