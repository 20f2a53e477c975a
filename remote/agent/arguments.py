"""The agent's command line.

The controller's calls are read by a few lines, because argparse costs more CPU than a whole answer;
argparse reads every other spelling and prints `--help` and the errors.
"""

from __future__ import annotations

from ..light_dataclasses import dataclass

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Options = dict[str, tuple[Callable[[str], Any] | None, str]]

LOG_LIMIT = 4 * 1024 * 1024  # bytes in one answer
# Verb to its options: the value's type and its help; a flag has no type.
_ROOT: Options = {"--root": (str, "<mount>/podctl")}
_RUN: Options = {**_ROOT, "--run": (str, "the run's name")}
_START: Options = {
    **_ROOT,
    "--again": (None, "a new attempt even after an end"),
    "--unattended": (None, "not on a controller's behalf"),
}
_STATUS: Options = {
    **_RUN,
    "--wait": (float, "seconds to wait for a change"),
    "--seen": (str, "the mark of the status that the caller has"),
}
_LOG: Options = {**_RUN, "--offset": (int, "the first byte"), "--limit": (int, "bytes")}
_STOP: Options = {
    **_RUN,
    "--reason": (str, "goes into the exit record"),
    "--wait": (float, "seconds to wait for the end"),
}
_WARM: Options = {
    **_RUN,
    "--seconds": (float, "to wait"),
    "--then": (str, "terminate | park"),
}
_VERBS: dict[str, tuple[Options, str]] = {
    "start": (_START, "start a JobSpec, once"),
    "status": (_STATUS, "one Status, at once or when it changes"),
    "log": (_LOG, "bytes of the job's log"),
    "stop": (_STOP, "end a run early"),
    "warm": (_WARM, "wait for another run, then be ended by the guard"),
    "secrets": (_RUN, "what the job may know"),
    "settings": (_RUN, "how to install what it needs"),
}
_REQUIRED = ("--root", "--run")


@dataclass(frozen=True)
class Arguments:
    """One request. Options that its verb does not have keep their defaults."""

    verb: str
    root: str
    run: str = ""
    again: bool = False
    unattended: bool = False
    offset: int = 0
    limit: int = LOG_LIMIT  # bytes
    reason: str = "stopped on request"
    wait: float = 0.0  # seconds
    seen: str = ""
    seconds: float = 0.0
    then: str = "terminate"


def parse(argv: list[str], description: str) -> Arguments:
    """Read the command line. Exits with status 2 and a message when it is wrong."""
    arguments = _plain(argv)
    return arguments if arguments is not None else _parse_fully(argv, description)


def _plain(argv: list[str]) -> Arguments | None:
    """Read a call whose options are spelled in full and separate; None for any other."""
    if not argv or argv[0] not in _VERBS:
        return None
    options, words = _VERBS[argv[0]][0], iter(argv[1:])
    values: dict[str, Any] = {}
    for argument in words:
        kind, _ = options.get(argument, (None, None))
        if argument not in options:
            return None
        value = "" if kind is None else next(words, "-")
        if value.startswith("-"):
            return None
        try:
            values[argument[2:]] = True if kind is None else kind(value)
        except ValueError:
            return None
    if any(name in options and name[2:] not in values for name in _REQUIRED):
        return None
    return Arguments(argv[0], **values)


def _parse_fully(argv: list[str], description: str) -> Arguments:
    import argparse

    parser = argparse.ArgumentParser(
        prog="remote.agent", description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    for verb, (options, explanation) in _VERBS.items():
        subparser = verbs.add_parser(verb, help=explanation, argument_default=argparse.SUPPRESS)
        for name, (kind, meaning) in options.items():
            if kind is None:
                subparser.add_argument(name, action="store_true", help=meaning)
            else:
                subparser.add_argument(name, type=kind, required=name in _REQUIRED, help=meaning)
    return Arguments(**vars(parser.parse_args(argv)))
