"""Downloads a model's files from the hub into the cache before they are loaded.

The cache is the pod's volume (HF_HOME): a complete file there is not downloaded again,
on another pod either. After a broken connection a download resumes within 10 MB of where it
stopped.
"""

from __future__ import annotations

import errno
import json
import os
import time
from functools import cache
from pathlib import Path, PurePosixPath

from ...contract import ENV_PARAMETERS, MODELS
from ..common.failure import StageError

FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")  # no pickles
TRIES, PAUSE = 6, 10.0  # seconds, doubled after each try: five minutes of an unreachable hub
_TRY_LATER = (408, 429)  # HTTP statuses below 500 that are not the last word
_NOT_ALLOWED = (401, 403)
NOT_ALLOWED = (
    "check the id in [project] model; accept the model's terms on its page at the hub; list "
    'HF_TOKEN in the stage\'s secrets, and export a token that may read "public gated repositories"'
)
_DEPTH = 8  # errors that wrap one another
_LONGEST = 1000  # characters of what the hub says
_PROBE = b"\0" * 2**20  # a volume with a spent quota takes an empty file


def pinned(source: str) -> str | None:
    """The commit that the run is pinned to; None where `source` is not a model of the hub, or the
    hub did not respond when the run was started.

    Raises: StageError for a document that cannot be parsed.
    """
    parameters = os.environ.get(ENV_PARAMETERS)
    path = Path(parameters).with_name(PurePosixPath(MODELS).name) if parameters else None
    if path is None or not path.is_file():
        return None
    try:
        commit = json.loads(path.read_bytes()).get(source)
    except (ValueError, RecursionError, AttributeError) as error:
        raise StageError(f"{path} is no document of commits", remedy="podctl sync") from error
    return commit if isinstance(commit, str) else None


@cache
def fetch(source: str, pause: float = PAUSE) -> str:
    """Have the files of `source` in the cache, once a process; returns what to load: a folder where
    the run is pinned to a commit, else `source` itself. Nothing is done for a folder, or where the
    hub is switched off. `pause` seconds before the second try, then twice as many.

    Raises: StageError when the cache cannot be written, the model is not there or not allowed, or
    the hub cannot be reached for long.
    """
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0")
    commit = None if Path(source).is_dir() else pinned(source)
    if Path(source).is_dir() or (offline and commit is None):
        return source
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    # Its bases are the errors of whichever HTTP library this version of the client has.
    broken: tuple[type[Exception], ...] = (OSError, ValueError, *HfHubHTTPError.__bases__)
    _check_writable(Path(constants.HF_HUB_CACHE))
    for number in range(1, TRIES + 1):
        try:
            folder = snapshot_download(source, revision=commit, allow_patterns=list(FILES))
        except broken as error:
            if offline or _is_final(error) or number == TRIES:
                raise _unfetched(source, error) from error
            print(f"the download of {source} broke off, going on: {_message(error)}", flush=True)
            time.sleep(pause * 2 ** (number - 1))
        else:
            print(f"{source} is at commit {Path(folder).name}", flush=True)
            return str(folder) if commit else source
    raise AssertionError("the last try returns or raises")


def _check_writable(cache: Path) -> None:
    probe = cache / f".writable-{os.getpid()}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as stream:
            stream.write(_PROBE)
            stream.flush()
            os.fsync(stream.fileno())
        probe.unlink()
    except OSError as error:
        raise StageError(
            f"{cache}, where models are kept, cannot be written: {error}",
            remedy="raise the stage's volume_gb, or set HF_HOME to a folder that can be written",
        ) from error


def _is_final(error: Exception) -> bool:
    """Whether another attempt would fail in the same way."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return True
    status = _status(_hub_error(error))
    if status is not None:
        return status < 500 and status not in _TRY_LATER
    return isinstance(error, ValueError)  # no id at all, or an answer of something else


def _hub_error(error: BaseException) -> BaseException:
    """The hub's own HTTP error, which the client may have wrapped in others."""
    cause: BaseException | None = error
    for _ in range(_DEPTH):
        if cause is None:
            break
        if _status(cause) is not None:
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _unfetched(source: str, error: Exception) -> StageError:
    remedy = "check the id in [project] model, the network, and HF_TOKEN for gated models"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "raise the stage's volume_gb: the files do not fit"
    elif _status(_hub_error(error)) in _NOT_ALLOWED:
        remedy = NOT_ALLOWED
    return StageError(f"model {source!r} cannot be fetched: {_message(error)}", remedy=remedy)


def _message(error: Exception) -> str:
    """The hub's message on one line, not cut short: its advice comes last."""
    answered = _hub_error(error)
    if isinstance(answered, json.JSONDecodeError):
        return f"the answer is not the hub's but a page of something between ({answered})"
    return " ".join(str(answered).split())[:_LONGEST] or type(answered).__name__
