"""`podctl logs`: shows a job's output, or the local copy when the pod is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from controller.cli.names import run_names
from controller.cli.options import current_project, json_option, provider_of
from controller.errors import ConnectionLost, NotFound, UsageError
from controller.terminal import formatting as words
from controller.terminal.sanitize import CleanStream
from controller.terminal.terminal import Terminal, is_tty

if TYPE_CHECKING:
    from controller.status.log_reader import Log
    from controller.status.target import Target

PATIENCE_SECONDS = 5.0  # then podctl shows the local copy; with --follow it asks again


@click.command("logs")
@click.argument("name", metavar="[STAGE|RUN]", required=False, shell_complete=run_names)
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the job ends.")
@click.option("-n", "--tail", type=click.IntRange(min=0), help="Show only the last lines.")
@json_option
@click.pass_obj
def command(terminal: Terminal, name: str | None, follow: bool, tail: int | None) -> int:
    """Show the log of a run, or of a stage's newest run (default: the newest unfinished run).

    If a run was resumed on a new disk, this is the log on that disk; the log of the disk before it
    is .podctl/runs/RUN/job.log.1, and so on.

    Exits with 8 if the pod of an unfinished run does not respond: the log may be incomplete.
    """
    from controller.project.journal import open_journal
    from controller.status.log_reader import Follower, last_lines, local_log
    from controller.status.target import find_target

    if follow and terminal.json:
        raise UsageError("-f and --json cannot be combined")
    project = current_project()
    target = find_target(open_journal(project), name)
    path = project.job_log(target.run)
    follower = Follower(
        project,
        target,
        lambda: provider_of(project, terminal, PATIENCE_SECONDS),
        terminal.progress,
    )
    log = local_log(path)
    if target.open and not follow:
        log = follower.complete(log)
    if not log.data and not follow and not path.exists():
        if log.silent:
            raise ConnectionLost(
                log.why, cause="there is no local copy of the log", hint="podctl status"
            )
        raise NotFound(f"there is no local copy of the log of {target.run}", hint="podctl status")
    shown = last_lines(log.data, tail)
    if terminal.json:
        _emit(terminal, target, log, shown)
        return ConnectionLost.exit_code if log.silent else 0
    stream = CleanStream(terminal.redact)
    _show(terminal, stream, shown)
    if follow and target.open:
        for part in follower.follow(log.data):
            _show(terminal, stream, part)
    rest = stream.finish()
    if rest:
        terminal.data(rest)
    if not target.open:
        terminal.say(f"{target.run} ended: {target.outcome} (local copy)")
    elif not follow:
        terminal.say(_source(target, log))
    return ConnectionLost.exit_code if log.silent else 0


def _show(terminal: Terminal, stream: CleanStream, part: bytes) -> None:
    """Whole lines; on a terminal also the one that is being drawn, for as long as it is."""
    whole = stream.feed(part)
    if whole:
        terminal.data(whole, end="")
    if is_tty(terminal.out) and (line := stream.pending()):
        terminal.progress(line)


def _emit(terminal: Terminal, target: Target, log: Log, shown: bytes) -> None:
    whole = CleanStream(terminal.redact)
    document = {
        "run": target.run,
        "source": log.source,
        "at": log.at,
        "age_seconds": None if log.at is None else round(time.time() - log.at, 1),
        "why": log.why,
        "size": len(log.data),
        "text": whole.feed(shown) + whole.finish(),
    }
    terminal.emit_json("podctl/logs/1", document)


def _source(target: Target, log: Log) -> str:
    """Source and age of the log; it does not say whether the job still runs."""
    age = "" if log.at is None else f", {words.age(time.time() - log.at)} old"
    why = f"; {log.why}" if log.why else ""
    return f"{target.run}: {log.source}{age}{why}"
