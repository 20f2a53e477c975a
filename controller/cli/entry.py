"""From arguments to an exit code: the one place where errors end and signals are heard."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any

import click

from controller.cli.group import podctl
from controller.errors import PodctlError, UsageError
from controller.terminal import OutputClosed, Terminal
from state.errors import StateError

Hook = Callable[[type[BaseException], BaseException, types.TracebackType | None], None]
Handler = Callable[[int, types.FrameType | None], Any] | int | signal.Handlers | None

# A disk that is full, over its quota, broken or read-only; any other OSError is our mistake.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
INTERRUPTED = 130  # 128 + SIGINT
TERMINATED = 143  # 128 + SIGTERM


class Terminated(BaseException):
    """SIGTERM arrived; unwinds like Ctrl-C, so that `finally` and `with` do their work."""


def run(arguments: Sequence[str]) -> int:
    """Run podctl; every error is rendered here and nowhere else. Returns the exit code."""
    own = list(arguments)[: arguments.index("--")] if "--" in arguments else arguments
    terminal = Terminal(json="--json" in own)
    _register_secrets(terminal)
    previous = _hear_sigterm()
    sys.excepthook = _report_of(terminal)
    try:
        return _invoke(terminal, arguments)
    except Terminated:
        terminal.warn("terminated by SIGTERM; what runs on pods goes on: podctl status")
        return TERMINATED
    except KeyboardInterrupt:
        terminal.warn("interrupted; what runs on pods goes on: podctl status")
        return INTERRUPTED
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _invoke(terminal: Terminal, arguments: Sequence[str]) -> int:
    try:
        outcome = podctl.main(
            list(arguments), prog_name="podctl", standalone_mode=False, obj=terminal
        )
    except OutputClosed as error:
        return error.exit_code
    except click.Abort as error:  # click's word for Ctrl-C
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        return _fail(terminal, _usage(error))
    except (PodctlError, StateError) as error:
        return _fail(terminal, error)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        return _fail(terminal, _disk(error))
    return outcome if isinstance(outcome, int) else 0


def _fail(terminal: Terminal, error: PodctlError | StateError) -> int:
    from controller.cli.reaction import reaction

    told = reaction(error)
    with contextlib.suppress(OutputClosed):  # the code still says what happened
        terminal.error(told)
    return told.exit_code


def _disk(error: OSError) -> PodctlError:
    """This machine's disk failed under a file of ours; every file is whole, or not there."""
    return PodctlError(
        f"a file here could not be written or read: {error.strerror}",
        where=str(error.filename or ""),
        hint="make room, or mend the disk, and run the command again: it carries on",
    )


def _usage(error: click.ClickException) -> UsageError:
    """Click's complaint in our words: what is wrong, and how to see what is right."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "podctl"
    return UsageError(error.format_message(), hint=f"{path} --help")


def _register_secrets(terminal: Terminal) -> None:
    """Whatever is in the environment as a key is never shown, even in an unusual form."""
    import os

    for name, value in os.environ.items():
        if name.endswith(("_API_KEY", "_TOKEN", "_SECRET", "_PASSWORD")) and len(value) >= 12:
            terminal.redact.add(value)


def _hear_sigterm() -> Handler:
    """Make SIGTERM unwind the stack. Returns what was there before, None off the main thread."""
    try:
        return signal.signal(signal.SIGTERM, _terminate)
    except ValueError:
        return None


def _terminate(_: int, __: types.FrameType | None) -> None:
    raise Terminated


def _report_of(terminal: Terminal) -> Hook:
    """An excepthook for mistakes of podctl's own: said without secrets, exit code 1."""

    def report(
        kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        import traceback

        lines = "".join(traceback.format_exception(kind, error, trace))
        terminal.warn(f"podctl made a mistake of its own; what runs on pods goes on\n{lines}")

    return report
