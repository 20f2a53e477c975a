"""Whether the hub lets a job read its model: asked from here, for nothing, before a pod is rented.

One HEAD request for config.json, with the token that the job would have. Only a definite no is an
obstacle; whatever else comes, or nothing, is a remark: the pod asks again.
"""

from __future__ import annotations

import functools
import http.client
import os
import queue
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from urllib.parse import quote, urlsplit

from controller.credentials.secret import Secret
from controller.errors import NotFound, PodctlError, Refused, UsageError
from controller.providers import certificates as trust
from controller.providers.proxies import proxy_for

ENDPOINT = "https://huggingface.co"
SECONDS = 5.0  # for the whole question, name resolution too
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # what the hub's client takes a token from
_LONGEST = 600  # characters of the hub's own words


@dataclass(frozen=True)
class Reply:
    """`status` 0: nobody answered, and `said` is why; else the hub's own words."""

    status: int
    said: str = ""
    code: str = ""  # the hub's name for it: GatedRepo, RepoNotFound, EntryNotFound


def look(model: str, token: Secret | None, environ: Mapping[str, str] = os.environ) -> str:
    """A remark where it is not known whether `model` can be read; empty where it can.

    Raises: Refused, NotFound when the hub refuses for good.
    """
    if environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return f"HF_HUB_OFFLINE is set: whether the hub lets the job read {model} was not asked"
    endpoint = (environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    host = _host(endpoint)
    if not host:
        return f"HF_ENDPOINT is no address: whether {model} can be read was not asked"
    if token is not None and not may_have_token(endpoint):
        return f"HF_ENDPOINT is not https, so no token was sent: {model} was not asked for"
    shown = token.reveal() if token is not None else ""
    reply = _asked(endpoint, model, shown)
    no = _refusal(model, reply, with_token=token is not None)
    if no is not None:
        raise no
    if reply.status == 0 or reply.status >= 400:
        why = reply.said or f"it answered {reply.status}"
        return f"whether the hub lets the job read {model} is not known: {why}"
    return ""


def _host(endpoint: str) -> str:
    """The host of an http or https address; empty for any other text."""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        return ""
    return parts.hostname or "" if usable else ""


def _refusal(model: str, reply: Reply, *, with_token: bool) -> PodctlError | None:
    gone = reply.status == 404 and reply.code in ("RepoNotFound", "EntryNotFound")
    if reply.status not in (401, 403) and not gone:
        return None
    said = reply.said or f"it answered {reply.status}"
    if gone and reply.code == "EntryNotFound":
        return NotFound(
            f"the model {model} has no config.json at the hub",
            cause=said,
            hint="name a model in the transformers format",
        )
    kind = NotFound if gone else Refused
    mend = (
        "accept the model's terms on its page, and let the token read it (a fine-grained one needs "
        '"public gated repositories")'
        if with_token
        else f'if it is gated or private: secrets = ["{TOKENS[0]}"] in the stage, and '
        f"export {TOKENS[0]}=…"
    )
    return kind(
        f"the hub does not let the job read the model {model}",
        where=f"[project] model, with {'the' if with_token else 'no'} token",
        cause=said,
        hint=f"check the id; {mend}",
    )


@functools.cache
def _asked(endpoint: str, model: str, token: str) -> Reply:
    """The answer, within `SECONDS` whatever the resolver does."""
    url = f"{endpoint}/{quote(model)}/resolve/main/config.json"
    answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()
    work = threading.Thread(target=lambda: answers.put(_head(url, token)), name="hub", daemon=True)
    work.start()
    try:
        return answers.get(timeout=SECONDS)
    except queue.Empty:
        return Reply(0, f"{urlsplit(endpoint).hostname} did not answer within {SECONDS:.0f} s")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the token goes nowhere else."""

    def redirect_request(self, *_: object) -> None:
        return None


def opener(url: str, *handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """What asks the hub: with this machine's proxy and certificates. Raises UsageError."""
    proxy = None if _host(url) in LOOPBACK else proxy_for(url, os.environ)
    ways = {urlsplit(url).scheme: proxy.url} if proxy else {}
    return urllib.request.build_opener(
        *handlers,
        urllib.request.ProxyHandler(ways),
        urllib.request.HTTPSHandler(context=trust.context()),
    )


def may_have_token(url: str) -> bool:
    """Whether a token may go there: encrypted, or to this machine."""
    return url.startswith("https:") or _host(url) in LOOPBACK


def _head(url: str, token: str) -> Reply:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - checked by `look`
    request.add_header("User-Agent", "podctl")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with opener(url, _NoRedirect()).open(request, timeout=SECONDS) as answer:
            return _reply(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        return _reply(error.code, error.headers)
    except UsageError as error:
        return Reply(0, error.what)
    except (OSError, ValueError, http.client.HTTPException, ssl.SSLError) as error:
        reason = getattr(error, "reason", error)
        return Reply(0, f"{urlsplit(url).hostname}: {reason}")


def _reply(status: int, headers: Message) -> Reply:
    if status == 200 and headers.get_content_type() == "text/html":
        return Reply(0, "a page came instead of the hub's answer: a sign-in page of this network?")
    said = " ".join((headers.get("X-Error-Message") or "").split())[:_LONGEST]
    return Reply(status, said, headers.get("X-Error-Code") or "")
