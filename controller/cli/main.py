"""From arguments to an exit code: the one place where errors are shown and signals end it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
import types
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click

from controller.cli.group import podctl
from controller.cli.signals import (
    Interrupted,
    panel_after_resume,
    signal_handlers,
    warn_of_billing,
)
from controller.credentials.secret import hide_environment
from controller.errors import Detached, PodctlError, UsageError
from controller.incident import Incident, attempt, incident
from controller.project.project import find
from controller.providers.certificates import forget_key_log
from controller.terminal.event_log import BoundedFile, recording
from controller.terminal.redacted_streams import no_core_dumps, redacted_output
from controller.terminal.terminal import OutputClosed, Terminal
from state.errors import StateError

Hook = Callable[[type[BaseException], BaseException, types.TracebackType | None], None]

INTERRUPTED = 130  # 128 + SIGINT
DEBUG = "PODCTL_DEBUG"  # shows the traceback of any error
PRIVATE_OPTIONS = ("--key",)  # whose values are not written to the log

_LOG = logging.getLogger("podctl.cli")


def run(arguments: Sequence[str]) -> int:
    """Run podctl; every error is rendered here and nowhere else. Returns the exit code."""
    own = list(arguments)[: arguments.index("--")] if "--" in arguments else arguments
    terminal = Terminal(json="--json" in own)
    hide_environment(os.environ)
    forget_key_log(os.environ)
    no_core_dumps()
    sys.excepthook = _hook(terminal)
    with redacted_output(), recording(terminal, _state_dir()) as log:
        began = time.monotonic()
        _LOG.info("begin podctl %s", " ".join(_loggable(own)))
        code = _exit_code(terminal, arguments, log)
        _LOG.info("end exit code %d, %.0f ms", code, 1000 * (time.monotonic() - began))
    return code


def _state_dir() -> Path | None:
    """Where the log is: in the project of the current folder, else nowhere."""
    with contextlib.suppress(PodctlError, OSError):
        return find().state_dir
    return None


def _loggable(arguments: Sequence[str]) -> list[str]:
    """The arguments without the values of options that take a secret."""
    shown = []
    for before, word in zip(["", *arguments], arguments, strict=False):
        name, equals, _ = word.partition("=")
        private = name in PRIVATE_OPTIONS and equals
        shown.append("…" if before in PRIVATE_OPTIONS else f"{name}=…" if private else word)
    return shown


def _exit_code(terminal: Terminal, arguments: Sequence[str], log: BoundedFile | None) -> int:
    """Run the command; an exception that nothing expects becomes an exit code too."""
    code = attempt(partial(_signalled, terminal, arguments), let_pass=())
    return _crash(terminal, code, log) if isinstance(code, Incident) else code


def _signalled(terminal: Terminal, arguments: Sequence[str]) -> int:
    """Run the command; a signal that ends it becomes an exit code."""
    try:
        with signal_handlers(), panel_after_resume(terminal):
            code = _invoke(terminal, arguments)
        if terminal.bills.driven:  # however it ended, it may leave pods that bill
            warn_of_billing(terminal)
    except Interrupted as signalled:
        terminal.warn(f"terminated by {signalled.name}")
        warn_of_billing(terminal)
        return signalled.exit_code
    except KeyboardInterrupt:
        terminal.say("interrupted")
        warn_of_billing(terminal)
        return INTERRUPTED
    return code


def _invoke(terminal: Terminal, arguments: Sequence[str]) -> int:
    try:
        outcome = podctl.main(
            list(arguments), prog_name="podctl", standalone_mode=False, obj=terminal
        )
    except OutputClosed as error:
        return error.exit_code
    except click.Abort as error:  # what click raises for Ctrl-C
        raise KeyboardInterrupt from error
    except click.ClickException as error:
        return _fail(terminal, _usage(error))
    except (PodctlError, StateError) as error:
        return _fail(terminal, error)
    except (OSError, MemoryError, RuntimeError) as error:
        return _fail(terminal, _shortage(error), error)
    return outcome if isinstance(outcome, int) else 0


def _fail(
    terminal: Terminal, error: PodctlError | StateError, origin: Exception | None = None
) -> int:
    from controller.cli.error_mapping import user_error

    shown = user_error(error)
    parts = (shown.what, shown.where, shown.cause)
    _LOG.info("error %s: %s", shown.code, ": ".join(part for part in parts if part))
    _show_traceback(terminal, origin or error)
    show = terminal.notice if isinstance(shown, Detached) else terminal.error
    with contextlib.suppress(OutputClosed):  # the exit code still reports the error
        show(shown)
    return shown.exit_code


def _shortage(error: Exception) -> PodctlError:
    """The exhausted local resource that `error` reports. Raises any other `error` again."""
    from controller.cli.error_mapping import shortage

    found = shortage(error)
    if found is None:
        raise error
    return found


def _usage(error: click.ClickException) -> UsageError:
    """Click's message as our error, with the command whose help explains the correct usage."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "podctl"
    return UsageError(error.format_message(), hint=f"{path} --help")


def _crash(terminal: Terminal, found: Incident, log: BoundedFile | None) -> int:
    """Report a bug of podctl's own in three lines; the traceback goes to the log."""
    from controller.cli.error_mapping import internal_error

    _LOG.error("crash", exc_info=found.error)
    _show_traceback(terminal, found.error)
    shown = internal_error(found, log.path if log is not None and log.written else None)
    with contextlib.suppress(OutputClosed):
        terminal.error(shown)
    if terminal.bills.driven:
        warn_of_billing(terminal)
    return shown.exit_code


def _show_traceback(terminal: Terminal, error: BaseException) -> None:
    """With PODCTL_DEBUG=1 only."""
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        import traceback

        terminal.detail("".join(traceback.format_exception(error)).rstrip("\n"))


def _hook(terminal: Terminal) -> Hook:
    """An excepthook for what is raised before or after the command: shown without secrets."""

    def report(
        _kind: type[BaseException], error: BaseException, _trace: types.TracebackType | None
    ) -> None:
        _crash(terminal, incident(error), None)

    return report
