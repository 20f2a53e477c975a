"""Sends one notification: to a web address (ntfy, a web hook), to a command, or through Apprise.

Where notifications go is in environment variables, never in podctl.toml, which may come from
anybody: a command there would run on this machine.
"""

from __future__ import annotations

import base64
import os
import shlex
import signal
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from http.client import HTTPException
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from controller.credentials.secret import for_children
from controller.notifications.event import Event

SECONDS = 8.0  # for one send; under what the end of a command waits, so that its end is known
COMMAND = "command:"  # begins a destination that is a program of this machine
_KEPT = "/%:@!$&'()*+,;=-._~?[]"  # of a path or query; all else is percent-encoded
_PRIORITY = {"passed": "default", "failed": "high", "question": "high", "budget": "high"}
_TAGS = {"passed": "white_check_mark", "failed": "x", "question": "question", "stuck": "hourglass"}


class DeliveryError(Exception):
    """A send failed; `unclear`: it may have arrived all the same."""

    def __init__(self, text: str, *, unclear: bool = False) -> None:
        super().__init__(text)
        self.unclear = unclear


def send(destination: str, event: Event) -> None:
    """Send within `SECONDS`. Raises DeliveryError, whose text has no address in it."""
    if destination.startswith(COMMAND):
        _run(_words(destination.removeprefix(COMMAND)), event)
    elif destination.startswith(("http://", "https://")):
        _post(destination, event)
    else:
        _apprise(destination, event)


def _post(address: str, event: Event) -> None:
    """POST the text, with ntfy's headers."""
    try:
        parts = urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        path, query = (quote(part, safe=_KEPT) for part in (parts.path, parts.query))
        if not parts.hostname or parts.port == 0 or not host.isprintable() or " " in host:
            raise ValueError
    except ValueError:
        raise DeliveryError("the address is no URL") from None
    headers = {
        "Title": event.title.encode("ascii", "replace").decode(),
        "Priority": _PRIORITY.get(event.kind, "default"),
        "Tags": _TAGS.get(event.kind, "moneybag"),
        "Content-Type": "text/plain; charset=utf-8",
        "User-Agent": "podctl",
    }
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    plain = urlunsplit((parts.scheme, host, path, query, ""))
    request = urllib.request.Request(plain, event.text.encode(), headers)  # noqa: S310 - http(s)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310 - http(s)
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryError(f"HTTP status {error.code}") from None
    except urllib.error.URLError as error:
        unclear = isinstance(error.reason, TimeoutError)
        raise DeliveryError(f"{error.reason}", unclear=unclear) from None
    except (OSError, ValueError, HTTPException) as error:  # e.g. an answer that is no HTTP
        raise DeliveryError(type(error).__name__, unclear=True) from None


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise DeliveryError(f"the command cannot be read: {error}") from None


def _run(command: list[str], event: Event) -> None:
    """Run a program with title and text as its last arguments, and the kind in PODCTL_EVENT."""
    if not command:
        raise DeliveryError("the command is empty")
    environment = for_children(os.environ) | {"PODCTL_EVENT": event.kind}
    try:
        process = subprocess.Popen(
            [*command, event.title, event.text],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise DeliveryError(f"{command[0]}: {error}") from None
    try:
        code = process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(SECONDS)
        raise DeliveryError(f"{command[0]} took over {SECONDS:.0f} s", unclear=True) from None
    if code != 0:
        raise DeliveryError(f"{command[0]} ended with {code}")


def _apprise(address: str, event: Event) -> None:
    try:
        import apprise
    except ImportError:
        raise DeliveryError("this kind of address needs podctl[notify]") from None
    sender = apprise.Apprise()
    if not sender.add(address):
        raise DeliveryError("Apprise does not know this kind of address")
    kinds = {"passed": apprise.NotifyType.SUCCESS, "failed": apprise.NotifyType.FAILURE}
    kind = kinds.get(event.kind, apprise.NotifyType.WARNING)
    if not sender.notify(body=event.text, title=event.title, notify_type=kind):
        raise DeliveryError("Apprise could not send it")
