"""Which commit a model's `main` is at, asked of the hub from here; free, and never in the way."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request

from controller.errors import PodctlError, UsageError
from controller.preflight.model_hub import ENDPOINT, may_have_token, opener

SECONDS = 8.0
MOST = 32 * 1024 * 1024  # bytes of an answer, which lists every file
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
COMMIT = re.compile(r"[0-9a-f]{40}")


class HubUnavailable(PodctlError):
    """The hub did not say which commit it is."""


def commit_of(model: str, token: str = "") -> str:
    """The commit of `main` of the hub's `model` now. Raises HubSilent, with a cause."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
    url = f"{endpoint}/api/models/{urllib.parse.quote(model)}/revision/main"
    if not url.startswith(("https://", "http://")):
        raise HubUnavailable(
            f"the commit of {model} is not known", cause="HF_ENDPOINT is no address"
        )
    headers = {"User-Agent": "podctl", "Accept": "application/json"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - checked above
        if token and may_have_token(url):  # no redirect takes it elsewhere
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        with opener(url).open(request, timeout=SECONDS) as answer:
            document = json.loads(answer.read(MOST))
    except urllib.error.HTTPError as error:
        error.close()
        cause = f"the hub answers {error.code}"
        raise HubUnavailable(f"the commit of {model} is not known", cause=cause) from error
    except UsageError as error:  # of a proxy that cannot be used
        raise HubUnavailable(f"the commit of {model} is not known", cause=error.what) from error
    except (OSError, ValueError, RecursionError) as error:
        cause = str(error)[:200] or type(error).__name__
        raise HubUnavailable(f"the commit of {model} is not known", cause=cause) from error
    commit = document.get("sha") if isinstance(document, dict) else None
    if not isinstance(commit, str) or not COMMIT.fullmatch(commit):
        raise HubUnavailable(
            f"the commit of {model} is not known", cause="the hub's answer has none"
        )
    return commit
