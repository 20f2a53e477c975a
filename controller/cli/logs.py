"""`podctl logs`: a job's output, by byte offset; what was kept here when the pod is gone."""

from __future__ import annotations

import click

from controller.cleaning import CleanStream
from controller.cli.options import json_option, project_here, provider_of
from controller.errors import NotFound, UsageError
from controller.terminal import Terminal


@click.command("logs")
@click.argument("name", metavar="[STAGE|RUN]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@click.option("-n", "--tail", type=click.IntRange(min=0), help="Only the last lines.")
@json_option
@click.pass_obj
def command(terminal: Terminal, name: str | None, follow: bool, tail: int | None) -> None:
    """Show the log of a run, or of a stage's newest run; the newest unfinished one by default."""
    from controller.attach import find_target, open_journal
    from controller.log_reader import Follower, last_lines, read_local

    if follow and terminal.json:
        raise UsageError("-f and --json exclude one another")
    project = project_here()
    journal = open_journal(project)
    target = find_target(journal, name)
    path = project.job_log(target.run)
    follower = Follower(project, target, lambda: provider_of(project, terminal), terminal.progress)
    source, data = "local copy", read_local(path)
    if target.open and not follow:
        source, data = follower.whole(data)
    if not data and not follow and not path.exists():
        raise NotFound(f"nothing of the log of {target.run} is here", hint="podctl status")
    shown = last_lines(data, tail)
    if terminal.json:
        whole = CleanStream(terminal.redact)
        text = whole.feed(shown) + whole.finish()
        document = {"run": target.run, "source": source, "size": len(data), "text": text}
        terminal.emit_json("podctl/logs/1", document)
        return
    stream = CleanStream(terminal.redact)
    terminal.data(stream.feed(shown), end="")
    if follow and target.open:
        for part in follower.follow(len(data)):
            terminal.data(stream.feed(part), end="")
    rest = stream.finish()
    if rest:
        terminal.data(rest)
    if not target.open:
        terminal.say(f"{target.run} ended: {target.outcome} (the copy kept here)")
    elif not follow:
        terminal.say(f"{target.run}: {source}")
