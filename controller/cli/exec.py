"""`podctl exec`: runs one command on the pod of a run, with its streams and exit status."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

import click

from controller.cli.names import subject_names
from controller.cli.options import open_project, provider_of, yes_option
from controller.errors import UsageError
from controller.terminal.streams import is_tty
from controller.terminal.terminal import Terminal

SIGNALLED = 128  # our exit code when a signal ended the command on the pod


class ExecCommand(click.Command):
    """What follows NAME and the first word of COMMAND belongs to COMMAND, also without a `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, separated(args))


def separated(args: list[str]) -> list[str]:
    """`args` with a `--` before the second word that is neither an option nor its value."""
    positional = 0
    for place, word in enumerate(args):
        if word == "--":
            if not positional:
                raise UsageError(
                    "the stage, run or pod is missing before --",
                    hint=f"podctl exec STAGE -- {shlex.join(args[place + 1 :])}".rstrip(),
                )
            break
        value = place > 0 and args[place - 1] == "--timeout"
        positional += not (value or word.startswith("-"))
        if positional == 2:
            return [*args[:place], "--", *args[place:]]
    return args


@click.command("exec", cls=ExecCommand, context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="STAGE|RUN|POD", shell_complete=subject_names)
@click.argument("words", metavar="-- COMMAND…", nargs=-1, required=True, type=click.UNPROCESSED)
@yes_option("Start a parked pod without asking; it is parked again afterwards.")
@click.option(
    "-t", "--tty", is_flag=True, help="Give COMMAND this terminal (a pty), as ssh -t does."
)
@click.option("--timeout", default=3600.0, show_default=True, help="Time limit in seconds.")
@click.pass_obj
def command(
    terminal: Terminal, name: str, words: tuple[str, ...], yes: bool, tty: bool, timeout: float
) -> int:
    """Run COMMAND on the pod of a stage's newest run, and exit with its status.

    COMMAND is not interpreted by a shell; use `-- sh -c '…'` for one. With -t, COMMAND is connected
    to this terminal until it ends: `-t -- python -i`, `-t -- htop`. It runs in the job's work
    folder with the job's environment, its interpreter first on PATH, but without its secrets.

    A parked pod is started after a question that names the worst case, and parked again afterwards.
    """
    from controller.cli.pod_access import open_pod
    from controller.project.journal import open_journal
    from controller.status.target import connect, find_target

    if tty:
        check_terminal(terminal)
    project = open_project(terminal)
    target = find_target(open_journal(project), name)
    provider = provider_of(project, terminal)
    with (
        open_pod(project, provider, target, terminal, "exec", yes=yes) as pod,
        connect(project, provider, pod) as session,
    ):
        work = session.layout().work(target.run)
        exists = session.run(["test", "-d", str(work)]).status == 0
        argv = in_environment(words, session.layout().environment(target.run))
        if tty:
            from controller.ssh.console import interact

            return interact(session, argv, str(work) if exists else None)
        with session.stream(argv, cwd=work if exists else None, deadline_seconds=timeout) as stream:
            stream.end()
            while part := stream.recv():
                terminal.raw(bytes(part))
            result = stream.finish()
    if result.stderr:
        terminal.say(result.stderr.decode("utf-8", "replace").rstrip("\n"))
    return result.status if result.status >= 0 else SIGNALLED


def in_environment(words: Sequence[str], script: PurePosixPath) -> tuple[str, ...]:
    """`words` with the variables that `script` on the pod sets, where it is there."""
    return ("sh", "-c", '[ ! -r "$0" ] || . "$0"; exec "$@"', str(script), *words)


def check_terminal(terminal: Terminal) -> None:
    """Raise UsageError unless stdin and stdout are a terminal."""
    if not (is_tty(terminal.source) and is_tty(terminal.out)):
        raise UsageError(
            "-t needs a terminal",
            cause="standard input or output is a file or a pipe",
            hint="podctl exec STAGE -- sh -c '…' runs a command without one",
        )
