"""The pod's side of podctl: `python3 -S -m remote.agent VERB --root <mount>/podctl …`.

    start             a JobSpec on stdin; starts it once and returns
    status --run R    what is known about a run
    log --run R       one JSON line {"offset", "size", "base"}, then bytes of the log from there
    stop --run R      end a run early
    secrets --run R   a JSON object of what the job may know on stdin, kept off the volume
    settings --run R  likewise with what its environment is installed with

Each answers with one `Status` document on stdout (`log`: see above; the last two: nothing).
Exit codes: 0 done, 64 bad call, 65 bad document, 66 another spec, 74 the volume failed, 75 busy,
77 a secret that the job must have, or how to install, was not handed over.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from ..contract import MAX_DOCUMENT, ContractError, JobSpec, Status, dump, load
from ..pod import log_file as logfile
from ..pod.paths import BadName, PodPaths
from . import status as report

BAD_CALL, BAD_DOCUMENT, VOLUME_FAILED = 64, 65, 74
LOG_LIMIT = 4 * 1024 * 1024  # bytes in one answer


def main(argv: list[str] | None = None) -> int:
    """Do one verb. A finding on stderr explains every exit code but 0."""
    asked = _parser().parse_args(argv)
    os.umask(0o077)
    try:
        place = PodPaths.at(asked.root)
        if not getattr(asked, "unattended", False):
            place.touch_beat()
        return int(asked.verb(place, asked))
    except BadName as error:
        return _fail(BAD_CALL, error)
    except (ContractError, json.JSONDecodeError) as error:
        return _fail(BAD_DOCUMENT, error)
    except OSError as error:
        return _fail(VOLUME_FAILED, error)


def _start(place: PodPaths, asked: argparse.Namespace) -> int:
    from . import launch  # the other verbs are called often and need none of it

    spec = load(JobSpec, sys.stdin.buffer.read(MAX_DOCUMENT + 1))
    place.run(spec.run)
    place.code(spec.code)
    if not spec.argv or not spec.outputs:
        raise ContractError("JobSpec: argv and outputs must not be empty")
    try:
        return _answer(launch.start(place, spec, again=asked.again))
    except launch.Refusal as refusal:
        _answer(refusal.status)
        return _fail(refusal.code, refusal)


def _status(place: PodPaths, asked: argparse.Namespace) -> int:
    return _answer(report.status(place, asked.run))


def _log(place: PodPaths, asked: argparse.Namespace) -> int:
    limit = max(0, min(asked.limit, LOG_LIMIT))
    path = place.run(asked.run) / "job.log"
    offset, size, base, data = logfile.slice_at(path, max(0, asked.offset), limit)
    header = json.dumps({"offset": offset, "size": size, "base": base})
    sys.stdout.buffer.write(header.encode() + b"\n" + data)
    sys.stdout.buffer.flush()
    return 0


def _stop(place: PodPaths, asked: argparse.Namespace) -> int:
    from . import stop as halt

    return _answer(halt.stop(place, asked.run, asked.reason, asked.wait))


def _secrets(place: PodPaths, asked: argparse.Namespace) -> int:
    from ..pod import job_secrets as entrusted

    entrusted.keep(place, asked.run, sys.stdin.buffer.read(MAX_DOCUMENT))
    return 0


def _settings(place: PodPaths, asked: argparse.Namespace) -> int:
    from ..pod import installer_settings as settings

    settings.keep(place, asked.run, sys.stdin.buffer.read(MAX_DOCUMENT))
    return 0


def _answer(status: Status) -> int:
    sys.stdout.buffer.write(dump(status))
    sys.stdout.buffer.flush()
    return 0


def _fail(code: int, error: Exception) -> int:
    sys.stderr.write(f"remote.agent: {error}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="remote.agent", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", required=True, help="<mount>/podctl")
    of_run = argparse.ArgumentParser(add_help=False, parents=[common])
    of_run.add_argument("--run", required=True)

    start = verbs.add_parser("start", parents=[common], help="start a JobSpec, once")
    start.add_argument("--again", action="store_true", help="a new attempt even after an end")
    start.add_argument("--unattended", action="store_true", help="not on a controller's behalf")
    start.set_defaults(verb=_start)
    verbs.add_parser("status", parents=[of_run], help="one Status").set_defaults(verb=_status)
    log = verbs.add_parser("log", parents=[of_run], help="bytes of the job's log")
    log.add_argument("--offset", type=int, default=0)
    log.add_argument("--limit", type=int, default=LOG_LIMIT, help="bytes")
    log.set_defaults(verb=_log)
    stop = verbs.add_parser("stop", parents=[of_run], help="end a run early")
    stop.add_argument("--reason", default="stopped on request")
    stop.add_argument("--wait", type=float, default=0.0, help="seconds to wait for the end")
    stop.set_defaults(verb=_stop)
    secrets = verbs.add_parser("secrets", parents=[of_run], help="what the job may know")
    secrets.set_defaults(verb=_secrets)
    settings = verbs.add_parser("settings", parents=[of_run], help="how to install what it needs")
    settings.set_defaults(verb=_settings)
    return parser


if __name__ == "__main__":
    sys.exit(main())
