"""Verifies which pod answers, after connecting and before anything is sent.

Addresses are reused: where a pod was, another customer's may be. A host key that the container's
log vouches for settles it. Where no log does, the pod has to know the nonce that went into its
environment with the create call: nobody else knows it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ConnectionLost
from controller.providers.base import Endpoint
from controller.ssh.host_keys import PinnedKeys
from remote.contract import ENV_NONCE, ENV_ROOT

if TYPE_CHECKING:
    from controller.ssh.session import Session

POD_ID = "RUNPOD_POD_ID"
ASK_SECONDS = 30.0
MOST = 64 * 1024  # bytes of the answer

# A session lacks the container's environment. Its first process has it, and the guard's record,
# which is all there is where a pod has no process table of its own. Nothing else is read out.
_ASK = f"""\
R="${{{ENV_ROOT}-}}"
{{ [ -n "$R" ] || tr '\\0' '\\n' < /proc/1/environ
  tr ',{{}}' '\\n' < "$R/run/podctl/boot.json" || tr ',{{}}' '\\n' < "$R/tmp/podctl/boot.json"
}} 2>/dev/null | grep -E '^ ?"?({POD_ID}|{ENV_NONCE})"?[=:]'
"""
_SAID = re.compile(rb'^ ?"?(\w+)"?[=:] ?"?([A-Za-z0-9_.-]{1,64})"?$', re.MULTILINE)


class WrongPod(ConnectionLost):
    """sshd accepted podctl's key, but the machine is not the pod that podctl rented."""

    code = "wrong-pod"


def connect_verified(
    endpoint: Endpoint, key: Path, pins: PinnedKeys, nonce: str | None, *, deadline_seconds: float
) -> Session:
    """A connection to the pod of `pins`, proved by its host key and by what it says of itself.

    `nonce` is the one it was created with. Raises HostKeyMismatch, WrongPod, AuthRefused,
    Unreachable; ConnectionLost when the pod cannot say who it is and no log vouches for its key.
    """
    from controller.ssh.session import Session

    known = bool(pins.pinned())
    session = Session.connect(endpoint, key, pins, deadline_seconds=deadline_seconds)
    try:
        _check(session, pins, nonce)
    except BaseException:
        session.close()
        if not known:  # what was not proved is not kept
            pins.forget()
        raise
    return session


def _check(session: Session, pins: PinnedKeys, nonce: str | None) -> None:
    wanted = {POD_ID: pins.pod_id} | ({ENV_NONCE: nonce} if nonce else {})
    said = _said(session)
    for name, value in wanted.items():
        if name in said and said[name] != value:
            raise WrongPod(
                "another pod answers at the pod's address",
                where=str(session),
                cause=f"its {name} is {said[name]}, ours is {value}",
                hint="nothing was sent; podctl status shows where the pod is now",
            )
    proof = ENV_NONCE if nonce else POD_ID
    if proof not in said and not pins.fingerprints:
        raise ConnectionLost(
            "the pod does not say which one it is, and its log shows no host keys",
            where=str(session),
            cause=f"no {proof} in its first process or in the guard's record",
            hint="podctl sync, when it is up; podctl stop ends it",
        )


def _said(session: Session) -> dict[str, str]:
    """The values that the machine reports about itself; the first line of each name counts."""
    shown = session.run(["sh", "-c", _ASK], deadline_seconds=ASK_SECONDS, cap=MOST).stdout
    found: dict[str, str] = {}
    for name, value in _SAID.findall(shown):
        found.setdefault(name.decode(), value.decode())
    return found
