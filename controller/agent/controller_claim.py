"""Which controller drives a pod: the one that connected last.

The lock on .podctl holds for one machine. A controller that drives the same pod from a copy of that
folder on another machine leaves a claim on the pod's volume; the earlier controller finds it and
stops. No clock and no order of numbers is needed: a claim of another controller is a later one.
"""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from controller.agent.client import read_file
from controller.terminal.sanitize import clean_line
from remote.contract import Layout
from state.errors import Fenced

if TYPE_CHECKING:
    from controller.ssh.session import Session

NAME = "controller.json"
# The claim is no secret, and as an argument it needs no second round trip.
_WRITE = 'umask 077; mkdir -p "$1" && printf %s "$3" > "$1/.$2.new" && mv "$1/.$2.new" "$1/$2"'


@dataclass
class PodClaim:
    """The claim of this process: written at its first access to a pod, checked at every later
    one."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    host: str = field(default_factory=socket.gethostname)
    _claimed: set[str] = field(default_factory=set)

    def hold(self, session: Session, layout: Layout, pod: str) -> None:
        """Claim `pod`, or check that the claim still stands. Raises Fenced, ConnectionLost."""
        if pod in self._claimed:
            current = _claim(read_file(session, str(layout.root / NAME)))
            if current is None or current["token"] == self.token:
                return
            raise Fenced(
                f"podctl on {clean_line(current['host'])[:100]} drives pod {pod} now",
                hint="no data was lost; let it finish, or run `podctl sync` to take over",
            )
        claim = json.dumps({"schema": 1, "token": self.token, "host": self.host})
        argv = ["sh", "-c", _WRITE, "sh", str(layout.root), NAME, claim]
        session.run(argv).check("claiming the pod")
        self._claimed.add(pod)


def _claim(raw: bytes) -> dict[str, str] | None:
    """The claim on the pod; None if the file is missing or is not a claim."""
    try:
        document = json.loads(raw)
        return {"token": str(document["token"]), "host": str(document["host"])}
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
