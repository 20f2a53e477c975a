"""Distinguishes a bad host from an image without sshd when a port refuses connections. Pure.

The container's log decides: podctl's start command writes to it once the container runs, and the
official start script, like others, logs that it starts sshd.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from controller.ssh.host_keys import KEY_HEADING

_OURS = (
    "PODCTL-GUARD",
    "podctl: ",
)  # as controller/agent/guard_bootstrap.py and remote/guard.py write
_NO_SCRIPT = "podctl: this image has no /start.sh"
_SCRIPT_ENDED = "podctl: /start.sh ended"
_STARTS = re.compile(
    r"\bserver listening on\b|\bstarting (?:openbsd secure shell|openssh|ssh|sshd)\b"
    r"|\bssh(?:d| server| service) (?:is )?(?:started|running|listening)\b",
    re.IGNORECASE,
)
SYMPTOMS = {
    "refused": "refuses connections",
    "no-banner": "is open, and no SSH server answers on it",
}


@dataclass(frozen=True)
class NoSshd:
    """Why sshd does not run; `permanent` is true if the start script has ended without it."""

    reason: str
    permanent: bool


def no_sshd(symptom: str, log: Iterable[str]) -> NoSshd | None:
    """Why the image starts no sshd; None if the host may be at fault: the port is silent, the
    container does not run, or its log says that sshd was started."""
    lines = [line[:300] for line in log]
    if symptom not in SYMPTOMS or not any(line.startswith(_OURS) for line in lines):
        return None
    if any(KEY_HEADING in line or _starts(line) for line in lines):
        return None
    port = f"its port 22 {SYMPTOMS[symptom]}"
    if any(line.startswith(_NO_SCRIPT) for line in lines):
        return NoSshd(f"the image starts no sshd: it has no /start.sh, and {port}", True)
    if any(line.startswith(_SCRIPT_ENDED) for line in lines):
        return NoSshd(f"the image starts no sshd: its /start.sh ended, and {port}", True)
    return NoSshd(f"the image starts no sshd: its log shows none, and {port}", False)


def _starts(line: str) -> bool:
    return not line.startswith(_OURS) and _STARTS.search(line) is not None
