"""Sends the end of a job to the user when no controller has called for ten minutes.

The user allows it by naming the secret `POD_NOTIFY_URL` in the stage: an ntfy topic or another web
address that takes a POST. It is sent once at most, and nothing waits for it.
"""

from __future__ import annotations

import contextlib
import os
import time

from ..contract import Exit, JobSpec
from ..light_dataclasses import dataclass
from ..pod import atomic_files as durable
from ..pod.paths import PodPaths
from .attempt import AttemptContext

NAME = "POD_NOTIFY_URL"
SECONDS = 20.0  # for the request
MAX_ADDRESS = 2000  # characters


@dataclass(frozen=True)
class EndNotice:
    """What may have to be sent after the end of an attempt."""

    address: str
    beat: str  # the file that each call of a controller touches

    def send_if_absent(self, base: AttemptContext, end: Exit) -> bool:
        """Wait until a controller calls, or has not for long enough; whether it was sent."""
        while (age := _age(self.beat)) < base.pace.absent:
            called = time.time() - age > end.ended_at
            if called or base.watch.signalled:
                return False
            base.breathe()
        with contextlib.suppress(OSError, ValueError):
            _post(self.address, end)
            return True
        return False


def notice_of(place: PodPaths, spec: JobSpec) -> EndNotice | None:
    """None unless the user gave an address; read before the run's secrets are forgotten."""
    if NAME not in spec.secrets:
        return None
    data = durable.read(place.secrets(spec.run) / NAME)
    address = data.decode("utf-8", "replace").strip() if data else ""
    allowed = address.startswith(("http://", "https://")) and len(address) <= MAX_ADDRESS
    return EndNotice(address, str(place.beat)) if allowed else None


def _age(beat: str) -> float:
    """Seconds since a controller called; endless where none ever did."""
    try:
        return max(0.0, time.time() - os.stat(beat).st_mtime)
    except OSError:
        return float("inf")


def _post(address: str, end: Exit) -> None:
    from urllib.request import Request, urlopen

    outcome = "ended well" if end.rc == 0 else f"failed ({end.reason})"
    text = f"{end.run} {outcome}; no podctl has called its pod lately: podctl sync"
    headers = {"Title": f"podctl: {end.run} {outcome}"[:200], "Content-Type": "text/plain"}
    request = Request(address, text.encode(), headers)  # noqa: S310 - http or https
    with urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - http or https
        answer.read(1)
