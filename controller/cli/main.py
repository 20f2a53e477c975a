"""From arguments to an exit code: the one place where errors end and signals are heard."""

from __future__ import annotations

import contextlib
import os
import sys
import types
from collections.abc import Callable, Sequence

import click

from controller.cli.group import podctl
from controller.cli.signals import Interrupted, heard, tell_pods
from controller.credentials.secret import hide_environment
from controller.errors import PodctlError, UsageError
from controller.providers.certificates import forget_key_log
from controller.terminal.redacted_streams import no_core_dumps, veiled
from controller.terminal.terminal import OutputClosed, Terminal
from state.errors import StateError

Hook = Callable[[type[BaseException], BaseException, types.TracebackType | None], None]

INTERRUPTED = 130  # 128 + SIGINT


def run(arguments: Sequence[str]) -> int:
    """Run podctl; every error is rendered here and nowhere else. Returns the exit code."""
    own = list(arguments)[: arguments.index("--")] if "--" in arguments else arguments
    terminal = Terminal(json="--json" in own)
    hide_environment(os.environ)
    forget_key_log(os.environ)
    no_core_dumps()
    sys.excepthook = _report_of(terminal)
    try:
        with heard(), veiled():
            code = _invoke(terminal, arguments)
        if terminal.bills.driven:  # whatever it ended with: who drove may have left pods
            tell_pods(terminal)
        return code
    except Interrupted as ended:
        terminal.warn(f"ended by {ended.name}")
        tell_pods(terminal)
        return ended.exit_code
    except KeyboardInterrupt:
        terminal.warn("interrupted")
        tell_pods(terminal)
        return INTERRUPTED


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
    except (OSError, MemoryError, RuntimeError) as error:
        return _fail(terminal, _shortage(error))
    return outcome if isinstance(outcome, int) else 0


def _fail(terminal: Terminal, error: PodctlError | StateError) -> int:
    from controller.cli.error_mapping import reaction

    told = reaction(error)
    with contextlib.suppress(OutputClosed):  # the code still says what happened
        terminal.error(told)
    return told.exit_code


def _shortage(error: Exception) -> PodctlError:
    """What this machine lacks; anything else is a mistake of podctl's own and goes on up."""
    from controller.cli.error_mapping import shortage

    told = shortage(error)
    if told is None:
        raise error
    return told


def _usage(error: click.ClickException) -> UsageError:
    """Click's complaint in our words: what is wrong, and how to see what is right."""
    ctx = getattr(error, "ctx", None)
    path = ctx.command_path if ctx is not None else "podctl"
    return UsageError(error.format_message(), hint=f"{path} --help")


def _report_of(terminal: Terminal) -> Hook:
    """An excepthook for mistakes of podctl's own: said without secrets, exit code 1."""

    def report(
        kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        import traceback

        lines = "".join(traceback.format_exception(kind, error, trace))
        terminal.warn(f"podctl made a mistake of its own; what runs on pods goes on\n{lines}")
        if terminal.bills.driven:
            tell_pods(terminal)

    return report
