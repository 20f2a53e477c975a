"""Verifies the identity of a pod after connecting and before anything is sent.

Addresses are reused: the pod at an address may now be another customer's. A host key that is listed
in the container's log proves the identity. Without such a log the pod has to know the nonce that
the create call put into its environment, because no other pod knows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ConnectionLost
from controller.providers.base import Endpoint
from controller.ssh.host_keys import PinnedKeys
from remote.contract import ENV_NONCE, ENV_ROOT

if TYPE_CHECKING:
    from controller.ssh.session import Session

POD_ID = "RUNPOD_POD_ID"
REPORT_SECONDS = 30.0
MAX_BYTES = 64 * 1024  # bytes of the response

# A session lacks the container's environment. The first process has it, and so has the guard's
# record, the only source in a pod without a process table of its own. Only these values are read.
# The first line is `Session.root`, which would be another request.
_REPORT_SCRIPT = f"""\
R="${{{ENV_ROOT}-}}"
printf '%s\\n' "$R"
{{ [ -n "$R" ] || tr '\\0' '\\n' < /proc/1/environ
  tr ',{{}}' '\\n' < "$R/run/podctl/boot.json" || tr ',{{}}' '\\n' < "$R/tmp/podctl/boot.json"
}} 2>/dev/null | grep -E '^ ?"?({POD_ID}|{ENV_NONCE})"?[=:]'
"""
_REPORTED = re.compile(rb'^ ?"?(\w+)"?[=:] ?"?([A-Za-z0-9_.-]{1,64})"?$', re.MULTILINE)


class WrongPod(ConnectionLost):
    """sshd accepted podctl's key, but the machine is not the pod that podctl rented."""

    code = "wrong-pod"


class UnknownIdentity(ConnectionLost):
    """The pod does not report which one it is, and no log lists its host key."""


def connect_verified(
    endpoint: Endpoint,
    key: Path,
    pins: PinnedKeys,
    nonce: Callable[[], str | None],
    *,
    deadline_seconds: float,
) -> Session:
    """A connection to the pod of `pins`, verified by its host key and its reported identity.

    `nonce` returns the one of the create call, and is called once connected. Raises
    HostKeyMismatch, WrongPod, AuthRefused, Unreachable, UnknownIdentity, and what `nonce` raises.
    """
    from controller.ssh.session import Session

    already_pinned = bool(pins.pinned())
    session = Session.connect(endpoint, key, pins, deadline_seconds=deadline_seconds)
    try:
        _check(session, pins, _reported_identity(session), nonce())
    except BaseException:
        session.close()
        if not already_pinned:  # an unverified key is not kept
            pins.forget()
        raise
    return session


def _check(session: Session, pins: PinnedKeys, reported: dict[str, str], nonce: str | None) -> None:
    expected = {POD_ID: pins.pod_id} | ({ENV_NONCE: nonce} if nonce else {})
    for name, value in expected.items():
        if name in reported and reported[name] != value:
            raise WrongPod(
                "another pod answers at the pod's address",
                where=str(session),
                cause=f"its {name} is {reported[name]}, ours is {value}",
                hint="nothing was sent; podctl status shows where the pod is now",
            )
    required = ENV_NONCE if nonce else POD_ID
    if required not in reported and not pins.fingerprints:
        raise UnknownIdentity(
            "the pod does not report its identity, and its log shows no host keys",
            where=str(session),
            cause=f"no {required} in its first process or in the guard's record",
            hint="podctl sync once it is up, or podctl stop to terminate it",
        )


def _reported_identity(session: Session) -> dict[str, str]:
    """The values that the machine reports about itself; the first line of each name counts."""
    output = session.run(
        ["sh", "-c", _REPORT_SCRIPT], deadline_seconds=REPORT_SECONDS, cap=MAX_BYTES
    ).stdout
    root, _, values = output.partition(b"\n")
    session.root = root.decode("utf-8", "replace").rstrip("/")
    reported: dict[str, str] = {}
    for name, value in _REPORTED.findall(values):
        reported.setdefault(name.decode(), value.decode())
    return reported
