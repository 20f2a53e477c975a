"""The pod's side of podctl: `python3 -S -m remote.agent VERB --root <mount>/podctl …`.

    start             a JobSpec on stdin; starts it once and returns
    status --run R    what is known about a run; with --wait SECONDS --seen MARK once its mark is
                      another one, or after so many seconds
    log --run R       one JSON line {"offset", "size", "base"}, then bytes of the log from there
    stop --run R      end a run early
    warm --run R      let the pod wait for another run, then have its guard end it
    secrets --run R   a JSON object of what the job may know on stdin, kept off the volume
    settings --run R  likewise with what its environment is installed with

Each answers with one `Status` document on stdout (`log`: see above; the last two: nothing).
Exit codes: 0 done, 64 bad call, 65 bad document, 66 another spec, 74 the volume failed, 75 busy,
77 a secret that the job must have, or how to install, was not handed over.
"""

from __future__ import annotations

import os
import sys

from .. import light_json
from ..contract.codec import MAX_DOCUMENT, ContractError, dump, load
from ..pod import log_file
from ..pod.paths import BadName, PodPaths
from .arguments import LOG_LIMIT, Arguments, parse

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from ..contract import Status

BAD_CALL, BAD_DOCUMENT, VOLUME_FAILED = 64, 65, 74


def main(argv: list[str] | None = None) -> int:
    """Answer one request. A message on stderr explains every exit code but 0."""
    arguments = parse(sys.argv[1:] if argv is None else argv, __doc__)
    os.umask(0o077)
    try:
        paths = PodPaths.at(arguments.root)
        if not arguments.unattended:
            paths.touch_beat()
        return _VERBS[arguments.verb](paths, arguments)
    except BadName as error:
        return _fail(BAD_CALL, error)
    except ContractError as error:
        return _fail(BAD_DOCUMENT, error)
    except OSError as error:
        return _fail(VOLUME_FAILED, error)


# Each verb imports only what it needs: `status` and `log` are called every few seconds.


def _start(paths: PodPaths, arguments: Arguments) -> int:
    from ..contract.job import JobSpec
    from . import launch

    spec = load(JobSpec, sys.stdin.buffer.read(MAX_DOCUMENT + 1))
    paths.run(spec.run)
    paths.code(spec.code)
    if not spec.argv or not spec.outputs:
        raise ContractError("JobSpec: argv and outputs must not be empty")
    try:
        return _answer(launch.start(paths, spec, again=arguments.again))
    except launch.Refusal as refusal:
        _answer(refusal.status)
        return _fail(refusal.code, refusal)


def _status(paths: PodPaths, arguments: Arguments) -> int:
    if arguments.wait > 0:
        from . import waiting

        return _answer(waiting.status_after(paths, arguments.run, arguments.seen, arguments.wait))
    from . import status

    return _answer(status.status(paths, arguments.run))


def _log(paths: PodPaths, arguments: Arguments) -> int:
    limit = max(0, min(arguments.limit, LOG_LIMIT))
    path = f"{paths.run_name(arguments.run)}/job.log"
    offset, size, base, data = log_file.slice_at(path, max(0, arguments.offset), limit)
    header = light_json.dumps({"offset": offset, "size": size, "base": base})
    sys.stdout.buffer.write(header.encode() + b"\n" + data)
    sys.stdout.buffer.flush()
    return 0


def _stop(paths: PodPaths, arguments: Arguments) -> int:
    from . import stop

    return _answer(stop.stop(paths, arguments.run, arguments.reason, arguments.wait))


def _warm(paths: PodPaths, arguments: Arguments) -> int:
    from . import warm

    try:
        return _answer(warm.keep(paths, arguments.run, arguments.seconds, arguments.then))
    except warm.Refusal as refusal:
        return _fail(BAD_CALL, refusal)


def _secrets(paths: PodPaths, arguments: Arguments) -> int:
    from ..pod import job_secrets

    job_secrets.keep(paths, arguments.run, sys.stdin.buffer.read(MAX_DOCUMENT))
    return 0


def _settings(paths: PodPaths, arguments: Arguments) -> int:
    from ..pod import installer_settings

    installer_settings.keep(paths, arguments.run, sys.stdin.buffer.read(MAX_DOCUMENT))
    return 0


_VERBS = {
    "start": _start,
    "status": _status,
    "log": _log,
    "stop": _stop,
    "warm": _warm,
    "secrets": _secrets,
    "settings": _settings,
}


def _answer(status: Status) -> int:
    sys.stdout.buffer.write(dump(status))
    sys.stdout.buffer.flush()
    return 0


def _fail(code: int, error: Exception) -> int:
    sys.stderr.write(f"remote.agent: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
