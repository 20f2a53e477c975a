"""`podctl logs`: shows a job's output, or the local copy when the pod is gone."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from controller.cli.names import run_names
from controller.cli.options import json_option, open_project, provider_of
from controller.errors import ConnectionLost, NotFound, UsageError
from controller.terminal import formatting as words
from controller.terminal.sanitize import CleanStream
from controller.terminal.streams import is_tty
from controller.terminal.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from controller.status.log_reader import Log
    from controller.status.target import Target

TAIL_LINES = 200  # shown on a terminal unless more is asked for
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
PATIENCE_SECONDS = 5.0  # then podctl shows the local copy; with --follow it asks again


@click.command("logs")
@click.argument("name", metavar="[STAGE|RUN]", required=False, shell_complete=run_names)
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the job ends.")
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(min=0),
    help=f"Show only the last lines (on a terminal: {TAIL_LINES}).",
)
@click.option("--since", metavar="TIME", help="Show only what is newer, such as 90s, 10m, 1h30m.")
@click.option("-a", "--all", "every", is_flag=True, help="Show the whole log on a terminal too.")
@json_option
@click.pass_obj
def command(
    terminal: Terminal,
    name: str | None,
    follow: bool,
    tail: int | None,
    since: str | None,
    every: bool,
) -> int:
    """Show the log of a run, or of a stage's newest run (default: the newest unfinished run).

    If a run was resumed on a new disk, this is the log on that disk; the log of the disk before it
    is .podctl/runs/RUN/job.log.1, and so on.

    --since counts from when podctl read the log, which it does every few seconds while it runs.

    Exits with 8 if the pod of an unfinished run does not respond: the log may be incomplete.
    """
    from controller.project.journal import open_journal
    from controller.status.log_reader import Follower, local_log
    from controller.status.target import find_target

    if follow and terminal.json:
        raise UsageError("-f and --json cannot be combined")
    project = open_project(terminal)
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
    shown, left_out = _chosen(terminal, log.data, path, tail, since, every=every)
    if terminal.json:
        _emit(terminal, target, log, shown)
        return ConnectionLost.exit_code if log.silent else 0
    stream = CleanStream(terminal.redact)
    if left_out:
        terminal.say(f"[earlier lines are not shown: podctl logs {target.run} --all]")
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


def _chosen(
    terminal: Terminal, data: bytes, path: Path, tail: int | None, since: str | None, *, every: bool
) -> tuple[bytes, bool]:
    """The part of the log that was asked for, and whether earlier lines are left out unasked."""
    from controller.agent.log_times import offset_at
    from controller.status.log_reader import last_lines

    if since is not None:
        data = data[offset_at(path, time.time() - seconds_of(since)) :]
    unasked = tail is None and since is None and not every
    if unasked and is_tty(terminal.out):
        shown = last_lines(data, TAIL_LINES)
        return shown, len(shown) < len(data)
    return last_lines(data, tail), False


def seconds_of(text: str) -> float:
    """A duration such as "90s", "10m", "1h30m" or "2d". Raises UsageError."""
    parts = re.findall(r"([0-9]{1,9})([smhd])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"--since {text!r} is no duration", hint="podctl logs --since 10m")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


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
